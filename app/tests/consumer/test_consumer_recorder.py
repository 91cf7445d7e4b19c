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
