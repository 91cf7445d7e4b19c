"""Which lines are known as replays of others."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from consumer_support import SETTINGS, change, record

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
