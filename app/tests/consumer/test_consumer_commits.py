"""Only what was read back from the persistent journal is committed, and all of it in the end."""

import json
from dataclasses import replace

import pytest
from consumer_support import SETTINGS, change, pipeline, record
from hypothesis import given, settings
from hypothesis import strategies as st

from helfy.consumer.commits import GRACE_SECONDS, PERSISTENT_WITHIN_SECONDS, WrittenLines
from helfy.consumer.identity import identity_of
from helfy.consumer.replay import Replays

ONE, TWO = b"1" * 16, b"2" * 16


class Journal:
    """What a reader finds; None where there is no persistent journal."""

    def __init__(self) -> None:
        self.lines: list[bytes] | None = []

    def read(self) -> list[bytes]:
        if self.lines is None:
            raise FileNotFoundError
        found, self.lines = self.lines, []
        return found


class Lines:
    """Lines that wait, with a journal and a clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.journal = Journal()
        self.replays = Replays()
        self.written = WrittenLines(self.replays, self.journal, lambda: self.now)

    def write(self, text: bytes, partition: int = 0, offset: int = 0, name: bytes = ONE) -> None:
        self.written.wrote(text)
        self.written.handled(partition, offset, text, name)

    def confirm(self, *texts: bytes) -> dict[int, int]:
        self.journal.lines = list(texts)
        self.written.confirm()
        return self.written.committable()


@pytest.fixture
def lines() -> Lines:
    return Lines()


def test_an_offset_is_committable_when_its_line_was_read_back(lines: Lines) -> None:
    lines.write(b"a", offset=7)
    lines.write(b"b", offset=8, name=TWO)
    assert lines.written.committable() == {}
    assert lines.confirm(b"other") == {}
    assert lines.confirm(b"a") == {0: 8}
    assert (lines.replays.known(ONE), lines.replays.known(TWO)) == (True, False)
    assert lines.confirm(b"b") == {0: 9}
    assert lines.written.waiting == 0


def test_without_a_reader_what_is_written_is_durable() -> None:
    replays = Replays()
    written = WrittenLines(replays)
    written.wrote(b"a")
    written.handled(0, 7, b"a", ONE)
    written.confirm()
    assert written.committable() == {0: 8}
    assert replays.known(ONE)
    assert written.settle(0)


def test_a_record_without_a_line_waits_for_the_lines_before_it(lines: Lines) -> None:
    lines.written.handled(0, 3)
    assert lines.written.committable() == {0: 4}
    lines.write(b"a", offset=4)
    lines.written.handled(0, 5)
    lines.written.handled(1, 9)
    assert lines.written.committable() == {0: 4}
    assert lines.confirm(b"a") == {0: 6, 1: 10}


def test_a_line_confirmed_before_an_older_one_commits_nothing_until_that_is(lines: Lines) -> None:
    lines.write(b"a", offset=1)
    lines.write(b"b", offset=2, name=TWO)
    assert lines.confirm(b"b") == {}
    assert lines.replays.known(TWO)
    assert lines.written.missing() == 0
    lines.now += GRACE_SECONDS
    assert lines.written.missing() == 1
    assert lines.confirm(b"a") == {0: 3}
    assert lines.written.missing() == 0


def test_lines_given_up_are_committed_by_nothing_and_what_is_there_is_known(lines: Lines) -> None:
    lines.write(b"a", offset=1)
    lines.write(b"b", offset=2, name=TWO)
    lines.confirm(b"b")
    lines.written.give_up()
    lines.written.forget()
    assert lines.written.waiting == 0
    assert lines.confirm(b"a") == {}
    assert lines.replays.known(TWO)
    lines.write(b"c", offset=1)
    assert lines.confirm(b"c") == {0: 2}


def test_equal_lines_are_confirmed_one_by_one(lines: Lines) -> None:
    lines.write(b"a", offset=1)
    lines.write(b"a", offset=2, name=TWO)
    assert lines.confirm(b"a") == {0: 2}
    assert lines.written.waiting == 1
    assert lines.confirm(b"a") == {0: 3}


def test_lines_are_late_after_a_while_whoever_wrote_them(lines: Lines) -> None:
    lines.written.wrote(b"a line of the log")
    assert not lines.written.late
    lines.now += PERSISTENT_WITHIN_SECONDS + 0.1
    assert lines.written.late
    lines.confirm(b"a line of the log")
    assert not lines.written.late


def test_a_line_that_comes_again_is_awaited_until_it_is_late(lines: Lines) -> None:
    lines.write(b"a", offset=1)
    lines.write(b"a again", offset=2)
    assert (lines.written.awaited(ONE), lines.written.awaited(TWO)) == (True, False)
    lines.confirm(b"a")
    assert lines.written.awaited(ONE)
    lines.now += PERSISTENT_WITHIN_SECONDS + 0.1
    assert not lines.written.awaited(ONE)
    lines.confirm(b"a again")
    assert not lines.written.awaited(ONE)


def test_a_journal_that_is_not_there_settles_nothing(lines: Lines) -> None:
    lines.write(b"a")
    lines.journal.lines = None
    assert not lines.written.settle(5)
    with pytest.raises(FileNotFoundError):
        lines.written.confirm()


def test_what_kafka_did_not_take_stays_committable(lines: Lines) -> None:
    lines.write(b"a", offset=7)
    assert lines.confirm(b"a") == {0: 8}
    lines.write(b"b", offset=8)
    assert lines.confirm(b"b") == {0: 9}
    lines.written.committed({0: 8, 5: 1})
    assert lines.written.committable() == {0: 9}
    lines.written.committed({0: 9})
    assert lines.written.committable() == {}


def test_partitions_that_went_are_not_committed(lines: Lines) -> None:
    lines.write(b"a", 0, 7)
    lines.write(b"b", 1, 3, TWO)
    lines.written.forget({0})
    assert lines.confirm(b"a", b"b") == {1: 4}
    assert lines.replays.known(ONE)
    lines.written.forget()
    assert lines.written.committable() == {}


def test_memory_of_replays_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helfy.consumer.replay.CAPACITY", 3)
    replays = Replays()
    replays.note(bytes([number]) * 16 for number in (1, 2, 3, 1, 4))
    known = [replays.known(bytes([number]) * 16) for number in (1, 2, 3, 4)]
    assert known == [True, False, True, True]
    replays.forget()
    assert not replays.known(bytes([4]) * 16)


@pytest.mark.parametrize(
    "value",
    [
        change("u"),
        change("d"),
        change("r", source={"pos": 5}),
        {"source": change("t")["source"], "ddl": "CREATE TABLE t (id INT)", "tableChanges": []},
        b"{",
        b"\xff\x00",
    ],
)
@pytest.mark.parametrize("key", [{"id": 1}, None])
def test_a_line_read_back_has_the_identity_it_was_written_with(value: object, key: object) -> None:
    line = pipeline().line(record(value, key))
    assert line is not None
    assert identity_of(line.text) == line.identity


def test_a_line_truncated_as_a_whole_keeps_its_identity() -> None:
    told = change("r")
    columns = [f"column_{number}" for number in range(200)]
    told["after"] = dict.fromkeys(columns, "x" * 3000)
    captured = {"app.users": ("id", *columns)}
    line = pipeline(replace(SETTINGS, captured=captured)).line(record(told, {"id": "y" * 40_000}))
    assert line is not None
    assert b'"truncated"' in line.text
    assert identity_of(line.text) == line.identity


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not JSON",
        b"\xff",
        b"[]",
        b"1",
        b"{}",
        b'{"action":"consumer_started","source":{}}',
        b'{"action":"db_change","source":{},"change":{"id":"zz","type":"UPDATE"}}',
        b'{"action":"undecodable","source":{"topic":"t"},"sha256":"00"}',
        b"[" * 100_000,
    ],
)
def test_a_line_of_no_record_has_no_identity(text: bytes) -> None:
    assert identity_of(text) is None


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), max_size=40))
@settings(deadline=None)
def test_property_nothing_is_committed_before_all_lines_before_it(
    made: list[tuple[int, bool, bool]],
) -> None:
    lines, offsets = Lines(), dict.fromkeys(range(3), 0)
    outstanding: list[tuple[bytes, int, int]] = []  # text, partition, next offset
    for number, (partition, has_line, confirms) in enumerate(made):
        text = json.dumps(number).encode()
        if has_line:
            lines.write(text, partition, offsets[partition], text.zfill(16))
            outstanding.append((text, partition, offsets[partition]))
        else:
            lines.written.handled(partition, offsets[partition])
        offsets[partition] += 1
        if confirms and outstanding:
            lines.confirm(outstanding.pop(0)[0])
        for _, part, offset in outstanding:
            assert lines.written.committable().get(part, 0) <= offset
    lines.confirm(*(text for text, _, _ in outstanding))
    assert lines.written.committable() == {p: o for p, o in offsets.items() if o}
