"""Which lines are known as replays of others."""

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from consumer_support import SETTINGS, change, record

from helfy.consumer.commits import MARGIN_SECONDS
from helfy.consumer.output import Output
from helfy.consumer.recorder import Recorder
from helfy.consumer.replay import Replays


def paper() -> tuple[list[bytes], Callable[[bytes], float]]:
    lines: list[bytes] = []

    def write(line: bytes) -> float:
        lines.append(line)
        return 0.0

    return lines, write


def test_a_record_that_is_not_understood_is_known_again_but_not_in_another_topic() -> None:
    lines, write = paper()
    recorder = Recorder(SETTINGS, write, Replays())
    one = record(b"{")
    other = type(one)(one.topic, one.partition, one.offset, one.key, one.value, 1795457079456)
    recorder.record([one, one, other])
    assert [json.loads(line).get("replayed") for line in lines] == [None, True, None]


def test_equal_rows_of_a_snapshot_without_a_key_are_no_replays() -> None:
    lines, write = paper()
    row = record(change("r"))
    following = type(row)(row.topic, row.partition, row.offset + 1, None, row.value)
    Recorder(SETTINGS, write, Replays()).record([row, following, row])
    assert [json.loads(line).get("replayed") for line in lines] == [None, None, True]
    assert len({json.loads(line)["change"]["id"] for line in lines}) == 1


def test_a_line_that_could_not_be_written_is_not_known(tmp_path: Path) -> None:
    def broken(_line: bytes) -> float:
        raise BrokenPipeError

    replays = Replays(tmp_path, lambda: "aa")
    failing = Recorder(SETTINGS, broken, replays)
    with pytest.raises(BrokenPipeError):
        failing.record([record(change(), {"id": 1})])
    lines, write = paper()
    Recorder(SETTINGS, write, Replays(tmp_path, lambda: "aa")).record([record(change(), {"id": 1})])
    assert "replayed" not in json.loads(lines[0])


def test_a_snapshot_after_changes_is_told_once_with_both_positions(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What changed between the two may have no line: nobody may overlook that."""
    lines, write = paper()
    recorder = Recorder(SETTINGS, write, Replays())
    rows = [record(change("r", source=at(900, snapshot="first")), {"id": n}) for n in (1, 2)]
    recorder.record([record(change("c", source=at(100)), {"id": 1}), *rows])
    recorder.record([record(change("u", source=at(950)), {"id": 1})])
    [said] = [entry for entry in caplog.records if entry.message == "snapshot_taken"]
    assert said.levelname == "ERROR"
    assert said.fields["lastChangeAt"] == "binlog.000001:100"  # type: ignore[attr-defined]
    assert said.fields["snapshotAt"] == "binlog.000001:900"  # type: ignore[attr-defined]
    assert len(lines) == 4


def test_a_replayed_snapshot_is_not_told_again(caplog: pytest.LogCaptureFixture) -> None:
    _, write = paper()
    recorder = Recorder(SETTINGS, write, Replays())
    row = record(change("r", source=at(900, snapshot="first")), {"id": 1})
    recorder.record([row, record(change("c", source=at(950)), {"id": 2}), row])
    assert [entry.message for entry in caplog.records].count("snapshot_taken") == 1


def at(position: int, snapshot: str = "false") -> dict[str, object]:
    """The source of a change at a position of the binlog."""
    known: dict[str, object] = change()["source"]
    return {**known, "file": "binlog.000001", "pos": position, "snapshot": snapshot}


AGE = SETTINGS.sync_interval_seconds + MARGIN_SECONDS


class Journal:
    """journald's end of a stream, which may stall while the disk does; and a clock."""

    def __init__(self, ours: socket.socket, its: socket.socket) -> None:
        self.now = 100.0
        self.size = 0  # of the last line
        self._its = its
        output = Output(ours.fileno())

        def write(line: bytes) -> float:
            output.write(line)
            self.size = len(line) + 1
            return self.now

        self.output = output
        self.write = write

    def read(self, count: int = 1024**2) -> None:
        self._its.recv(count)

    def recorder(self, replays: Replays) -> Recorder:
        return Recorder(SETTINGS, self.write, replays, lambda: self.now, unread=self.output.unread)


@pytest.fixture(name="pair")
def _pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, its = socket.socketpair()
    ours.shutdown(socket.SHUT_RD)  # as systemd does
    with ours, its:
        yield ours, its


def test_nothing_is_committable_until_the_journal_has_read_it_and_the_age_has_passed(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    journal = Journal(*pair)
    recorder = journal.recorder(Replays())
    recorder.record([record(change(), {"id": 1})])
    for journal.now in (100.0 + AGE, 200.0):
        assert recorder.committable() == {}
        assert recorder.settled_at() == journal.now + AGE
    journal.read(10)  # not the whole line
    assert recorder.committable() == {}
    journal.read()
    for journal.now in (300.0, 300.0 + AGE - 0.01):
        assert recorder.committable() == {}
    assert recorder.settled_at() == 300.0 + AGE
    journal.now = 300.0 + AGE
    assert recorder.committable() == {0: 8}


def test_a_line_that_the_journal_never_read_is_not_known_after_a_crash_of_the_vm(
    pair: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    journal = Journal(*pair)
    before = Replays(tmp_path, lambda: "aa", clock=lambda: journal.now)
    recorder = journal.recorder(before)
    one = record(change(), {"id": 1})
    recorder.record([one])
    journal.now = 200.0
    recorder.record([record(change(source={"pos": 4000}), {"id": 1})])
    lines, write = paper()
    after = Replays(tmp_path, lambda: "bb", clock=lambda: journal.now)
    Recorder(SETTINGS, write, after).record([one])
    assert "replayed" not in json.loads(lines[0])


def test_a_journal_that_is_gone_has_read_nothing(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    journal = Journal(*pair)
    recorder = journal.recorder(Replays())
    recorder.record([record(change(), {"id": 1})])
    pair[1].close()
    journal.now = 200.0
    with pytest.raises(BrokenPipeError):
        recorder.committable()


def test_a_steady_stream_is_committed_although_some_of_it_is_never_read_yet(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    journal = Journal(*pair)
    recorder = journal.recorder(Replays())
    for number in range(100):
        told = change("u", source={"gtid": f"0-1-{number}"})
        recorder.record([replace(record(told, {"id": 1}), offset=number)])
        if number >= 10:
            journal.read(journal.size)
        journal.now += 0.2
        assert journal.output.unread()
    assert 50 < recorder.committable()[0] < 85
