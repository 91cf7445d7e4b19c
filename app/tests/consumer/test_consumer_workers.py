"""Several workers: real processes, with a script in the place of the consumer."""

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helfy.consumer import journal, supervise, worker
from helfy.consumer.notices import Notices
from helfy.consumer.output import Output
from helfy.consumer.stop import StopFlag, WorkerStop
from helfy.consumer.supervise import Supervisor, worker_command

# Tells that it is ready and what it is asked to, writes a long line, and waits for its end.
SCRIPT = """
import os, signal, socket, sys, time
number, partitions, then = sys.argv[-1], sys.argv[1], sys.argv[2]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.sendto(b"READY=1\\nX_PARTITIONS=" + partitions.encode(), os.environ["NOTIFY_SOCKET"])
os.write(1, b"x" * 100_000 + number.encode() + b"\\n")
if then == "die":
    os.write(1, b"cut sho")
    os.kill(os.getpid(), signal.SIGKILL)
if then == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    if then != "hang":
        told.sendto(b"WATCHDOG=1", os.environ["NOTIFY_SOCKET"])
    time.sleep(0.02)
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(supervise, "STOP_SECONDS", 0.5)
    monkeypatch.setattr(worker, "BACKOFF_SECONDS", (0.05,))
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)


class Lines:
    """A pipe that a supervisor writes to, read by a thread."""

    def __init__(self) -> None:
        reader, self.descriptor = os.pipe()
        self.got: list[bytes] = []
        self._thread = threading.Thread(target=self._read, args=(reader,))
        self._thread.start()

    def _read(self, reader: int) -> None:
        with os.fdopen(reader, "rb") as stream:
            self.got.extend(stream)

    def close(self) -> None:
        os.close(self.descriptor)
        self._thread.join()


@contextmanager
def supervised(count: int, partitions: int, then: str = "run") -> Iterator[Lines]:
    """Run a supervisor for as long as the block; lines are whole after it."""
    lines, stop = Lines(), StopFlag()
    command = [sys.executable, "-S", "-c", SCRIPT, str(partitions), then]
    supervisor = Supervisor(count, command, Output(lines.descriptor), stop)
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        yield lines
    finally:
        stop.is_set = True
        thread.join()
        lines.close()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def said(caplog: pytest.LogCaptureFixture, action: str) -> int:
    return sum(entry.getMessage() == action for entry in caplog.records)


@pytest.mark.parametrize(("count", "partitions", "run"), [(3, 2, 2), (2, 5, 2), (3, 0, 1)])
def test_as_many_workers_as_there_are_partitions(count: int, partitions: int, run: int) -> None:
    with supervised(count, partitions) as lines:
        until(lambda: len(lines.got) >= run)
        time.sleep(0.2)
    assert sorted(line[-2:] for line in lines.got) == [
        b"%d\n" % number for number in range(1, run + 1)
    ]
    assert {len(line) for line in lines.got} == {100_002}


def test_a_worker_that_dies_is_started_again_and_its_cut_line_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with supervised(1, 1, "die") as lines:
        until(lambda: said(caplog, "worker_died") >= 3)
    assert len(lines.got) >= 3
    assert {len(line) for line in lines.got} == {100_002}
    fields = next(e for e in caplog.records if e.getMessage() == "worker_died").__dict__["fields"]
    assert fields == {"worker": 1, "restartInSeconds": 0.05, "signal": signal.SIGKILL}


def test_a_worker_that_hangs_is_killed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    with supervised(1, 1, "hang"):
        until(lambda: said(caplog, "worker_died") >= 1)
    assert said(caplog, "worker_hung") >= 1


def test_a_worker_that_does_not_hear_is_killed_in_the_end() -> None:
    before = time.monotonic()
    with supervised(1, 1, "deaf") as lines:
        until(lambda: len(lines.got) == 1)
        time.sleep(0.1)
    assert 0.5 < time.monotonic() - before < 5


def test_the_supervisor_speaks_to_systemd_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Notices(tmp_path / "systemd") as systemd:
        monkeypatch.setenv("NOTIFY_SOCKET", str(systemd.path))
        monkeypatch.setenv("WATCHDOG_USEC", "2000000")
        told: list[tuple[str, str]] = []

        def complete() -> bool:
            told.extend(systemd.read())
            running = ("STATUS", "2 of 2 workers run, for 2 partitions") in told
            return running and told.count(("WATCHDOG", "1")) >= 2

        with supervised(2, 2):
            until(complete)
        complete()
    assert told.count(("READY", "1")) == 1
    assert told[-1] == ("STOPPING", "1")


def test_lines_that_cannot_be_relayed_end_the_supervisor() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-S", "-c", SCRIPT, "1", "run"]
    with pytest.raises(BrokenPipeError):
        Supervisor(1, command, Output(writer), StopFlag()).run()
    os.close(writer)


def test_a_worker_without_its_supervisor_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = WorkerStop()
    assert not stop.is_set
    monkeypatch.setattr(os, "getppid", lambda: -1)
    assert stop.is_set
    monkeypatch.undo()
    assert not stop.is_set
    stop.is_set = True
    assert stop.is_set


def test_a_command_runs_this_very_python(tmp_path: Path) -> None:
    command = worker_command(tmp_path / "c.toml")
    assert command[0] == sys.executable
    assert command[-4:] == ["-m", "helfy.consumer", "--config", str(tmp_path / "c.toml")]


def test_a_stream_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "stdout"))
        listener.listen()
        monkeypatch.setattr(journal, "STREAM", tmp_path / "stdout")
        monkeypatch.setenv("JOURNAL_STREAM", "")
        first, second = os.open(os.devnull, os.O_WRONLY), os.open(os.devnull, os.O_WRONLY)
        journal.own_stream(first, second)
        assert journal.is_journal(first)
        Output(first).write(json.dumps({"long": "x" * 100}).encode())
        os.close(first)
        os.close(second)
        accepted, _ = listener.accept()
        with accepted, accepted.makefile("rb") as stream:
            *header, line = stream.read().splitlines()
    assert header == [b"helfy-consumer", b"", b"6", b"0", b"0", b"0", b"0"]
    assert json.loads(line) == {"long": "x" * 100}
