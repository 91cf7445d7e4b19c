"""The watch over the stream of changes."""

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from api_support import Log

from helfy.api.settings import Stream
from helfy.api.stream import StreamWatch
from helfy.consumer.change import Record
from helfy.consumer.decode import told_ms


class Topic:
    """Stands in for Kafka: hands out what a test puts in, fails when told to."""

    def __init__(self) -> None:
        self.records: queue.Queue[dict[str, Any]] = queue.Queue()
        self.failing = threading.Event()
        self.partitions: set[int] | None = {0, 1}
        self.opened = 0
        self.closed = 0

    def connect(self, _settings: Stream) -> "Topic":
        self.opened += 1
        self._fail()
        return self

    def partitions_for_topic(self, _topic: str) -> set[int] | None:
        return self.partitions

    def assign(self, partitions: list[Any]) -> None:
        assert {each.partition for each in partitions} == self.partitions

    def poll(self, timeout_ms: int) -> dict[int, list[Record]]:
        assert timeout_ms
        self._fail()
        try:
            value = self.records.get(timeout=0.02)
        except queue.Empty:
            return {}
        return {0: [Record("tidb_changes", 0, 0, None, json.dumps(value).encode())]}

    def close(self) -> None:
        self.closed += 1

    def _fail(self) -> None:
        if self.failing.is_set():
            raise ConnectionError("Kafka is away")


def eventually(true: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_stream_is_ok_while_records_come(log: Log) -> None:
    topic = Topic()
    watch = StreamWatch(Stream(max_silence_seconds=1), topic.connect)
    assert watch.state() == "degraded", "nothing is known yet"
    watch.start()
    try:
        assert watch.state() == "degraded"
        topic.records.put({"ts_ms": 1})
        eventually(lambda: watch.state() == "ok")
        eventually(lambda: watch.state() == "degraded")
        topic.failing.set()
        eventually(lambda: topic.closed >= 1)
        topic.failing.clear()
        topic.partitions = None
        opened = topic.opened
        eventually(lambda: topic.opened > opened)
        topic.partitions = {0}
        topic.records.put({"ts_ms": 1})
        eventually(lambda: watch.state() == "ok")
    finally:
        watch.stop()
    assert topic.closed
    states = [(line["state"], line["level"]) for line in log.lines("change_stream")]
    assert states == [("ok", "info"), ("degraded", "warning"), ("ok", "info")], "once per change"


def watermark(seconds_ago: float) -> dict[str, Any]:
    moment = int((time.time() - seconds_ago) * 1000) << 18
    told = {"isDdl": False, "type": "TIDB_WATERMARK", "es": 0, "database": ""}
    return {**told, "_tidb": {"watermarkTs": moment}}


def test_watermarks_of_long_ago_are_as_good_as_silence(log: Log) -> None:
    topic = Topic()
    watch = StreamWatch(Stream(max_silence_seconds=20), topic.connect)
    watch.start()
    try:
        topic.records.put(watermark(600))
        eventually(topic.records.empty)
        topic.records.put(watermark(400))
        eventually(topic.records.empty)
        assert watch.state() == "degraded"
        topic.records.put(watermark(1))
        eventually(lambda: watch.state() == "ok")
        # What is sent once more from further back does not take the newest away.
        for seconds in (300, 200):
            topic.records.put(watermark(seconds))
            eventually(topic.records.empty)
        assert watch.state() == "ok"
    finally:
        watch.stop()
    assert [line["state"] for line in log.lines("change_stream")] == ["ok"]


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
            json.dumps(watermark(0) | {"_tidb": {"watermarkTs": 470669194426318858}}).encode(),
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


def test_a_kafka_that_is_not_there_holds_nothing_up_and_leaves_nothing_behind() -> None:
    # In a process of its own: kafka-python leaves failed sockets to the garbage collector,
    # which here would be an error of whatever test comes next.
    script = """
import threading, time
from helfy.api import stream
from helfy.api.settings import Stream
stream._CONNECT_MS = 200
stream._FIRST_PAUSE_SECONDS = stream._LONGEST_PAUSE_SECONDS = 0.05
watch = stream.StreamWatch(Stream(bootstrap_servers=("127.0.0.1:1",)))
started = time.monotonic()
watch.start()
assert time.monotonic() - started < 1
time.sleep(1.5)
print(watch.state(), threading.active_count() <= 3)
watch.stop()
print(threading.active_count())
"""
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["degraded", "True", "1"], done.stderr
