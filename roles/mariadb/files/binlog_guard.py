"""Detects changes of captured tables that change capture cannot see, or is told wrong.

    binlog_guard.py watch SETTINGS        check again and again, until stopped
    binlog_guard.py check SETTINGS        print what the last round found; exit 1 where it is wrong
    binlog_guard.py install SETTINGS [--dry-run]
                                          as root: create what notes unlogged changes; print changes

A round, every ``interval_seconds``, reads the binlog (binlog_reader.py) and looks at the server:
settings, tables, triggers, foreign keys, XA transactions. What it finds becomes a row of
``record_gaps`` and a line of JSON at level error; neither has a value of a statement.

Changes with ``sql_log_bin=0`` are noted by triggers in ``helfy_guard.unlogged_changes``, in their
own transaction: a rollback takes the note back. DDL gives a table another identity in InnoDB; with
none in the binlog it was not logged.

Needs python3-pymysql. SETTINGS is TOML: see ``Settings``. The state is in ``$STATE_DIRECTORY``.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pymysql
import pymysql.cursors
from binlog_reader import Finding, Reader, place, rolled_back

if TYPE_CHECKING:
    from binlog_reader import Link

BINLOG_UNREADABLE, DUPLICATE = 1236, 1062
XA_OPEN_SECONDS: Final = 60
STALE_SECONDS: Final = 90
MOST_NAMED: Final = 5
REMEDY: Final = "docs/security.md, what root can defeat; then helfy gaps acknowledge"
EVENTS: Final = ("INSERT", "UPDATE", "DELETE")
NOTES: Final = "helfy_guard.unlogged_changes"
NOTES_COLUMNS: Final = (
    "(connection_id BIGINT UNSIGNED, table_name VARCHAR(64), account VARCHAR(190),"
    " changed_at TIMESTAMP, PRIMARY KEY (connection_id, table_name, changed_at))"
)
NOTE: Final = (
    f"IF NOT (@@sql_log_bin AND @@log_bin) THEN INSERT IGNORE INTO {NOTES}"
    " VALUES (CONNECTION_ID(), '{table}', USER(), NOW()); END IF"
)
# What a round asks, with the parameters database and tables.
QUESTIONS: Final = {
    "prepared": "XA RECOVER",
    "tables": "SELECT TABLE_NAME AS name, TABLE_TYPE AS type, ENGINE AS engine,"
    " CREATE_TIME AS created FROM information_schema.TABLES"
    " WHERE TABLE_SCHEMA = %(database)s AND TABLE_NAME IN %(tables)s",
    # A partition is a table of its own to InnoDB.
    "ids": "SELECT SUBSTRING_INDEX(SUBSTRING_INDEX(NAME, '/', -1), '#', 1) AS name,"
    " GROUP_CONCAT(TABLE_ID ORDER BY TABLE_ID) AS ids FROM information_schema.INNODB_SYS_TABLES"
    " WHERE NAME LIKE CONCAT(%(database)s, '/%%') GROUP BY name",
    "triggers": "SELECT EVENT_OBJECT_TABLE AS name, COUNT(*) AS count, MAX(CREATED) AS created"
    " FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %(database)s"
    " AND TRIGGER_NAME LIKE 'helfy\\_unlogged\\_%%' GROUP BY name",
    "cascades": "SELECT CONSTRAINT_NAME AS name, TABLE_NAME AS child"
    " FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = %(database)s"
    " AND TABLE_NAME IN %(tables)s AND CONCAT(DELETE_RULE, UPDATE_RULE) REGEXP 'CASCADE|SET'",
    "notes": f"SELECT *, UNIX_TIMESTAMP(changed_at) AS at FROM {NOTES}",
    "gtids": "SELECT @@GLOBAL.gtid_binlog_pos AS position",
    # Last: all that is above is from before it.
    "binlog": "SHOW MASTER STATUS",
}
# What is installed: databases, tables, triggers with what they do.
INSTALLED: Final = (
    "SELECT CONCAT('database ', SCHEMA_NAME) AS name FROM information_schema.SCHEMATA",
    """SELECT CONCAT('table ', TABLE_SCHEMA, '.', TABLE_NAME) AS name
        FROM information_schema.TABLES
        WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA IN (%(database)s, 'helfy_guard')""",
    """SELECT CONCAT_WS(' ', 'trigger', TRIGGER_NAME, ACTION_STATEMENT) AS name
        FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %(database)s""",
)
Wrong = dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Settings:
    """``captured`` has names of tables, ``variables`` the server's global variables by name."""

    socket: str
    database: str
    captured: tuple[str, ...]
    variables: dict[str, str]
    account: str = "helfy_guard"
    interval_seconds: float = 15


def load(path: str) -> Settings:
    """Read the settings. Raises OSError, TypeError or ValueError."""
    content = tomllib.loads(Path(path).read_text())
    return Settings(**{**content, "captured": tuple(content["captured"])})


def connect(settings: Settings, user: str) -> Link:
    """Log in by the socket, in UTC."""
    return pymysql.connect(
        unix_socket=settings.socket,
        user=user,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=5,
        read_timeout=10,
        init_command="SET time_zone = '+00:00', lock_wait_timeout = 5",
        cursorclass=pymysql.cursors.DictCursor,
    )


def say(level: str, action: str, **fields: object) -> None:
    """Write one line of JSON to the journal."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    print(json.dumps({"timestamp": now, "level": level, "action": action, **fields}), flush=True)


def moment(seconds: float) -> str:
    """Give a time as SQL has it, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S.%f}"


def xid(row: dict[str, Any]) -> str:
    """Give a row of XA RECOVER as the binlog has it, in small letters."""
    data, first = row["data"], row["gtrid_length"]
    data = data if isinstance(data, bytes) else data.encode("latin-1")
    return f"x'{data[:first].hex()}',x'{data[first:].hex()}',{row['formatID']}"


def observe(settings: Settings, cursor: Any) -> dict[str, Any]:
    """Ask QUESTIONS, and for the variables; answers by the question's name, mostly then by name."""
    names = ", ".join(f"CAST(@@GLOBAL.{name} AS CHAR) AS {name}" for name in settings.variables)
    seen: dict[str, Any] = {}
    for part, question in {"variables": f"SELECT {names}", **QUESTIONS}.items():
        cursor.execute(question, {"database": settings.database, "tables": settings.captured})
        rows = list(cursor.fetchall())
        seen[part] = {row["name"]: row for row in rows} if rows and "name" in rows[0] else rows
    seen["prepared"] = {xid(row) for row in seen["prepared"]}
    gtids = (one.split("-") for one in seen["gtids"][0]["position"].split(",") if one)
    seen["gtids"] = {domain: int(number) for domain, _, number in gtids}
    return seen


class Guard:
    """Goes round, and keeps in a file how far it is and what is wrong."""

    def __init__(self, settings: Settings, file: Path) -> None:
        self.settings, self.file = settings, file
        self.state: dict[str, Any] = {"file": "", "position": 4, "pending": [], "ddl": []}
        for name in ("gtids", "prepared", "identities", "triggers", "wrong"):
            self.state[name] = {}
        if file.exists():
            self.state |= json.loads(file.read_text())
        self._reader: Reader | None = None
        self._findings: list[Finding] = []
        self._suspects: dict[str, str] = {}

    def round(self) -> None:
        """Read, compare, announce. Raises pymysql's errors; the next round goes on from there."""
        with connect(self.settings, self.settings.account) as link, link.cursor() as cursor:
            seen = observe(self.settings, cursor)
            ddl = self._read(cursor, seen) if seen["binlog"] else set()
            # Of the round before as well: DDL may be read, and its work be seen only now.
            wrong = self._compare(seen, ddl.union(self.state["ddl"]))
            self.state["ddl"] = sorted(ddl)
            self._announce(cursor, wrong, seen["notes"])
        self.state["checked_at"] = time.time()
        self._save()

    def close(self) -> None:
        """End the connection that reads the binlog."""
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    def _save(self) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(self.state))
        new.rename(self.file)

    def _read(self, cursor: Any, seen: dict[str, Any]) -> set[str]:
        """Read up to where the binlog is; give the captured tables that DDL named."""
        state, status = self.state, seen["binlog"][0]
        goal = place(status["File"], status["Position"])
        if not state["file"]:
            cursor.execute("SHOW BINARY LOGS")
            state["file"] = cursor.fetchone()["Log_name"]
        back = any(seen["gtids"].get(name, 0) < number for name, number in state["gtids"].items())
        try:
            if not back and place(state["file"], state["position"]) <= goal:
                if self._reader is None:
                    link = connect(self.settings, self.settings.account)
                    self._reader = Reader(
                        link, self.settings.database, self.settings.captured, state
                    )
                self._reader.read_to(goal)
                reader, self._findings = self._reader, self._findings + self._reader.findings
                ddl, reader.findings, reader.ddl = reader.ddl, [], set()
                return ddl
        except pymysql.err.OperationalError as error:
            if error.args[0] != BINLOG_UNREADABLE:
                raise
        except ValueError:
            pass  # It is another file of that name.
        # RESET MASTER, or a purge before all was read: go on from where it is now.
        self.close()
        lost, since = f"{state['file']}:{state['position']}", state.get("read_to") or time.time()
        text = f"cannot be read from there to {status['File']}:{status['Position']}"
        self._findings.append(Finding("binlog_reset", lost, text, since, time.time()))
        state |= {"file": status["File"], "position": status["Position"], "gtids": {}}
        return set(self.settings.captured)

    def _compare(self, seen: dict[str, Any], ddl: set[str]) -> Wrong:
        """Note what happened since the last round; give what is wrong now: cause, text by name.

        Without a cause it is no gap of the record.
        """
        wrong: Wrong = {}
        for name, value in self.settings.variables.items():
            if seen["variables"][0][name] != value:
                cause = "binlog_disabled" if name == "log_bin" else ""
                wrong[name] = cause, f"{name} must be {value}, got {seen['variables'][0][name]}"
        for name in ("Binlog_Do_DB", "Binlog_Ignore_DB"):
            if seen["binlog"] and seen["binlog"][0][name]:
                wrong[name] = "binlog_disabled", f"{name} must be empty"
        for name, row in dict(seen["cascades"]).items():
            text = f"foreign key {name} changes rows of {row['child']} without the binlog"
            wrong[f"foreign key {name}"] = "foreign_key_cascade", text
        for table in self.settings.captured:
            self._compare_table(table, seen, ddl, wrong)
            self._compare_triggers(table, seen, wrong)
        for name, prepared in list(self.state["prepared"].items()):
            if name not in seen["prepared"]:
                # Nothing of its end in the binlog, which is read by now beyond it.
                del self.state["prepared"][name]
                how = "ended by XA, with sql_log_bin=0"
                self._findings.append(rolled_back(prepared, time.time(), how))
            elif time.time() - prepared["at"] > XA_OPEN_SECONDS:
                text = f"GTID {prepared['gtid']} of {', '.join(prepared['tables'])}: on record"
                wrong[f"XA {name}"] = "xa_open", f"{text}, neither committed nor rolled back"
        return wrong

    def _compare_table(self, table: str, seen: dict[str, Any], ddl: set[str], wrong: Wrong) -> None:
        known, found = self.state["identities"].get(table), dict(seen["tables"]).get(table)
        if found is None or (found["type"], found["engine"]) != ("BASE TABLE", "InnoDB"):
            if known:
                what = f"{found['type']} of {found['engine']}" if found else "nothing"
                text = f"{table} must be a BASE TABLE of InnoDB, got {what}"
                wrong[f"table {table}"] = "table_replaced", text
            return
        identity = f"{dict(seen['ids']).get(table, {}).get('ids')} {found['created']}"
        if known not in (None, identity) and table not in ddl:
            # DDL is in the binlog a moment after its work is done: the next round knows.
            if self._suspects.get(table) != identity:
                self._suspects[table] = identity
                return
            text = f"{table} was rebuilt, truncated or replaced with sql_log_bin=0"
            self._happened("binlog_disabled", f"table {table}", text)
        self.state["identities"][table] = identity

    def _compare_triggers(self, table: str, seen: dict[str, Any], wrong: Wrong) -> None:
        name, before = f"triggers {table}", self.state["triggers"].get(table)
        found = dict(seen["triggers"]).get(table, {"count": 0})
        if found["count"] < len(EVENTS):
            if before and table in seen["tables"]:
                text = f"triggers of {table} are missing: run playbooks/site.yml"
                wrong[name] = "guard_removed", text
            return
        # With another NOTE it was a deployment that created them anew.
        now = [str(found["created"]), NOTE]
        if before and before[1] == NOTE and before != now and name not in self.state["wrong"]:
            self._happened("guard_removed", name, f"triggers of {table} were created anew")
        self.state["triggers"][table] = now

    def _happened(self, cause: str, source: str, text: str) -> None:
        """Note what happened at an unknown moment since the last round."""
        now = time.time()
        since = self.state.get("checked_at") or now
        self._findings.append(Finding(cause, source, text, since, now))

    def _announce(self, cursor: Any, wrong: Wrong, notes: list[dict[str, Any]]) -> None:
        """Announce a gap for each cause of what happened, and one for each thing that is wrong."""
        for note in notes:
            text = f"{note['table_name']} changed by {note['account']} with sql_log_bin=0"
            source, at = f"thread {note['connection_id']}", float(note["at"])
            self._findings.append(Finding("binlog_disabled", source, text, at, at))
        for cause in dict.fromkeys(one.cause for one in self._findings):
            same = [one for one in self._findings if one.cause == cause]
            said = list(dict.fromkeys(f"{one.source}: {one.text}" for one in same))
            more = f"; and {len(said) - MOST_NAMED} more" if len(said) > MOST_NAMED else ""
            source = f"{cause} {same[0].source} {same[-1].source} {same[-1].until:.0f}"
            since, until = min(one.since for one in same), max(one.until for one in same)
            self._gap(cause, source, "; ".join(said[:MOST_NAMED]) + more, since, until)
        self._findings = []
        known: dict[str, dict[str, str]] = self.state["wrong"]
        for name in wrong.keys() - known.keys():
            cause, text = wrong[name]
            since = self.state.get("checked_at") or time.time()
            known[name] = {"cause": cause, "text": text, "source": f"{cause} {name} {since:.0f}"}
            if cause:
                self._gap(cause, known[name]["source"], text, since, None)
            else:
                say("error", "binlog_setting_changed", detail=text)
        for name in known.keys() - wrong.keys():
            gone = known.pop(name)
            say("info", "binlog_guard_recovered", detail=gone["text"])
            if gone["cause"]:
                self.state["pending"].append({"source": gone["source"], "at": moment(time.time())})
        # Kept before it is written: record_gaps may not be there yet, or be locked.
        self._save()
        self._write(cursor)
        for note in notes:
            cursor.execute(
                f"DELETE FROM {NOTES} WHERE connection_id = %(connection_id)s"
                " AND table_name = %(table_name)s AND changed_at = %(changed_at)s",
                note,
            )

    def _gap(self, cause: str, source: str, detail: str, since: float, until: float | None) -> None:
        ends = until if until is None else moment(until)
        gap: dict[str, object] = {"cause": cause, "source_id": source[:190]}
        gap |= {"detail": detail[:1024], "starts_at": moment(since), "ends_at": ends}
        named = {"sourceId": gap["source_id"], "startsAt": gap["starts_at"], "endsAt": ends}
        say("error", "gap_announced", cause=cause, detail=detail, **named, remedy=REMEDY)
        self.state["pending"].append(gap)

    def _write(self, cursor: Any) -> None:
        """Write what is pending to record_gaps. What cannot be written yet stays pending."""
        table, left = f"{self.settings.database}.record_gaps", []
        for gap in self.state["pending"]:
            values = ", ".join(f"%({name})s" for name in gap)
            sql = f"INSERT INTO {table} ({', '.join(gap)}) VALUES ({values})"
            if "source" in gap:
                sql = f"UPDATE {table} SET ends_at = %(at)s WHERE source_id = %(source)s"
            try:
                cursor.execute(sql, gap)
            except pymysql.err.MySQLError as error:
                if error.args[0] != DUPLICATE:
                    left.append(gap)
        self.state["pending"] = left


def check(settings: Settings, file: Path) -> str:
    """Give what the last round found, in a line. Raises RuntimeError where that is not good."""
    state = json.loads(file.read_text()) if file.exists() else {}
    age = time.time() - state.get("checked_at", 0)
    if age > STALE_SECONDS:
        when = f"for {age:.0f} s" if "checked_at" in state else "yet"
        raise RuntimeError(f"the binlog guard has not checked {when}")
    wrong = [one["text"] for one in state["wrong"].values()]
    if state["pending"]:
        wrong.append(f"{len(state['pending'])} gaps cannot be written to record_gaps")
    if wrong:
        raise RuntimeError("; ".join(wrong))
    return f"{', '.join(settings.captured)} verified up to {state['file']}:{state['position']}"


def install(settings: Settings, *, dry_run: bool) -> list[str]:
    """Create the table of notes, and the triggers of the captured tables that are there."""
    with connect(settings, "root") as link, link.cursor() as cursor:
        cursor.execute("SET sql_log_bin = 0")
        made: set[str] = set()
        for question in INSTALLED:
            cursor.execute(question, {"database": settings.database, "tables": settings.captured})
            made |= {row["name"] for row in cursor.fetchall()}
        wanted = {
            f"database {NOTES.partition('.')[0]}": f"CREATE DATABASE {NOTES.partition('.')[0]}",
            f"table {NOTES}": f"CREATE TABLE {NOTES} {NOTES_COLUMNS}",
        }
        for table, event in itertools.product(settings.captured, EVENTS):
            if f"table {settings.database}.{table}" in made:
                name, body = f"helfy_unlogged_{table}_{event.lower()}", NOTE.format(table=table)
                wanted[f"trigger {name} {body}"] = (
                    f"CREATE OR REPLACE DEFINER = root@localhost TRIGGER {settings.database}.{name}"
                    f" AFTER {event} ON {settings.database}.{table} FOR EACH ROW {body}"
                )
        missing = [name for name in wanted if name not in made]
        for name in missing if not dry_run else []:
            cursor.execute(wanted[name])
    return [" ".join(name.split()[:2]) for name in missing]


def watch(settings: Settings, file: Path) -> None:
    """Go round again and again. While MariaDB does not answer, wait."""
    guard, waiting = Guard(settings, file), False
    say("info", "binlog_guard_started", captured=settings.captured)
    while True:
        try:
            guard.round()
        except pymysql.err.MySQLError as error:
            guard.close()
            if not waiting:
                say("warning", "binlog_guard_waiting", error=error.args[0] if error.args else None)
            waiting = True
        else:
            if waiting:
                say("info", "binlog_guard_resumed")
            waiting = False
        time.sleep(settings.interval_seconds)


def main(arguments: list[str]) -> int:
    """See the module's text."""
    file = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/helfy-binlog-guard"), "state.json")
    match arguments:
        case ["watch", path]:
            watch(load(path), file)
        case ["check", path]:
            try:
                print(check(load(path), file))
            except RuntimeError as error:
                print(error, file=sys.stderr)
                return 1
        case ["install", path, *rest] if rest in ([], ["--dry-run"]):
            print(json.dumps({"changed": install(load(path), dry_run=bool(rest))}))
        case _:
            print(__doc__, file=sys.stderr)
            return 64
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
