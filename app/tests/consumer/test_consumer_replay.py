"""What was written is known after a restart, and what may be lost is not believed."""

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from helfy.consumer import journal, replay, replay_log
from helfy.consumer.commits import MARGIN_SECONDS
from helfy.consumer.replay import Replays

AGE = 1.0 + MARGIN_SECONDS


class Machine:
    """A clock, a journal with a name and a state directory, which outlive the consumer."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "replay" / "tidb_changes"
        self.now = 100.0
        self.journal: str | None = "aa"

    def replays(self) -> Replays:
        return Replays(self.directory, lambda: self.journal, 1.0, lambda: self.now)

    def write(self, replays: Replays, *lines: bytes, partition: int = 0) -> None:
        replays.begin()
        for line in lines:
            replays.written(partition, line)
        replays.flush()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def name(number: int) -> bytes:
    return number.to_bytes(16, "big")


def known(replays: Replays, *numbers: int, partition: int = 0) -> list[bool]:
    return [replays.known(partition, name(number)) for number in numbers]


def told(caplog: pytest.LogCaptureFixture, action: str) -> list[dict[str, Any]]:
    found = [entry for entry in caplog.records if entry.getMessage() == action]
    return [entry.__dict__["fields"] for entry in found]


def test_lines_are_known_after_a_crash_of_the_consumer(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    before = machine.replays()
    assert known(before, 1, 2) == [False, False]
    machine.write(before, name(1), name(2))
    machine.write(before, name(3), partition=1)
    after = machine.replays()
    assert known(after, 1, 2, 3) == [True, True, False]
    assert known(after, 3, partition=1) == [True]
    assert told(caplog, "replay_state")[2:] == [
        {"partition": 0, "lines": 2, "notBelieved": 0, "damaged": 0},
        {"partition": 1, "lines": 1, "notBelieved": 0, "damaged": 0},
    ]


def test_a_line_that_was_not_flushed_is_not_known(machine: Machine) -> None:
    before = machine.replays()
    before.begin()
    before.written(0, name(1))
    assert known(before, 1) == [True]
    assert known(machine.replays(), 1) == [False]


def test_what_a_journal_may_have_lost_is_not_believed(machine: Machine) -> None:
    before = machine.replays()
    machine.write(before, name(1))
    machine.now += AGE - 0.1
    machine.write(before, name(2))
    assert known(machine.replays(), 1, 2) == [True, True]
    machine.journal = "bb"
    assert known(machine.replays(), 1, 2) == [False, False]
    machine.journal = "aa"
    machine.now += 0.2
    machine.write(before, name(3))
    machine.journal = "bb"
    assert known(machine.replays(), 1, 2, 3) == [True, False, False]


def test_a_journal_that_began_anew_while_lines_were_written_is_not_believed(
    machine: Machine,
) -> None:
    before = machine.replays()
    before.begin()
    before.written(0, name(1))
    machine.journal = "bb"
    before.flush()
    machine.now += 10
    machine.write(before, name(2))
    assert known(machine.replays(), 1, 2) == [False, True]


def test_what_is_committed_is_believed_after_a_crash_of_the_vm(machine: Machine) -> None:
    before = machine.replays()
    machine.write(before, name(1))
    machine.now += AGE + 0.1
    before.settled([0])
    machine.journal = "bb"
    machine.now = 1.0
    assert known(machine.replays(), 1) == [True]


def test_a_journal_of_no_name_is_believed_when_it_has_synced(machine: Machine) -> None:
    machine.journal = None
    before = machine.replays()
    machine.write(before, name(1))
    machine.now += AGE + 0.1
    machine.write(before, name(2))
    assert known(machine.replays(), 1, 2) == [True, False]


def test_damage_is_said_and_the_rest_believed(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    before = machine.replays()
    for number in (1, 2, 3):
        machine.write(before, name(number))
    [path] = machine.directory.iterdir()
    first, second, third = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([first, second.replace(b"2", b"4"), b"\0\xff", third[:-1]]))
    after = machine.replays()
    assert known(after, 1, 2, 3, 4) == [True, False, False, False]
    [entry] = [entry for entry in caplog.records if entry.getMessage() == "replay_state"]
    assert entry.levelno == logging.WARNING
    assert entry.__dict__["fields"]["damaged"] == 3
    # What is appended to a file that was cut short can be read.
    machine.write(after, name(5))
    assert known(machine.replays(), 1, 5) == [True, True]


def test_a_directory_that_cannot_be_used_is_said_once(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.directory.parent.parent.joinpath("replay").write_text("a file")
    replays = machine.replays()
    for number in range(3):
        machine.write(replays, name(number))
    assert known(replays, 0, 1, 2, 3) == [True, True, True, False]
    [fields] = told(caplog, "replay_state_failed")
    assert fields["partition"] == 0
    assert fields["reason"].startswith(("NotADirectoryError", "FileExistsError"))


def test_a_full_disk_is_said_once(
    machine: Machine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    replays = machine.replays()
    machine.write(replays, name(1))
    written = os.write
    monkeypatch.setattr(os, "write", lambda file, raw: written(file, raw[:-3]))
    for number in (2, 3):
        machine.write(replays, name(number))
    monkeypatch.undo()
    assert len(told(caplog, "replay_state_failed")) == 1
    assert known(replays, 1, 2, 3) == [True, True, True]
    assert known(machine.replays(), 1, 2, 3) == [True, False, False]


def test_memory_and_disk_are_bounded(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "CAPACITY", 50)
    monkeypatch.setattr(replay_log, "FILE_BYTES", 2000)
    replays = machine.replays()
    for number in range(500):
        machine.write(replays, name(number))
        assert sum(path.stat().st_size for path in machine.directory.iterdir()) < 4300
        if number % 97 == 0:
            replays = machine.replays()
    assert known(replays, 449, 450, 499) == [False, True, True]
    assert known(machine.replays(), 480, 499) == [True, True]


def test_another_worker_knows_what_the_one_before_it_wrote(machine: Machine) -> None:
    first, second = machine.replays(), machine.replays()
    assert known(second, 1) == [False]
    second.forget([0])
    machine.write(first, name(1))
    first.forget([0])
    assert known(second, 1) == [True]
    machine.write(second, name(2))
    second.forget()
    assert known(first, 1, 2) == [True, True]


def test_without_a_directory_memory_stays() -> None:
    replays = Replays()
    replays.begin()
    replays.written(0, name(1))
    replays.flush()
    replays.forget()
    assert known(replays, 1, 2) == [True, False]


def test_the_journal_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    status = os.fstat(writer)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    assert journal.is_journal(writer)
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    assert not journal.is_journal(writer)
    os.close(reader)
    os.close(writer)
    link = tmp_path / "invocation"
    monkeypatch.setattr(journal, "INVOCATION", link)
    assert journal.invocation() is None
    link.symlink_to("da18987e")
    assert journal.invocation() == "da18987e"
    link.unlink()
    link.symlink_to("../else")
    assert journal.invocation() is None
