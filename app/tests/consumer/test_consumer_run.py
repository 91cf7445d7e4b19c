"""The loop, against a Kafka of paper."""

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from consumer_support import SETTINGS, change

from helfy.consumer import run
from helfy.consumer.change import Record
from helfy.consumer.lost import Lost
from helfy.consumer.output import Output
from helfy.consumer.recorder import Recorder
from helfy.consumer.run import Consumer
from helfy.consumer.settings import Settings
from helfy.consumer.source import KafkaError, Source
from helfy.consumer.stop import StopFlag

QUICK = replace(SETTINGS, sync_interval_seconds=0.05)


class PaperKafka:
    """Gives the records of each step; a step may be a fault instead. Then it stops the loop."""

    def __init__(self, stop: StopFlag, *steps: "list[Record] | Exception") -> None:
        self.steps = list(steps)
        self.stop = stop
        self.commits: list[dict[int, int]] = []
        self.opened = 0
        self.closed = 0
        self.present: Exception | None = None
        self.losses: list[Lost | Exception] = []

    def open(self, _settings: Settings, _recorder: Recorder) -> Source:
        self.opened += 1
        step = self.steps[0] if self.steps else None
        if isinstance(step, ConnectionError):
            del self.steps[0]
            raise step
        return self

    def poll(self, timeout_ms: int) -> list[Record]:
        assert timeout_ms > 0
        if not self.steps:
            self.stop.is_set = True
            return []
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def lost(self) -> list[Lost]:
        item = self.losses.pop(0) if self.losses else None
        if isinstance(item, Exception):
            raise item
        return [item] if item else []

    def commit(self, offsets: Mapping[int, int], timeout_ms: int) -> None:
        assert timeout_ms > 0
        self.commits.append(dict(offsets))

    def lag(self) -> int:
        return 0

    def probe(self) -> None:
        if self.present is not None:
            raise self.present

    def close(self, timeout_ms: int) -> None:
        assert timeout_ms > 0
        self.closed += 1


def record(offset: int, partition: int = 0, value: bytes | None = b"") -> Record:
    told = change("u", source={"gtid": f"0-1-{partition}{offset}"})
    raw = json.dumps(told).encode() if value == b"" else value
    return Record("tidb_changes", partition, offset, b'{"id":1}', raw)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(run, "JOIN_SECONDS", 0.0)


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[tuple[Output, Callable[[], list[dict[str, Any]]]]]:
    path = tmp_path / "out"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    yield Output(descriptor), lambda: [json.loads(line) for line in path.read_text().splitlines()]
    os.close(descriptor)


Lines = tuple[Output, Callable[[], list[dict[str, Any]]]]


def test_every_record_is_written_and_committed_before_the_end(lines: Lines) -> None:
    stop = StopFlag()
    kafka = PaperKafka(
        stop, [record(5), record(6, value=None), record(3, partition=1)], [record(7)]
    )
    Consumer(QUICK, kafka.open, lines[0], stop).run()
    told = [(line["source"]["partition"], line["source"]["offset"]) for line in lines[1]()]
    assert told == [(0, 5), (1, 3), (0, 7)]
    assert kafka.commits[-1] == {0: 8, 1: 4}
    assert kafka.closed == 1


def test_a_stop_does_not_wait_for_ever_for_lines_to_be_durable(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "DRAIN_SECONDS", 0.05)
    stop = StopFlag()
    kafka = PaperKafka(stop, [record(5)])
    Consumer(replace(SETTINGS, sync_interval_seconds=60), kafka.open, lines[0], stop).run()
    assert len(lines[1]()) == 1
    assert kafka.commits == []
    assert kafka.closed == 1


@pytest.mark.parametrize("reads", [True, False])
def test_a_stop_commits_what_the_journal_has_read(
    monkeypatch: pytest.MonkeyPatch, *, reads: bool
) -> None:
    monkeypatch.setattr(run, "DRAIN_SECONDS", 1.0)
    stop = StopFlag()
    kafka = PaperKafka(stop, [record(5)])
    ours, its = socket.socketpair()
    reader = threading.Thread(target=lambda: its.recv(65_536))
    with ours, its:
        if reads:
            reader.start()
        Consumer(QUICK, kafka.open, Output(ours.fileno()), stop).run()
        if reads:
            reader.join()
    assert kafka.commits == ([{0: 6}] if reads else [])
    assert kafka.closed == 1


def test_a_journal_that_is_gone_ends_the_consumer_without_a_commit() -> None:
    ours, its = socket.socketpair()

    class Ending(PaperKafka):
        def poll(self, timeout_ms: int) -> list[Record]:
            if not self.steps:  # the line is written, and not read
                its.close()
            return super().poll(timeout_ms)

    kafka = Ending(StopFlag(), [record(5)])
    with ours, its, pytest.raises(BrokenPipeError):
        Consumer(QUICK, kafka.open, Output(ours.fileno()), kafka.stop).run()
    assert kafka.commits == []
    assert kafka.closed == 1


def test_kafka_away_is_one_line_and_no_end(lines: Lines, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    stop = StopFlag()
    away = [ConnectionError("refused") for _ in range(5)]
    kafka = PaperKafka(stop, *away, [record(5)])
    Consumer(QUICK, kafka.open, lines[0], stop).run()
    assert kafka.opened == 6
    said = [entry.getMessage() for entry in caplog.records]
    assert said == [
        "consumer_started",
        "kafka_unreachable",
        "kafka_reachable",
        "consumer_stopped",
    ]
    assert len(lines[1]()) == 1


def test_a_silent_kafka_is_asked_and_told_apart_from_an_absent_one(
    lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    stop = StopFlag()
    kafka = PaperKafka(stop, [], [])
    kafka.present = KafkaError("time-out")
    Consumer(QUICK, kafka.open, lines[0], stop).run()
    said = [entry.getMessage() for entry in caplog.records]
    assert said == ["consumer_started", "kafka_unreachable", "consumer_stopped"]


def test_a_fault_of_the_subscription_opens_another(
    lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    stop = StopFlag()
    fault = KafkaError("fenced")
    kafka = PaperKafka(stop, [record(5)], fault, [record(5), record(6)])
    Consumer(QUICK, kafka.open, lines[0], stop).run()
    assert (kafka.opened, kafka.closed) == (2, 2)
    written = lines[1]()
    assert [line["source"]["offset"] for line in written] == [5, 5, 6]
    assert [line.get("replayed") for line in written] == [None, True, None]
    assert kafka.commits[-1] == {0: 7}
    assert "kafka_error" in caplog.text


def test_lost_records_are_said_loudly_and_committed_past(
    lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    stop = StopFlag()
    kafka = PaperKafka(stop, [record(1)], [], [])
    kafka.losses = [KafkaError("asked again"), Lost(1, 5, 9), Lost(0, 0, 0)]
    Consumer(QUICK, kafka.open, lines[0], stop).run()
    [entry, stale] = [e for e in caplog.records if e.getMessage() == "records_lost"]
    assert entry.levelname == "ERROR"
    assert entry.__dict__["fields"] == {"partition": 1, "from": 5, "to": 9, "records": 5}
    assert stale.__dict__["fields"]["records"] == 1
    assert len(lines[1]()) == 1
    # A loss told late takes nothing back.
    assert kafka.commits[-1] == {0: 2, 1: 10}


def test_a_line_that_cannot_be_written_ends_the_consumer_without_its_commit() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stop = StopFlag()
    kafka = PaperKafka(stop, [record(5)])
    with pytest.raises(BrokenPipeError):
        Consumer(QUICK, kafka.open, Output(writer), stop).run()
    os.close(writer)
    assert kafka.commits == []
    assert kafka.closed == 1


def test_signals_only_set_the_flag() -> None:
    stop = StopFlag()
    before = {which: signal.getsignal(which) for which in (signal.SIGTERM, signal.SIGINT)}
    try:
        stop.install()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.is_set
        stop.is_set = False
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_set
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
