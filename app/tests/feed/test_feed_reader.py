"""The reader: what it says of the stream, and that it outlives whatever happens to Kafka."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from feed_topic import Topic, eventually, rows, stop
from kafka_server import Kafka

from helfy.consumer.decode import told_ms
from helfy.feed.entry import Wanted
from helfy.feed.marks import Marks
from helfy.feed.minutes import Latencies, Minutes, quantile
from helfy.feed.pager import ADMITTED, BusyError, KafkaAwayError, Pager

ALL = Wanted()


@pytest.fixture
def topic(kafka: Kafka) -> Topic:
    return Topic(kafka)


def states(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [
        (record.fields["state"], record.levelname)
        for record in caplog.records
        if record.getMessage() == "change_stream"
    ]


def test_the_stream_is_ok_while_records_come(
    topic: Topic, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    feed = topic.feed(max_silence_seconds=4)

    def beats() -> bool:
        topic.write(topic.heartbeat())
        return feed.reader.pulse.state() == "ok"

    try:
        assert feed.reader.pulse.state() == "degraded", "nothing is known yet"
        assert feed.reader.pulse.feed() == "cutOff"
        eventually(lambda: feed.reader.pulse.feed() == "behind", "Kafka answers, and is silent")
        eventually(lambda: beats() and feed.reader.pulse.feed() == "live", "a heartbeat is life")
        eventually(lambda: feed.reader.pulse.state() == "degraded", "silence")
        assert feed.reader.pulse.feed() == "behind"
        eventually(lambda: states(caplog)[-1:] == [("degraded", "WARNING")], "it is logged")
        eventually(beats, "it is well again")
    finally:
        stop(feed)
    assert states(caplog) == [("ok", "INFO"), ("degraded", "WARNING"), ("ok", "INFO")], "once each"


def test_kafka_goes_and_comes_back(topic: Topic) -> None:
    topic.write(*(topic.change(row) for row in range(1, 6)))
    feed = topic.feed()
    try:
        eventually(lambda: feed.reader.ring.following() == {0: 5}, "all is read")
        _, now = feed.newest(ALL, 1)
        topic.kafka.stop(signal.SIGKILL)
        eventually(lambda: feed.reader.pulse.feed() == "cutOff", "its absence is noticed", 15)
        page, _ = feed.newest(ALL, 3)
        assert rows(page) == [5, 4, 3], "what is in memory is given"
        assert feed.following(ALL, 3, now).entries == []
        feed.reader.ring.restart(0, 5)
        with pytest.raises(KafkaAwayError):
            feed.newest(ALL, 3, {0: 3})
        topic.kafka.start()
        eventually(lambda: feed.reader.pulse.feed() != "cutOff", "Kafka's return is noticed", 60)
        topic.write(topic.change(6))
        eventually(lambda: rows(feed.following(ALL, 3, now)) == [6], "the feed goes on")
        assert feed.reader.pulse.feed() == "live"
        assert rows(feed.newest(ALL, 3, {0: 3})[0]) == [3, 2, 1]
    finally:
        stop(feed)


def test_a_topic_that_gets_more_partitions_is_read_whole(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helfy.feed.reader.METADATA_SECONDS", 0.5)
    monkeypatch.setattr("helfy.feed.client.METADATA_MS", 500)
    topic.write(topic.change(1))
    feed = topic.feed()
    try:
        eventually(lambda: feed.reader.ring.following() == {0: 1}, "all is read")
        topic.kafka.more_partitions(topic.name, 2)
        eventually(lambda: set(feed.reader.ring.following()) == {0, 1}, "the new one is seen")
        topic.write(topic.change(2), partition=1)
        eventually(lambda: feed.reader.ring.following() == {0: 1, 1: 1}, "and read")
        assert rows(feed.following(ALL, 9, {0: 1})) == [2]
    finally:
        stop(feed)


def test_who_is_far_behind_goes_on_near_the_end(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helfy.feed.reader.BACK_RECORDS", 10)
    feed = topic.feed()
    try:
        eventually(lambda: feed.reader.pulse.feed() != "cutOff", "the reader reaches Kafka")
        topic.write(*(topic.change(row) for row in range(1, 301)))
        eventually(lambda: feed.reader.ring.following() == {0: 300}, "all is read")
        assert len(feed.following(ALL, 200, {0: 0}).entries) == 200, "the rest is in Kafka"
        assert sum(
            sum(each.values()) for each in feed.reader.latencies.minutes.by_minute().values()
        )
    finally:
        stop(feed)


def test_two_may_read_old_lines_and_a_third_is_told_to_come_again(topic: Topic) -> None:
    pager = Pager(topic.stream())
    try:
        with pager.turn() as first:
            assert first.bounds() == {0: (0, 0)}
            waiting = [pager._admitted.acquire(blocking=False) for _ in range(ADMITTED - 1)]
            assert all(waiting)
            begun = time.monotonic()
            with pager.turn() as third, pytest.raises(BusyError):
                third.bounds()
            assert time.monotonic() - begun < 0.5, "at once"
            for _ in waiting:
                pager._admitted.release()
        with pager.turn() as next_one:
            assert next_one.bounds() == {0: (0, 0)}
    finally:
        pager.close()


def test_a_connection_that_nobody_needs_is_closed(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    pager = Pager(topic.stream())
    with pager.turn() as turn:
        turn.bounds()
    pager.tidy()
    assert pager._consumer is not None
    monkeypatch.setattr("helfy.feed.pager.IDLE_SECONDS", 0)
    pager.tidy()
    assert pager._consumer is None


def test_a_kafka_that_is_not_there_holds_nothing_up_and_leaves_nothing_behind() -> None:
    # In a process of its own, for its threads to be counted.
    script = """
import threading, time
from helfy.feed import client, reader
from helfy.feed.settings import Stream
client.CONNECT_MS = 200
reader.FIRST_PAUSE_SECONDS = reader.LONGEST_PAUSE_SECONDS = 0.05
watch = reader.StreamReader(Stream(bootstrap_servers=("127.0.0.1:1",)))
started = time.monotonic()
watch.start()
assert time.monotonic() - started < 1
time.sleep(1.5)
print(watch.pulse.state(), watch.pulse.feed(), threading.active_count() <= 3)
watch.stop()
print(threading.active_count())
"""
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["degraded", "cutOff", "True", "1"], done.stderr


def test_the_age_of_an_offset() -> None:
    marks = Marks()
    for offset in range(10):
        marks.note(0, offset, 1000.0 + offset)
    assert marks.age(0, 10, 1020.0) == 0, "all is done"
    assert marks.age(0, 7, 1020.0) == 13
    assert marks.age(0, 0, 1020.0) == 20
    assert marks.age(5, 0, 1020.0) == 0, "nothing is known"
    marks.note(0, 3, 2000.0)
    assert marks.age(0, 3, 2001.0) == 1, "the topic was made anew"


def test_the_last_hour_by_minute() -> None:
    now = [6000.0]
    minutes = Minutes(lambda: now[0])
    minutes.note("ok")
    minutes.note("ok", at=6000.0 - 3700)
    now[0] += 59 * 60
    minutes.note("refused", count=2)
    assert minutes.by_minute() == {100: {"ok": 1}, 159: {"refused": 2}}
    now[0] += 60
    assert minutes.by_minute() == {159: {"refused": 2}}


def test_the_most_of_a_minute() -> None:
    now = [6000.0]
    minutes = Minutes(lambda: now[0])
    for value in (3, 7, 0, 5):
        minutes.note_most("lag", value)
    now[0] += 60
    minutes.note_most("lag", 0)
    assert minutes.by_minute() == {100: {"lag": 7}}


def test_latencies_are_told_by_their_class() -> None:
    latencies = Latencies(lambda: 6000.0)
    for lag in [5] * 50 + [450] * 45 + [10**9] * 5:
        latencies.note(lag, 6000.0)
    latencies.note(None, 6000.0)
    [counts] = latencies.minutes.by_minute().values()
    assert sum(counts.values()) == 100
    assert [quantile(counts, share) for share in (0.5, 0.95, 0.99)] == [10, 500, 3_600_000]
    assert quantile({}, 0.5) is None


def test_records_of_before_are_no_sign_of_life_now(topic: Topic) -> None:
    old = int(time.time() * 1000) - 3_600_000
    topic.write(*(topic.change(row) for row in range(1, 4)), first_ms=old)
    feed = topic.feed()
    try:
        eventually(lambda: feed.reader.ring.following() == {0: 3}, "all is read")
        assert feed.reader.pulse.state() == "degraded"
        assert feed.reader.pulse.feed() == "behind"
        assert 3000 < feed.reader.pulse.silence() < 4000
        topic.write(topic.heartbeat())
        eventually(lambda: feed.reader.pulse.feed() == "live", "there is life")
    finally:
        stop(feed)


def test_watermarks_of_long_ago_are_as_good_as_silence(
    topic: Topic, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    feed = topic.feed(max_silence_seconds=20)
    try:
        topic.write(topic.watermark(600), topic.watermark(400))
        eventually(lambda: feed.reader.ring.following() == {0: 2}, "both are read")
        assert feed.reader.pulse.state() == "degraded"
        assert feed.reader.pulse.feed() == "behind"
        topic.write(topic.watermark(1))
        eventually(lambda: feed.reader.pulse.feed() == "live", "there is life")
        # What is sent once more from further back does not take the newest away.
        topic.write(topic.watermark(300))
        topic.write(topic.watermark(200))
        eventually(lambda: feed.reader.ring.following() == {0: 5}, "all is read")
        assert feed.reader.pulse.state() == "ok"
    finally:
        stop(feed)
    assert states(caplog) == [("ok", "INFO")]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, None),
        (b"{", None),
        (b"{}", None),
        (b'{"ts_ms":5}', None),
        (b'{"isDdl":false,"type":"TIDB_WATERMARK","es":1}', None),
        (b'{"isDdl":false,"type":"TIDB_WATERMARK","es":1,"_tidb":{"watermarkTs":true}}', None),
        (
            b'{"isDdl":false,"type":"TIDB_WATERMARK","es":0,"_tidb":{"watermarkTs":%d}}'
            % 470669194426318858,
            1795460488992,
        ),
        (
            b'{"isDdl":false,"type":"UPDATE","es":1,"_tidb":{"commitTs":470669194426318858}}',
            1795460488992,
        ),
    ],
)
def test_how_far_a_record_says_that_the_source_has_come(
    value: bytes | None, told: int | None
) -> None:
    assert told_ms(value) == told
