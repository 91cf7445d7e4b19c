"""Pages of the feed, out of a real Kafka: newest first, after a cursor, and far back."""

import json
import time
from collections.abc import Iterator

import pytest
from feed_topic import SECRET, Topic, eventually, rows, stop
from kafka_server import Kafka

from helfy.consumer.change import Record
from helfy.consumer.pipeline import Pipeline
from helfy.feed import pager, reader
from helfy.feed.cursor import CursorError, read, write
from helfy.feed.entry import Wanted
from helfy.feed.feed import Feed, Lost
from helfy.feed.ring import Ring

ALL = Wanted()


@pytest.fixture
def topic(kafka: Kafka) -> Topic:
    return Topic(kafka)


@pytest.fixture
def feed(topic: Topic) -> Iterator[Feed]:
    made = topic.feed()
    eventually(lambda: made.reader.pulse.feed() != "cutOff", "the reader reaches Kafka")
    yield made
    stop(made)


def read_up_to(feed: Feed, offset: int, partition: int = 0) -> None:
    eventually(
        lambda: feed.reader.ring.following().get(partition, -1) >= offset, f"offset {offset} read"
    )


def all_after(feed: Feed, after: dict[int, int], wanted: Wanted = ALL, limit: int = 3) -> list[int]:
    found: list[int] = []
    while True:
        page = feed.following(wanted, limit, after)
        assert len(page.entries) <= limit
        found += rows(page)
        if not page.more:
            return found
        assert page.end != after, "a page that has more must get on"
        after = page.end


def all_before(feed: Feed, wanted: Wanted = ALL, limit: int = 3) -> list[int]:
    found: list[int] = []
    page, _ = feed.newest(wanted, limit)
    while True:
        assert len(page.entries) <= limit
        found += rows(page)
        if not page.more:
            return found
        before = page.end
        page, _ = feed.newest(wanted, limit, before)
        assert page.end != before, "a page that has more must get on"


def test_the_line_is_the_consumers_without_secrets(topic: Topic, feed: Feed) -> None:
    key, value = topic.change(7, "u")
    sent_at = int(time.time() * 1000)
    topic.write((key, value), first_ms=sent_at)
    read_up_to(feed, 1)
    page, _ = feed.newest(ALL, 10)
    [entry] = page.entries
    record = Record(topic.name, 0, 0, json.dumps(key).encode(), json.dumps(value).encode(), sent_at)
    made = Pipeline(topic.stream().lines(), clock=lambda: sent_at / 1000).line(record)
    assert made is not None
    assert entry.text == made.text
    line = json.loads(entry.text)
    assert line["action"] == "db_change"
    assert line["change"]["old"] == {"email": "old"}
    assert line["change"]["redacted"] == ["password_hash"]
    assert SECRET.encode() not in entry.text


def test_pages_from_the_newest_to_the_oldest(topic: Topic, feed: Feed) -> None:
    topic.write(*(topic.change(row) for row in range(1, 11)))
    read_up_to(feed, 10)
    assert all_before(feed) == list(range(10, 0, -1))


def test_after_a_cursor_nothing_is_missed_nor_given_twice(topic: Topic, feed: Feed) -> None:
    topic.write(*(topic.change(row) for row in range(1, 6)))
    read_up_to(feed, 5)
    _, now = feed.newest(ALL, 1)
    assert feed.following(ALL, 10, now).entries == []
    topic.write(topic.heartbeat(), *(topic.change(row) for row in range(6, 13)))
    read_up_to(feed, 13)
    assert all_after(feed, now) == list(range(6, 13))


def test_a_cursor_of_one_process_is_good_for_another(topic: Topic, feed: Feed) -> None:
    topic.write(*(topic.change(row) for row in range(1, 9)))
    read_up_to(feed, 8)
    page, now = feed.newest(ALL, 3)
    other = topic.feed()
    try:
        read_up_to(other, 8)
        assert rows(other.newest(ALL, 3, page.end)[0]) == [5, 4, 3]
        topic.write(topic.change(9))
        read_up_to(other, 9)
        assert rows(other.following(ALL, 9, now)) == [9]
    finally:
        stop(other)


def test_what_is_no_longer_in_memory_comes_from_kafka(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "BACK_RECORDS", 20)
    monkeypatch.setattr(pager, "SPAN_RECORDS", 30)
    monkeypatch.setattr("helfy.feed.feed.SPAN_RECORDS", 30)
    records = [
        record
        for row in range(1, 101)
        for record in (topic.change(row), topic.heartbeat(), topic.heartbeat())
    ]
    topic.write(*records)
    feed = topic.feed()
    try:
        read_up_to(feed, 300)
        assert feed.reader.ring.size()[0] < 10, "few of them are in memory"
        assert all_before(feed, limit=7) == list(range(100, 0, -1))
        assert all_after(feed, {0: 0}, limit=7) == list(range(1, 101))
        assert all_after(feed, {0: 150}, limit=50) == list(range(51, 101))
    finally:
        stop(feed)


def test_one_request_reads_so_much_of_kafka_and_says_that_there_is_more(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "BACK_RECORDS", 5)
    monkeypatch.setattr(pager, "MOST_RECORDS", 50)
    monkeypatch.setattr("helfy.feed.feed.SPAN_RECORDS", 25)
    topic.write(topic.change(1), *(topic.heartbeat() for _ in range(300)))
    feed = topic.feed()
    try:
        read_up_to(feed, 301)
        page, _ = feed.newest(ALL, 10)
        assert page.entries == []
        assert page.more
        assert 200 < page.end[0] <= 251
        assert all_before(feed) == [1]
        assert all_after(feed, {0: 0}) == [1]
    finally:
        stop(feed)


def test_several_partitions_are_put_together_by_time(kafka: Kafka) -> None:
    topic = Topic(kafka, partitions=3)
    now = int(time.time() * 1000) - 1000
    for row in range(1, 31):
        topic.write(topic.change(row), partition=row % 3, first_ms=now + row)
    feed = topic.feed()
    try:
        for partition in range(3):
            read_up_to(feed, 10, partition)
        assert all_before(feed, limit=4) == list(range(30, 0, -1))
        assert all_after(feed, {0: 0, 1: 0, 2: 0}, limit=4) == list(range(1, 31))
        assert sorted(all_after(feed, {0: 5})) == sorted(
            [row for row in range(1, 31) if row % 3 or row > 15]
        ), "a partition that the cursor does not know is read from its beginning"
    finally:
        stop(feed)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(type="DELETE"), [4]),
        (Wanted(table="sessions"), [3]),
        (Wanted(table="HELFY.Users"), [5, 4, 2, 1]),
        (Wanted(key="2"), [2]),
        (Wanted(key='{"id": 2}'), [2]),
        (Wanted(table="users", type="INSERT", key="1"), [1]),
        (Wanted(table="nothing"), []),
    ],
)
def test_filters(topic: Topic, feed: Feed, wanted: Wanted, expected: list[int]) -> None:
    topic.write(
        topic.change(1),
        topic.change(2),
        topic.change(3, table="sessions"),
        topic.change(4, "d"),
        topic.change(5, "u"),
    )
    read_up_to(feed, 5)
    assert all_before(feed, wanted) == expected
    assert all_after(feed, {0: 0}, wanted) == expected[::-1]


def test_a_record_that_is_not_understood_has_its_line(topic: Topic, feed: Feed) -> None:
    topic.write(({"id": 1}, b"no JSON, and a secret"), topic.change(1))
    read_up_to(feed, 2)
    page, _ = feed.newest(Wanted(type="UNDECODABLE"), 10)
    [entry] = page.entries
    assert json.loads(entry.text)["action"] == "undecodable"
    assert b"secret" not in entry.text


def test_a_page_has_its_bytes_too(
    topic: Topic, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helfy.feed.feed.PAGE_BYTES", 5000)
    topic.write(*(topic.change(row, note="x" * 2000) for row in range(1, 8)))
    read_up_to(feed, 7)
    page, _ = feed.newest(ALL, 100)
    assert 1 <= len(page.entries) < 4
    assert page.more
    assert all_before(feed, limit=100) == list(range(7, 0, -1))


def test_what_retention_took_is_said(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "BACK_RECORDS", 2)
    topic.write(*(topic.change(row) for row in range(1, 11)))
    topic.kafka.delete_records(topic.name, 0, 6)
    feed = topic.feed()
    try:
        read_up_to(feed, 10)
        page = feed.following(ALL, 100, {0: 2})
        assert page.lost == [Lost(0, 2, 5)]
        assert rows(page) == [7, 8, 9, 10]
        assert feed.following(ALL, 100, page.end).lost == [], "once"
        assert all_before(feed) == [10, 9, 8, 7]
    finally:
        stop(feed)


def test_a_topic_made_anew_is_said(topic: Topic) -> None:
    feed = topic.feed(max_silence_seconds=3)
    try:
        topic.write(*(topic.change(row) for row in range(1, 11)))
        read_up_to(feed, 10)
        _, now = feed.newest(ALL, 1)
        topic.kafka.delete_topic(topic.name)
        eventually(lambda: topic.name not in _topics(topic), "the topic is gone")
        topic.make()
        topic.write(topic.change(77))
        eventually(
            lambda: feed.reader.ring.following() == {0: 1} and feed.reader.pulse.caught_up(),
            "the new topic is read",
            90,
        )
        page = feed.following(ALL, 10, now)
        assert page.lost == [Lost(0, 10, None)]
        assert rows(page) == [77]
    finally:
        stop(feed)


def _topics(topic: Topic) -> list[str]:
    admin = topic.kafka.admin()
    try:
        return list(admin.list_topics())
    finally:
        admin.close()


def test_cursors_are_read_and_written() -> None:
    assert read(write({3: 7, 0: 812})) == {0: 812, 3: 7}
    assert write({3: 7, 0: 812}) == "0.812_3.7"
    for bad in (
        "",
        "0",
        "0.x",
        "-1.2",
        "0.1_0.2",
        "0.1_",
        "\u0660.\u0661",
        "0.1 ",
        "1." + "9" * 20,
        "0.1" * 999,
    ):
        with pytest.raises(CursorError):
            read(bad)


def test_the_ring_keeps_so_many_lines_and_bytes(topic: Topic) -> None:
    ring = Ring(most_lines=5, most_bytes=10_000)
    feed = topic.feed()
    try:
        topic.write(*(topic.change(row, note="x" * 1000) for row in range(1, 21)))
        read_up_to(feed, 20)
        entries = feed.newest(ALL, 100)[0].entries[::-1]
    finally:
        stop(feed)
    ring.restart(0, 0)
    ring.add(0, entries, 21)
    assert ring.size()[0] == 5
    assert ring.size()[1] <= 10_000
    assert ring.above(0, 10) is None, "what is not whole is not given"
    span = ring.above(0, 16)
    assert span is not None
    assert [entry.offset for entry in span.entries] == [16, 17, 18, 19]
    below = ring.below(0, 21)
    assert below is not None
    assert (below.first, below.stop, len(below.entries)) == (15, 21, 5)
