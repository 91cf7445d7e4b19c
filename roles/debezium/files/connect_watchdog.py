"""Looks after a connector of Kafka Connect: says how it is, and brings it back.

    connect_watchdog.py check SETTINGS [FILE:POSITION]
    connect_watchdog.py watch SETTINGS

``check`` prints one line, what it found, and exits with 1 (and the reason on stderr) where the
connector is not well. With a position of the binlog, where the database stands now, it says instead
how far the stream has come; it fails where the stored position stands still before that for more
than ``behind_seconds``, or is that far behind.

``watch`` looks every ``interval_seconds`` for as long as it runs. What it may do, each with a line
of JSON that has the reason, and again only after a pause that doubles while it does not help:

- ``connector_restarted``: the connector or its task FAILED.
- ``process_ended``: Connect does not answer, the connector says RUNNING and stores no position any
  more, or it is in another state for too long (RESTARTING, UNASSIGNED, without a task). PAUSED and
  STOPPED are what somebody asked for, and left alone.

Either way its process is ended, at first politely, and systemd starts another one: a task that
Connect restarts by itself may skip changes (see rewind_offsets.py).

That the connector lives is seen by the file of its offsets: heartbeats have it written every few
seconds, also where the position in it stays the same because nothing changes in the database.

While MariaDB or Kafka cannot be reached, nothing is done: Connect tries again by itself.

Standard library only, since a host of Connect need not have a release of Helfy. SETTINGS is TOML:
see ``Settings``.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ANSWER_SECONDS = 5.0
CONNECT_SECONDS = 2.0
REACH_SECONDS = 1.1
END_SECONDS = 10.0
MAX_REASON_CHARS = 300
HTTP_NOT_FOUND = 404
WISHED_FOR = ("PAUSED", "STOPPED")


@dataclass(frozen=True)
class Settings:
    """``database`` and ``brokers`` are HOST:PORT; all times are in seconds."""

    url: str
    connector: str
    unit: str
    offsets_file: str
    database: str
    brokers: tuple[str, ...]
    interval_seconds: float = 15
    # Longest without an answer, without a stored position, or in a state that should pass.
    stall_seconds: float = 60
    behind_seconds: float = 30
    first_pause_seconds: float = 15
    longest_pause_seconds: float = 600


# The binlog's file, the position in it, and the time of the last change as seconds since the epoch.
Position = tuple[str, int, float]


class UnwellError(Exception):
    """Kafka Connect or the connector is not well, and the message says how."""


@dataclass(frozen=True)
class Status:
    """What Connect says of the connector: its state, and why it failed if it did."""

    state: str
    trace: str

    @property
    def failed(self) -> bool:
        """Whether the connector or a task gave up."""
        return self.state.startswith("FAILED")


class Connect:
    """Kafka Connect's REST interface. Each method raises UnwellError."""

    def __init__(self, settings: Settings) -> None:
        self._base = f"{settings.url}/connectors/{settings.connector}"

    def status(self) -> Status:
        """Ask how the connector and its tasks are."""
        said = self._ask("GET", "/status")
        try:
            parts = [said["connector"], *said["tasks"]]
            states = [str(part["state"]) for part in parts]
            trace = next((str(part["trace"]) for part in parts if "trace" in part), "")
        except (KeyError, TypeError) as error:
            raise UnwellError(f"its status is not understood: {error!r}") from None
        if len(parts) == 1:
            return Status("without a task" if states == ["RUNNING"] else states[0], trace)
        worst = next(
            (state for state in ("FAILED", *states) if state in states and state != "RUNNING"),
            "RUNNING",
        )
        return Status(worst, cause(trace))

    def position(self) -> Position | None:
        """Give what is stored: the binlog's file, the position, the time of the last change."""
        said = self._ask("GET", "/offsets")
        try:
            for entry in said["offsets"]:
                offset = entry["offset"]
                if offset and "file" in offset:
                    return str(offset["file"]), int(offset["pos"]), float(offset.get("ts_sec") or 0)
        except (KeyError, TypeError, ValueError) as error:
            raise UnwellError(f"its offsets are not understood: {error!r}") from None
        return None

    def _ask(self, method: str, path: str) -> Any:
        request = urllib.request.Request(self._base + path, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
                body = answer.read()
            return json.loads(body) if body else None
        except urllib.error.HTTPError as error:
            with error:
                raise UnwellError(
                    f"Kafka Connect answers {error.code} to {method} {path}"
                ) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise UnwellError(f"Kafka Connect does not answer: {reason}") from None


def cause(trace: str) -> str:
    """Give the line of a Java stack trace that says most: the last cause, else the first line."""
    causes = re.findall(r"^Caused by: (.*)", trace, re.MULTILINE)
    return str(causes[-1] if causes else trace.partition("\n")[0]).strip()


def load(path: str) -> Settings:
    """Read the settings. Raises OSError, TypeError or ValueError."""
    with Path(path).open("rb") as file:
        content = tomllib.load(file)
    return Settings(**{**content, "brokers": tuple(content["brokers"])})


def written(settings: Settings) -> float | None:
    """When a position was stored last, in seconds since the epoch; None where none ever was."""
    try:
        return os.stat(settings.offsets_file).st_mtime  # noqa: PTH116 - a Path says no more
    except FileNotFoundError:
        return None


# check


def check(settings: Settings, target: str | None = None) -> str:
    """Give what was found in a line. Raises UnwellError with the reason where it is not well."""
    connect = Connect(settings)
    status = connect.status()
    if status.state != "RUNNING":
        raise UnwellError(
            f"the connector {settings.connector} is {status.state}. {status.trace}".strip()
        )
    if target is not None:
        return reached(settings, connect, target)
    # It says RUNNING before it has asked the database and Kafka; what it stored is later.
    stored, begun = written(settings), begun_at(settings.unit)
    if connect.position() is None or stored is None or stored <= begun:
        raise UnwellError(
            f"the connector {settings.connector} runs, but has stored no position yet"
        )
    return f"connector {settings.connector} and its task are RUNNING"


def reached(settings: Settings, connect: Connect, target: str) -> str:
    """Compare the stored position with where the database stands; wait a moment for it."""
    deadline = time.monotonic() + REACH_SECONDS
    goal = place(*split(target))
    first = position = connect.position()
    while position is None or place(*position[:2]) < goal:
        if time.monotonic() >= deadline:
            break
        time.sleep(0.25)
        position = connect.position()
    if position is None or first is None:
        raise UnwellError("no position is stored, so nothing has been captured yet")
    where = f"at {position[0]}:{position[1]}, the database at {target}"
    age = time.time() - (written(settings) or 0)
    if age > settings.behind_seconds:
        raise UnwellError(f"no heartbeat has been stored for {age:.0f} s: {where}")
    if place(*position[:2]) >= goal:
        return f"at {target}, where the database is"
    if position == first:
        # With the last change in a table that is not captured, Debezium stays before it.
        if place(*position[:2])[0] == goal[0]:
            return f"nothing to capture: {where}"
        raise UnwellError(f"it is still in an older binlog: {where}")
    behind = time.time() - position[2]
    if position[2] and behind > settings.behind_seconds:
        raise UnwellError(f"catching up, {behind:.0f} s behind: {where}")
    return f"on its way: {where}"


def split(position: str) -> tuple[str, int]:
    """Take FILE:POSITION apart. Raises ValueError."""
    name, _, number = position.rpartition(":")
    return name, int(number)


def place(name: str, position: int) -> tuple[int, int]:
    """Make positions comparable: binlog.999999 is followed by binlog.1000000."""
    number = re.search(r"\.(\d+)$", name)
    return (int(number[1]) if number else 0), position


# watch


@dataclass
class Pause:
    """The time between two actions: it doubles while they do not help."""

    first: float
    longest: float
    seconds: float = 0
    until: float = 0

    def over(self, now: float) -> bool:
        """Whether it is time to act again."""
        return now >= self.until

    def acted(self, now: float) -> float:
        """Note an action; give the seconds until the next."""
        self.seconds = min(self.seconds * 2, self.longest) if self.seconds else self.first
        self.until = now + self.seconds
        return self.seconds

    def well(self, now: float, since: float) -> bool:
        """Forget the actions where it has been well for as long as their pause; say if so."""
        if not self.seconds or now - max(since, self.until - self.seconds) < self.seconds:
            return False
        self.seconds = self.until = 0
        return True


@dataclass
class Watchdog:
    """One look is ``look``. Clock and process are those of the machine, but in tests."""

    settings: Settings
    say: Callable[[str, dict[str, object]], None]
    unit_process: Callable[[str], int]
    end: Callable[[int], None]
    clock: Callable[[], float] = time.monotonic
    _process: int = 0
    _answered: float = 0
    _ran: float = 0
    _stored: float = 0
    _stored_at: float | None = None
    _well_since: float | None = None
    _held_up: str = ""
    _pause: Pause = field(init=False)

    def __post_init__(self) -> None:
        self._pause = Pause(self.settings.first_pause_seconds, self.settings.longest_pause_seconds)

    def look(self) -> None:
        """Look once, and act if need be."""
        process = self.unit_process(self.settings.unit)
        if process != self._process:
            # A process that has just been started has time; one that was stopped is left alone.
            self._process = process
            self._begin_anew()
        if not process:
            return
        act = self._fault(self.clock())
        # MariaDB logs each connection that says nothing: it is asked only where there is a fault.
        if (act is None and not self._held_up) or self._is_held_up():
            return
        if act is not None:
            act()

    def _fault(self, now: float) -> Callable[[], None] | None:
        """Look; give what is to be done about a fault, None where there is none."""
        try:
            status = Connect(self.settings).status()
        except UnwellError as error:
            self._well_since = None
            silent, reason = now - self._answered, str(error)
            if silent <= self.settings.stall_seconds:
                return None
            return lambda: self._end_process(now, reason, silent)
        self._answered = self.clock()
        if status.failed:
            self._well_since = None
            return lambda: self._restart_connector(now, status)
        if status.state != "RUNNING":
            return self._fault_of_state(now, status.state)
        self._ran = now
        at = written(self.settings)
        if at != self._stored_at:
            self._stored_at, self._stored = at, now
            self._lives(now)
        # Before the first position there is the snapshot, which may take its time.
        elif at is not None and now - self._stored > self.settings.stall_seconds:
            self._well_since = None
            still = now - self._stored
            return lambda: self._end_process(now, "RUNNING, but no position is stored", still)
        return None

    def _fault_of_state(self, now: float, state: str) -> Callable[[], None] | None:
        """The same for one that does not run, and did not fail."""
        self._well_since = None
        if state in WISHED_FOR:
            self._ran = self._stored = now
        since = now - self._ran
        if since <= self.settings.stall_seconds:
            return None
        return lambda: self._end_process(now, f"{state}, and it stays so", since)

    def _begin_anew(self) -> None:
        self._answered = self._ran = self._stored = self.clock()
        self._stored_at = written(self.settings)
        self._well_since = None

    def _is_held_up(self) -> bool:
        """Whether what Connect needs is away, or was until now; both edges are said."""
        away, before = unreachable(self.settings), self._held_up
        if away != before:
            self.say("waiting" if away else "going_on", {"reason": away or "both answer again"})
        self._held_up = away
        if away or before:
            self._begin_anew()
        return bool(away or before)

    def _lives(self, now: float) -> None:
        if self._well_since is None:
            self._well_since = now
        if self._pause.well(now, self._well_since):
            self.say("well_again", {"connector": self.settings.connector})

    def _restart_connector(self, now: float, status: Status) -> None:
        if not self._pause.over(now):
            return
        reason = f"{status.state}: {status.trace}"
        self._did("connector_restarted", now, {"reason": reason, "pid": self._process})
        self.end(self._process)

    def _end_process(self, now: float, reason: str, seconds: float) -> None:
        if not self._pause.over(now):
            return
        self._did(
            "process_ended",
            now,
            {"reason": reason, "afterSeconds": round(seconds), "pid": self._process},
        )
        self.end(self._process)

    def _did(self, action: str, now: float, fields: dict[str, object]) -> None:
        again = self._pause.acted(now)
        names = {"connector": self.settings.connector, "unit": self.settings.unit}
        self.say(action, {**names, **fields, "againAfterSeconds": again})


def unreachable(settings: Settings) -> str:
    """Say which of the things that Connect needs is away; nothing where all is there."""
    if not accepts(settings.database):
        return f"MariaDB does not answer at {settings.database}"
    if not any(accepts(broker) for broker in settings.brokers):
        return f"Kafka does not answer at {', '.join(settings.brokers)}"
    return ""


def accepts(address: str) -> bool:
    """Whether HOST:PORT takes a connection."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS):
            return True
    except OSError:
        return False


def unit_process(unit: str) -> int:
    """Give the main process of a unit; 0 where it does not run."""
    shown = ["systemctl", "show", "--property=ActiveState", "--property=MainPID", unit]
    try:
        said = subprocess.run(shown, capture_output=True, text=True, check=True, timeout=10).stdout
    except (subprocess.SubprocessError, OSError):
        return 0
    values = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    return int(values.get("MainPID", 0)) if values.get("ActiveState") == "active" else 0


def begun_at(unit: str) -> float:
    """When a unit's main process began, in seconds since the epoch; 0 where it never did."""
    shown = ["systemctl", "show", "--property=ExecMainStartTimestampMonotonic", "--value", unit]
    try:
        said = subprocess.run(shown, capture_output=True, text=True, check=True, timeout=10).stdout
        return time.time() - (time.monotonic() - int(said) / 1e6) if int(said) else 0
    except (subprocess.SubprocessError, OSError, ValueError):
        return 0


def end_process(process: int) -> None:
    """End a process; by force where it does not go. What is gone already is no error."""
    with _may_be_gone(), _exactly(process) as this:
        signal.pidfd_send_signal(this, signal.SIGTERM)
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline:
            time.sleep(0.2)
            signal.pidfd_send_signal(this, 0)
        signal.pidfd_send_signal(this, signal.SIGKILL)


@contextmanager
def _may_be_gone() -> Iterator[None]:
    try:
        yield
    except ProcessLookupError:
        return


@contextmanager
def _exactly(process: int) -> Iterator[int]:
    """Hold on to the process itself: its number may be given to another one."""
    this = os.pidfd_open(process)
    try:
        yield this
    finally:
        os.close(this)


def say(action: str, fields: dict[str, object]) -> None:
    """Write one line of JSON to the journal."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    level = "info" if action in {"started", "going_on", "well_again"} else "warning"
    text = {k: v[:MAX_REASON_CHARS] if isinstance(v, str) else v for k, v in fields.items()}
    print(json.dumps({"timestamp": now, "level": level, "action": action, **text}), flush=True)


def watch(settings: Settings) -> None:
    """Look again and again."""
    watchdog = Watchdog(settings, say, unit_process, end_process)
    say("started", {"connector": settings.connector, "unit": settings.unit})
    while True:
        watchdog.look()
        time.sleep(settings.interval_seconds)


def main(arguments: list[str]) -> int:
    """See the module's text."""
    match arguments:
        case ["watch", path]:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            watch(load(path))
        case ["check", path, *target] if len(target) <= 1:
            try:
                print(check(load(path), *target))
            except UnwellError as error:
                print(error, file=sys.stderr)
                return 1
        case _:
            print(__doc__, file=sys.stderr)
            return 64
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
