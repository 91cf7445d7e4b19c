"""The loop, against a Kafka of paper and a journal in a pipe."""

import contextlib
import json
import logging
import os
import signal
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from consumer_support import SETTINGS, change

from helfy import jsonlog
from helfy.consumer import commits, run
from helfy.consumer.change import Record
from helfy.consumer.commits import WrittenLines
from helfy.consumer.journal_files import Fault
from helfy.consumer.lost import Lost
from helfy.consumer.output import Output, OutputHandler
from helfy.consumer.recorder import Recorder
from helfy.consumer.replay import Replays
from helfy.consumer.run import Consumer
from helfy.consumer.settings import Settings
from helfy.consumer.source import KafkaError, Source
from helfy.consumer.stop import StopFlag


class PaperKafka:
    """Gives the records of each step; a step may be a fault instead. Then it stops the loop."""

    def __init__(self, stop: StopFlag, *steps: "list[Record] | Exception") -> None:
        self.steps = list(steps)
        self.stop = stop
        self.commits: list[dict[int, int]] = []
        self.opened = 0
        self.closed = 0
        self.present: Exception | None = None
        self.losses: list[Lost] = []
        self.paused: list[bool] = []
        self.told: list[Mapping[str, object] | None] = []

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
        return [self.losses.pop(0)] if self.losses else []

    def pause(self, *, paused: bool) -> None:
        self.paused.append(paused)

    def commit(
        self, offsets: Mapping[int, int], journal: Mapping[str, object] | None, timeout_ms: int
    ) -> None:
        assert timeout_ms > 0
        if offsets:
            self.commits.append(dict(offsets))
        self.told.append(journal)

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


class Journal:
    """The persistent journal at the end of a consumer's output; it may take no lines."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.takes = True
        self.loses: bytes | None = None  # what is in the first line that is not there later
        self.text = b""
        self._given = 0

    def read(self) -> list[bytes]:
        if not self.takes:
            return []
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self.reader, 65_536):
                self.text += more
        given, self._given = self._given, self.text.rfind(b"\n") + 1
        lines = self.text[given : self._given].splitlines()
        if self.loses is not None and self.text.count(self.loses) == 1:
            lines = [line for line in lines if self.loses not in line]
        return lines

    def lines(self) -> list[dict[str, Any]]:
        self.read()
        return [json.loads(line) for line in self.text.splitlines()]

    def fault(self) -> Fault:
        return Fault("full", "no room", "make room")

    def consumer(self, kafka: PaperKafka) -> Consumer:
        replays = Replays()
        self.written = WrittenLines(replays, self)
        output = Output(self.writer, self.written.wrote)
        handler = OutputHandler(output)
        jsonlog.configure("info", handler)
        return Consumer(SETTINGS, kafka.open, output, kafka.stop, self.written, replays, self.fault)


@pytest.fixture
def journal() -> Iterator[Journal]:
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    made = Journal()
    yield made
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logging.captureWarnings(capture=False)
    os.close(made.reader)
    with contextlib.suppress(OSError):
        os.close(made.writer)


def changes(journal: Journal) -> list[dict[str, Any]]:
    return [line for line in journal.lines() if line["action"] == "db_change"]


def actions(journal: Journal) -> list[str]:
    return [line["action"] for line in journal.lines() if line["action"] != "db_change"]


def test_every_record_is_written_and_committed_before_the_end(journal: Journal) -> None:
    stop = StopFlag()
    kafka = PaperKafka(
        stop, [record(5), record(6, value=None), record(3, partition=1)], [record(7)]
    )
    journal.consumer(kafka).run()
    told = [(line["source"]["partition"], line["source"]["offset"]) for line in changes(journal)]
    assert told == [(0, 5), (1, 3), (0, 7)]
    assert kafka.commits[-1] == {0: 8, 1: 4}
    assert kafka.closed == 1


def test_a_stop_does_not_wait_for_ever_and_commits_nothing_unconfirmed(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "DRAIN_SECONDS", 0.05)
    kafka = PaperKafka(StopFlag(), [record(5)])
    journal.takes = False
    journal.consumer(kafka).run()
    journal.takes = True
    assert len(changes(journal)) == 1
    assert kafka.commits == []
    assert kafka.closed == 1


def test_a_journal_that_takes_no_lines_is_told_and_pauses_reading(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "DRAIN_SECONDS", 0.05)
    monkeypatch.setattr(run, "COMMIT_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(run, "MAX_WAITING", 3)
    monkeypatch.setattr(commits, "PERSISTENT_WITHIN_SECONDS", 0.05)

    class Slow(PaperKafka):
        def poll(self, timeout_ms: int) -> list[Record]:
            time.sleep(0.1)
            if len(self.steps) == 2:
                journal.takes = True
            return super().poll(timeout_ms)

    kafka = Slow(StopFlag(), [record(5), record(6)], [], [], [], [])
    journal.takes = False
    consumer = journal.consumer(kafka)
    consumer.run()
    assert kafka.paused[0] is False
    assert True in kafka.paused
    assert kafka.paused[-1] is False
    assert kafka.commits[-1] == {0: 7}
    told = [each["cause"] for each in kafka.told if each]
    assert set(told) == {"full"}
    assert kafka.told[0] is None
    assert kafka.told[-1] is None
    assert [action for action in actions(journal) if action.startswith("journal")] == [
        "journal_not_persistent",
        "journal_persistent",
    ]
    [said] = [line for line in journal.lines() if line["action"] == "journal_not_persistent"]
    assert (said["level"], said["cause"], said["remedy"]) == ("error", "full", "make room")


def test_lines_that_the_journal_lost_are_read_and_written_again(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "GRACE_SECONDS", 0.0)

    journal.loses = b'"offset":5'

    class Patient(PaperKafka):
        def poll(self, timeout_ms: int) -> list[Record]:
            journal.written.confirm()
            return super().poll(timeout_ms)

    kafka = Patient(StopFlag(), [record(5), record(6)], [], [record(5), record(6)])
    journal.consumer(kafka).run()
    assert (kafka.opened, kafka.closed) == (2, 2)
    written = changes(journal)
    assert [line["source"]["offset"] for line in written] == [5, 6, 5, 6]
    # The line that is there is known, the one that was lost is not.
    assert [line.get("replayed") for line in written] == [None, None, None, True]
    assert kafka.commits[-1] == {0: 7}
    [said] = [line for line in journal.lines() if line["action"] == "journal_lost_lines"]
    assert said["lines"] == 1


def test_kafka_away_is_one_line_and_no_end(journal: Journal) -> None:
    away = [ConnectionError("refused") for _ in range(5)]
    kafka = PaperKafka(StopFlag(), *away, [record(5)])
    journal.consumer(kafka).run()
    assert kafka.opened == 6
    assert actions(journal) == [
        "consumer_started",
        "kafka_unreachable",
        "kafka_reachable",
        "consumer_stopped",
    ]
    assert len(changes(journal)) == 1


def test_a_silent_kafka_is_asked_and_told_apart_from_an_absent_one(journal: Journal) -> None:
    kafka = PaperKafka(StopFlag(), [], [])
    kafka.present = KafkaError("time-out")
    journal.consumer(kafka).run()
    assert actions(journal) == ["consumer_started", "kafka_unreachable", "consumer_stopped"]


def test_a_fault_of_the_subscription_opens_another(journal: Journal) -> None:
    fault = KafkaError("fenced")
    kafka = PaperKafka(StopFlag(), [record(5)], fault, [record(5), record(6)])
    journal.consumer(kafka).run()
    assert (kafka.opened, kafka.closed) == (2, 2)
    written = changes(journal)
    assert [line["source"]["offset"] for line in written] == [5, 5, 6]
    assert [line.get("replayed") for line in written] == [None, True, None]
    assert kafka.commits[-1] == {0: 7}
    assert "kafka_error" in actions(journal)


def test_lost_records_are_said_loudly(journal: Journal) -> None:
    kafka = PaperKafka(StopFlag(), [record(1)], [])
    kafka.losses = [Lost(1, 5, 9), Lost(0, 7, None, "topic_recreated", "id")]
    journal.consumer(kafka).run()
    [one, two] = [line for line in journal.lines() if line["action"] == "records_lost"]
    assert one["level"] == "error"
    assert (one["from"], one["to"], one["records"], one["cause"]) == (5, 9, 5, "retention")
    assert (two["from"], two["records"], two["topicId"]) == (7, None, "id")


def test_a_line_that_cannot_be_written_ends_the_consumer_without_its_commit(
    journal: Journal,
) -> None:
    kafka = PaperKafka(StopFlag(), [record(5)])
    consumer = journal.consumer(kafka)
    os.close(journal.reader)
    with pytest.raises(BrokenPipeError):
        consumer.run()
    journal.reader = os.open(os.devnull, os.O_RDONLY)
    assert kafka.commits == []


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
