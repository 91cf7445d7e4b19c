"""Looks after a connector of Kafka Connect: reports how it is, and restarts what that can mend.

    connect_watchdog.py check SETTINGS [FILE:POSITION]
    connect_watchdog.py watch SETTINGS

``check`` prints one line and exits with 1, and the reason on stderr, where the connector is
unhealthy. With a position of the binlog, where the database is now, it compares that with the
stored one; it fails where the stored position stands still before it for more than
``behind_seconds``, or is that far behind.

``watch`` looks every ``interval_seconds``, and when a captured table was redefined, and reports by
``capture_report``. Beside that, each with a line of JSON:

- ``connect_restarted``: the connector failed for a reason that may pass, Connect does not answer,
  or it stores no position any more. The process is ended and systemd starts another one: a task
  that Connect restarts by itself may skip changes (see rewind_offsets.py). The pause until the next
  restart doubles while they do not help. While MariaDB or Kafka is unreachable there is none.
- ``transaction_skipped``: the connector cannot read a transaction of no captured table.
- ``connector_stopped``: a captured table has other columns than Debezium reads its rows by, so a
  value could be taken for that of another column.

That the connector lives is seen by the file of its offsets: heartbeats have it written every few
seconds, also where the position in it stays the same because nothing changes in the database.

SETTINGS is TOML: see ``Settings``. Of what is imported, the role puts the project's own beside it.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from binlog import BinlogError, Transaction, transactions
from capture_report import FAULTS, Condition, Database, Reporter, say
from connect_api import SNAPSHOT, ConnectError, Connector, Fault, fault, moved

REACHABLE_SECONDS = 2.0
PROGRESS_SECONDS = 1.1
END_SECONDS = 10.0
# Longer than Debezium takes for what has been sent to it.
CONFIRM_SECONDS = 2.0
# Mended by nothing but what the remedy says.
LASTING = ("unparseable_ddl", "row_mismatch", "binlog_purged", "position_lost", "record_too_large")
MISMATCH = "schema_mismatch"
LOGS = "make logs UNIT=kafka-connect"
# It fails before it reads the binlog: the table itself is defined so.
DEFINITION = (
    "Remove from the table what Debezium cannot parse (ALTER TABLE), then take a new snapshot:"
    " ansible-playbook playbooks/capture-new-snapshot.yml"
)
# What ``watch`` reported last, for ``check``.
REPORTED = Path("/run/kafka-connect-watchdog/reported.json")


@dataclass(frozen=True)
class Settings:
    """``database`` and ``brokers`` are HOST:PORT; all times are in seconds."""

    url: str
    connector: str
    unit: str
    # Kafka Connect's: the folder of offsets, schema-history and failures.
    state: str
    database: str
    database_name: str
    # The authority behind the database; empty for no TLS.
    database_ca: str
    captured_tables: tuple[str, ...]
    brokers: tuple[str, ...]
    interval_seconds: float = 5
    # Longest without an answer, without a stored position, or in a state that should pass.
    stall_seconds: float = 60
    # Longest from the start of the process to its first answer.
    start_seconds: float = 300
    behind_seconds: float = 30
    first_pause_seconds: float = 15
    longest_pause_seconds: float = 600

    def written(self, name: str) -> float | None:
        """When a file was written last, in seconds since the epoch; None where there is none."""
        try:
            return Path(self.state, name).stat().st_mtime
        except FileNotFoundError:
            return None

    def read(self, name: str) -> str:
        """Read a file; one that is not there is empty."""
        try:
            return Path(self.state, name).read_text(errors="replace")
        except FileNotFoundError:
            return ""


class UnhealthyError(Exception):
    """The connector is unhealthy; the message says how."""


def load(path: str) -> Settings:
    """Read the settings. Raises OSError, TypeError or ValueError."""
    with Path(path).open("rb") as file:
        content = tomllib.load(file)
    lists = {name: tuple(value) for name, value in content.items() if isinstance(value, list)}
    return Settings(**{**content, **lists})


# check


def check(settings: Settings, target: str | None = None) -> str:
    """Say in a line how it is. Raises UnhealthyError or ConnectError."""
    connect = Connector(settings.url, settings.connector)
    status = connect.status()
    if status.state != "RUNNING":
        words = [f"the connector {settings.connector} is {status.state}"]
        why: Condition | Fault | None = reported()
        if why is None and status.state == "FAILED":
            why = fault(status.trace)
        if why is not None:
            words += [f"{why.cause}: {why.message}"]
            words += [f"at {why.position}"] if isinstance(why, Condition) and why.position else []
        remedy = f". {why.remedy}" if why is not None and why.remedy else ""
        raise UnhealthyError(", ".join(words) + remedy)
    if target is not None:
        return progress(settings, connect, target)
    # It is RUNNING before it has asked the database and Kafka; what it stored is later.
    stored = settings.written("offsets")
    if not position(connect) or stored is None or stored <= started_at(settings.unit):
        raise UnhealthyError(
            f"the connector {settings.connector} runs, but has stored no position yet"
        )
    return f"connector {settings.connector} and its task are RUNNING"


def reported() -> Condition | None:
    """Return the failure that ``watch`` reported last; None where that was none."""
    try:
        how = Condition(**json.loads(REPORTED.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return how if how.state == "failed" else None


# The binlog's file, the position in it, and the time of the last change as seconds since the epoch.
Position = tuple[str, int, float]


def position(connect: Connector) -> Position | None:
    """Return what is stored."""
    _, offset = connect.stored()
    if "file" not in offset:
        return None
    return str(offset["file"]), int(offset["pos"]), float(offset.get("ts_sec") or 0)


def progress(settings: Settings, connect: Connector, target: str) -> str:
    """Compare the stored position with where the database is; wait a moment for it."""
    deadline = time.monotonic() + PROGRESS_SECONDS
    name, _, number = target.rpartition(":")
    goal = comparable(name, int(number))
    first = now = position(connect)
    while (now is None or comparable(*now[:2]) < goal) and time.monotonic() < deadline:
        time.sleep(0.25)
        now = position(connect)
    if now is None or first is None:
        raise UnhealthyError("no position is stored, so nothing has been captured yet")
    where = f"at {now[0]}:{now[1]}, the database at {target}"
    age = time.time() - (settings.written("offsets") or 0)
    if age > settings.behind_seconds:
        raise UnhealthyError(f"no heartbeat has been stored for {age:.0f} s: {where}")
    if comparable(*now[:2]) >= goal:
        return f"at {target}, where the database is"
    if now == first:
        # With the last change in a table that is not captured, Debezium stays before it.
        if comparable(*now[:2])[0] == goal[0]:
            return f"nothing to capture: {where}"
        raise UnhealthyError(f"it is still in an older binlog: {where}")
    behind = time.time() - now[2]
    if now[2] and behind > settings.behind_seconds:
        raise UnhealthyError(f"catching up, {behind:.0f} s behind: {where}")
    return f"on its way: {where}"


def comparable(name: str, number: int) -> tuple[int, int]:
    """Make positions comparable: binlog.999999 is followed by binlog.1000000."""
    suffix = re.search(r"\.(\d+)$", name)
    return (int(suffix[1]) if suffix else 0), number


# watch


@dataclass
class Watchdog:
    """One look is ``look``. Clock and process are those of the machine, but in tests."""

    settings: Settings
    database: Database
    process: Callable[[str], int]
    end: Callable[[int], None]
    clock: Callable[[], float] = time.monotonic
    _pid: int = 0
    _answered: bool = False
    _alive: float = 0
    _unhealthy: float = 0
    _stored: float | None = None
    _pause: float = 0
    _next: float = float("-inf")
    _last: Condition | None = field(default_factory=reported)

    def look(self) -> Condition:
        """Look once, act if need be, and return what was found."""
        pid, now = self.process(self.settings.unit), self.clock()
        if pid != self._pid:
            # A process that has just been started has time; one that was stopped is left alone.
            self._pid, self._answered, self._alive = pid, False, now
            self._stored = self.settings.written("offsets")
        if not pid:
            remedy = f"Start it: systemctl start {self.settings.unit}"
            return Condition("waiting", "connect_unavailable", "Kafka Connect is stopped", remedy)
        self._last = how = self._found(now)
        if how.state != "running":
            self._unhealthy = now
        elif self._pause and now - self._unhealthy > self._pause:
            self._pause = 0
        return how

    def _found(self, now: float) -> Condition:
        connect = Connector(self.settings.url, self.settings.connector)
        try:
            status = connect.status()
            where = str(connect.stored()[1].get("gtids") or "") or None
        except ConnectError as error:
            how = Condition("waiting", "connect_unavailable", str(error), LOGS)
            wait = "stall_seconds" if self._answered else "start_seconds"
            return self._stalled(now, how, getattr(self.settings, wait))
        self._answered = True
        if status.state == "FAILED":
            return self._failed(now, status.trace, where)
        stored = self.settings.written("offsets")
        # Before the first position there is the snapshot, which may take its time.
        if status.state == "RUNNING" and (stored is None or stored != self._stored):
            self._stored, self._alive = stored, now
        if status.state in {"PAUSED", "STOPPED"}:
            self._alive = now
            if self._last is not None and self._last.cause == MISMATCH:
                return self._last
            remedy = f"Somebody asked for it: systemctl restart {self.settings.unit} ends it"
            return Condition("waiting", "paused", f"it is {status.state}", remedy, where)
        mismatch = self._mismatch(now, where) if status.state == "RUNNING" else None
        # What redefined it may have made it fail.
        with suppress(ConnectError):
            if mismatch is not None and connect.status().state == "RUNNING":
                say("error", "connector_stopped", reason=mismatch.message)
                Connector(self.settings.url, self.settings.connector, END_SECONDS).stop()
                return mismatch
        return self._running(now, status.state, where)

    def _running(self, now: float, state: str, where: str | None) -> Condition:
        if state != "RUNNING":
            how = Condition("waiting", "connect_unavailable", f"it is {state}", LOGS, where)
            return self._stalled(now, how)
        if now - self._alive <= self.settings.stall_seconds:
            return Condition("running", position=where)
        message = f"RUNNING, but no position was stored for {now - self._alive:.0f} s"
        return self._stalled(now, Condition("waiting", "behind", message, LOGS, where))

    def _stalled(self, now: float, how: Condition, longest: float | None = None) -> Condition:
        """Restart what should have passed by now."""
        longest = self.settings.stall_seconds if longest is None else longest
        return how if now - self._alive <= longest else self._restarted(now, how)

    def _failed(self, now: float, trace: str, where: str | None) -> Condition:
        why = fault(trace)
        remedy = why.remedy
        stopped = re.search(r"near position = (\S+)/(\d+)", self.settings.read("failures"))
        if stopped and why.cause in {"unparseable_ddl", "row_mismatch", "other"}:
            at = self._transaction(stopped[1], int(stopped[2]))
            if at is not None and not at.captured and self._skip(at):
                return Condition("waiting", why.cause, why.message, None, f"GTID {at.gtid}")
            if at is not None and why.cause != "other":
                where = f"GTID {at.gtid} ({stopped[1]}:{stopped[2]}), read up to {where}"
                remedy = remedy.replace("GTID", at.gtid)
        elif why.cause == "unparseable_ddl":
            remedy = DEFINITION
        remedy = remedy.removesuffix(" -e capture_skip_gtid=GTID")
        how = Condition("failed", why.cause, why.message, remedy, where)
        return how if why.cause in LASTING else self._restarted(now, how)

    def _restarted(self, now: float, how: Condition) -> Condition:
        if now < self._next:
            return how
        cause = unreachable(self.settings)
        if cause is not None:
            self._alive = now
            return Condition("waiting", *cause, position=how.position)
        self._pause = min(
            self._pause * 2 or self.settings.first_pause_seconds,
            self.settings.longest_pause_seconds,
        )
        self._next = now + self._pause
        say(
            "warning",
            "connect_restarted",
            unit=self.settings.unit,
            pid=self._pid,
            reason=how.message,
            againAfterSeconds=self._pause,
        )
        self.end(self._pid)
        return how

    def _transaction(self, file: str, place: int) -> Transaction | None:
        """Return the transaction at a position of the binlog.

        It is ``captured`` where it or one between the stored position and it concerns a captured
        table: one that was read need not have been sent.
        """
        connect = Connector(self.settings.url, self.settings.connector)
        captured = False
        try:
            _, offset = connect.stored()
            stored = (str(offset["file"]), int(offset["pos"]))
            with self.database.cursor() as cursor:
                for each in transactions(_sql(cursor), stored, *self._captured(offset)):
                    captured |= each.captured
                    if each.file == file and each.start <= place < each.end:
                        return replace(each, captured=captured)
        except (*FAULTS, BinlogError, ConnectError, KeyError):
            return None
        return None

    def _skip(self, transaction: Transaction) -> bool:
        connect = Connector(self.settings.url, self.settings.connector, END_SECONDS)
        try:
            partition, offset = connect.stored()
            connect.stop()
            connect.store(partition, moved(offset, transaction.gtid))
        except ConnectError:
            return False
        where = f"{transaction.file}:{transaction.start}"
        say("warning", "transaction_skipped", gtid=transaction.gtid, position=where)
        self.end(self._pid)
        return True

    def _captured(self, offset: dict[str, Any]) -> tuple[str, str, tuple[str, ...]]:
        gtids = str(offset.get("gtids") or "")
        return gtids, self.settings.database_name, self.settings.captured_tables

    def _mismatch(self, now: float, where: str | None) -> Condition | None:
        """Compare the columns by which rows are read with those that the tables have."""
        others = self._redefined(now)
        if not others:
            return None
        time.sleep(CONFIRM_SECONDS)
        others = [table for table in self._redefined(now) if table in others]
        if not others:
            return None
        message = f"{', '.join(others)} has other columns than change capture reads its rows by"
        return Condition("failed", MISMATCH, message, SNAPSHOT, where)

    def _redefined(self, now: float) -> list[str]:
        """Return the tables with other columns; none while what redefined one is not read yet."""
        known = columns(self.settings.read("schema-history"), self.settings.database_name)
        found: dict[str, list[str]] = {}
        try:
            with self.database.cursor() as cursor:
                cursor.execute(_COLUMNS, (self.settings.database_name,))
                for table, column in cursor.fetchall():
                    found.setdefault(table, []).append(column.lower())
                cursor.execute(_READERS)
                readers = [str(row[0]) for row in cursor.fetchall()]
        except FAULTS:
            return []
        read = readers and all("sent all binlog" in reader for reader in readers)
        if not read or now - self._alive > self.settings.behind_seconds:
            return []
        return [
            table
            for table in self.settings.captured_tables
            if table in known and known[table] != found.get(table)
        ]


# An account sees its own threads.
_COLUMNS = (
    "SELECT table_name, column_name FROM information_schema.columns"
    " WHERE table_schema = %s ORDER BY table_name, ordinal_position"
)
_READERS = (
    "SELECT state FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'"
    " AND user = SUBSTRING_INDEX(CURRENT_USER(), '@', 1)"
)


def columns(history: str, database: str) -> dict[str, list[str]]:
    """Read the columns of each table, in order, from Debezium's schema history."""
    known: dict[str, list[str]] = {}
    for line in history.splitlines():
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            for change in json.loads(line).get("tableChanges", []):
                for gone in {change["id"], change.get("previousId") or change["id"]}:
                    known.pop(gone, None)
                if change["type"] != "DROP":
                    known[change["id"]] = [
                        each["name"].lower() for each in change["table"]["columns"]
                    ]
    own = f'"{database}".'
    return {
        name.removeprefix(own).strip('"'): list(table)
        for name, table in known.items()
        if name.startswith(own)
    }


def _sql(cursor: Any) -> Callable[[str], Any]:
    def ask(statement: str) -> Any:
        cursor.execute(statement)
        return cursor.fetchall()

    return ask


def unreachable(settings: Settings) -> tuple[str, str, str] | None:
    """Return cause, message and remedy where what Connect needs takes no connection."""
    if not accepts(settings.database):
        message = f"MariaDB does not answer at {settings.database}"
        return "database_unavailable", message, "make logs UNIT=mariadb"
    if not any(accepts(broker) for broker in settings.brokers):
        message = f"Kafka does not answer at {', '.join(settings.brokers)}"
        return "broker_unavailable", message, "make logs UNIT=kafka"
    return None


def accepts(address: str) -> bool:
    """Whether HOST:PORT takes a connection."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), REACHABLE_SECONDS):
            return True
    except OSError:
        return False


def shown(unit: str, name: str) -> str:
    """Return a property of a unit; empty where systemd does not tell."""
    command = ["systemctl", "show", f"--property={name}", "--value", unit]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (subprocess.SubprocessError, OSError):
        return ""
    return done.stdout.strip()


def main_process(unit: str) -> int:
    """Return the main process of a unit; 0 where it does not run."""
    return int(shown(unit, "MainPID") or 0) if shown(unit, "ActiveState") == "active" else 0


def started_at(unit: str) -> float:
    """When a unit's main process began, in seconds since the epoch; 0 where it never did."""
    since_boot = int(shown(unit, "ExecMainStartTimestampMonotonic") or 0) / 1e6
    return time.time() - (time.monotonic() - since_boot) if since_boot else 0


def end_process(pid: int) -> None:
    """End a process; by force where it does not go. One that is gone is no error."""
    with suppress(ProcessLookupError):
        this = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(this, signal.SIGTERM)
            if not select.select([this], [], [], END_SECONDS)[0]:
                signal.pidfd_send_signal(this, signal.SIGKILL)
        finally:
            os.close(this)


def watch(settings: Settings) -> None:
    """Look again and again."""
    login = Path(os.environ["CREDENTIALS_DIRECTORY"], "database_login").read_text()
    given = dict(line.split("=", 1) for line in login.splitlines() if "=" in line)
    database = Database(
        (settings.database,),
        settings.database_name,
        given["user"],
        given["password"],
        settings.database_ca,
    )
    watchdog = Watchdog(settings, database, main_process, end_process)
    reporter = Reporter("capture_state", settings.connector, database)
    while True:
        how = watchdog.look()
        reporter.report(how)
        REPORTED.write_text(json.dumps(vars(how)))
        defined = settings.written("schema-history")
        until = time.monotonic() + settings.interval_seconds
        while time.monotonic() < until and settings.written("schema-history") == defined:
            time.sleep(min(1, settings.interval_seconds))


def main(arguments: list[str]) -> int:
    """See the module's text."""
    match arguments:
        case ["watch", path]:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            watch(load(path))
        case ["check", path, *target] if len(target) <= 1:
            try:
                print(check(load(path), *target))
            except (UnhealthyError, ConnectError) as error:
                print(error, file=sys.stderr)
                return 1
        case _:
            print(__doc__, file=sys.stderr)
            return 64
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
