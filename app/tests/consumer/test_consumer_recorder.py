"""Which lines are known as replays of others."""

import json
from dataclasses import replace

import pytest
from consumer_support import SETTINGS, change, record, recorder

from helfy.consumer.commits import WrittenLines
from helfy.consumer.lost import Lost
from helfy.consumer.recorder import Recorder
from helfy.consumer.replay import Replays


def replayed(lines: list[bytes]) -> list[bool | None]:
    return [json.loads(line).get("replayed") for line in lines]


def test_a_record_that_is_not_understood_is_known_again_but_not_in_another_topic() -> None:
    lines: list[bytes] = []
    made = recorder(lines.append)
    one = record(b"{")
    made.record([one, one, replace(one, offset=8), replace(one, topic="other")])
    made.lost(Lost(0, 5, None, "topic_recreated"))
    made.record([one])
    assert replayed(lines) == [None, True, None, None, None]


def test_equal_rows_of_a_snapshot_without_a_key_are_no_replays() -> None:
    lines: list[bytes] = []
    row = record(change("r"))
    recorder(lines.append).record([row, replace(row, offset=8), row])
    assert replayed(lines) == [None, None, True]
    assert len({json.loads(line)["change"]["id"] for line in lines}) == 1


def test_a_line_that_could_not_be_written_is_not_known() -> None:
    def broken(_line: bytes) -> None:
        raise BrokenPipeError

    replays = Replays()
    with pytest.raises(BrokenPipeError):
        recorder(broken, replays).record([record(change(), {"id": 1})])
    lines: list[bytes] = []
    recorder(lines.append, replays).record([record(change(), {"id": 1})])
    assert replayed(lines) == [None]


class Journal:
    """A persistent journal that may take no lines."""

    def __init__(self) -> None:
        self.came: list[bytes] = []
        self.takes = True
        self.read_up_to = 0

    def read(self) -> list[bytes]:
        if not self.takes:
            return []
        found, self.read_up_to = self.came[self.read_up_to :], len(self.came)
        return found


@pytest.mark.parametrize("takes", [True, False])
def test_a_line_that_comes_again_is_a_replay_if_the_first_is_in_the_journal(
    monkeypatch: pytest.MonkeyPatch, *, takes: bool
) -> None:
    monkeypatch.setattr("helfy.consumer.recorder.SETTLE_SECONDS", 0.01)
    journal, replays = Journal(), Replays()
    written = WrittenLines(replays, journal)

    def write(line: bytes) -> None:
        written.wrote(line)
        journal.came.append(line)

    journal.takes = takes
    made = Recorder(SETTINGS, write, written, replays)
    one = record(change(), {"id": 1})
    made.record([one, one])
    assert replayed(journal.came) == [None, True if takes else None]


def test_lines_of_a_process_before_are_known_once_they_are_read_back() -> None:
    journal = Journal()
    recorder(journal.came.append).record([record(change(), {"id": 1}), record(b"{")])
    after = recorder(journal.came.append, reader=journal)
    after.read_back()
    after.record([record(change(), {"id": 1}), record(b"{")])
    assert replayed(journal.came) == [None, None, True, True]


def test_a_snapshot_after_changes_is_told_once_with_both_positions(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What changed between the two may have no line: nobody may overlook that."""
    lines: list[bytes] = []
    made = recorder(lines.append)
    rows = [record(change("r", source=at(900, snapshot="first")), {"id": n}) for n in (1, 2)]
    made.record([record(change("c", source=at(100)), {"id": 1}), *rows])
    made.record([record(change("u", source=at(950)), {"id": 1})])
    [said] = [entry for entry in caplog.records if entry.message == "snapshot_taken"]
    assert said.levelname == "ERROR"
    assert said.fields["lastChangeAt"] == "binlog.000001:100"  # type: ignore[attr-defined]
    assert said.fields["snapshotAt"] == "binlog.000001:900"  # type: ignore[attr-defined]
    assert len(lines) == 4


def test_a_replayed_snapshot_is_not_told_again(caplog: pytest.LogCaptureFixture) -> None:
    made = recorder(lambda _: None)
    row = record(change("r", source=at(900, snapshot="first")), {"id": 1})
    made.record([row, record(change("c", source=at(950)), {"id": 2}), row])
    assert [entry.message for entry in caplog.records].count("snapshot_taken") == 1


def at(position: int, snapshot: str = "false") -> dict[str, object]:
    """The source of a change at a position of the binlog."""
    known: dict[str, object] = change()["source"]
    return {**known, "file": "binlog.000001", "pos": position, "snapshot": snapshot}
