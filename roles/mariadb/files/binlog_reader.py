"""Reads MariaDB's binlog as a replica does, and finds in it what change capture gets wrong.

The layout of the events: https://mariadb.com/kb/en/replication-protocol/. Of a statement nothing
leaves this module but its verb and the captured tables that it names.
"""

from __future__ import annotations

import random
import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pymysql

    Link = pymysql.Connection[Any]

QUERY, ROTATE, FORMAT, EXECUTE_LOAD, TABLE_MAP, INCIDENT = 2, 4, 15, 18, 19, 26
XA_PREPARE, GTID, QUERY_COMPRESSED = 38, 162, 165
# Row events: versions 1 and 2, and MariaDB's compressed ones of both, for INSERT, UPDATE, DELETE.
COMPRESSED: Final = {166, 167, 168, 169, 170, 171}
ROWS: Final = {23, 24, 25, 30, 31, 32} | COMPRESSED
UPDATES: Final = {24, 31, 167, 170}
VERSION_2: Final = {30, 31, 32, 169, 170, 171}
# Flags of a GTID: what follows is no transaction, or DDL.
STANDALONE: Final = 0x21
COM_BINLOG_DUMP: Final = 0x12
MOST_IN_A_BYTE: Final = 250
# What divides or ends a transaction. Any other query in one is a change logged as a statement.
CONTROL: Final = re.compile(r"(SAVEPOINT|ROLLBACK|COMMIT|XA \w+)\b ?(.*)", re.DOTALL)
WORD: Final = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|/\*(?!M?!).*?\*/|--\s[^\n]*|\#[^\n]*"""
    r"""|`((?:[^`]|``)+)`|"((?:[^"\\]|\\.|"")*)"|([^\W\d][\w$]*)""",
    re.DOTALL,
)
VERBS: Final = ("INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "SELECT")
# DDL that brings rows into a table or takes some away, without an event for each.
MOVES: Final = re.compile(
    r"\b(RENAME(?! (?:COLUMN|INDEX|KEY))|(?:EXCHANGE|DROP|TRUNCATE|CONVERT) PARTITION|CONVERT TABLE"
    r"|DISCARD|IMPORT|CREATE OR REPLACE TABLE|CREATE TABLE(?=.* SELECT\b))\b"
)


@dataclass(frozen=True)
class Finding:
    """Something found at ``source``, such as a GTID; times in seconds since the epoch."""

    cause: str
    source: str
    text: str
    since: float
    until: float


@dataclass
class Transaction:
    """What the binlog has of one GTID so far: tables by their number, and the captured ones."""

    gtid: str = "unknown"
    at: float = 0
    flags: int = 0
    xid: str = ""
    maps: dict[int, str] = field(default_factory=dict)
    tables: set[str] = field(default_factory=set)


def place(file: str, position: int) -> tuple[int, int]:
    """Make positions comparable: binlog.999999 is followed by binlog.1000000."""
    return int(file.rpartition(".")[2] or 0), position


def rolled_back(prepared: dict[str, Any], until: float, how: str) -> Finding:
    """Say that what the record tells of a prepared transaction did not come true."""
    text = f"changes of {', '.join(prepared['tables'])}, {how}"
    return Finding("xa_rollback", f"GTID {prepared['gtid']}", text, prepared["at"], until)


class Reader:
    """Reads on from ``state``'s file and position, and moves them.

    It keeps in ``state`` too: ``read_to`` (the time of the last event), ``gtids`` (the last number
    of each domain), ``prepared`` (XA transactions with changes of captured tables, by xid).
    ``findings`` and ``ddl``, the captured tables that DDL named, are for the caller to empty.
    """

    def __init__(
        self, link: Link, database: str, captured: tuple[str, ...], state: dict[str, Any]
    ) -> None:
        self.findings: list[Finding] = []
        self.ddl: set[str] = set()
        self._link, self._database, self._captured, self._state = link, database, captured, state
        self._one = Transaction()
        with link.cursor() as cursor:
            cursor.execute("SET @mariadb_slave_capability = 4")
            cursor.execute("SET @master_binlog_checksum = @@GLOBAL.binlog_checksum")
            cursor.execute("SELECT @master_binlog_checksum AS kind")
            self._checksum = cursor.fetchone()["kind"] == "CRC32"
        # Of two replicas with one number the server ends the older one.
        number = random.randrange(1 << 31, 1 << 32)
        where = struct.pack("<IHI", state["position"], 0, number) + state["file"].encode()
        link._execute_command(COM_BINLOG_DUMP, where)  # type: ignore[attr-defined]

    def close(self) -> None:
        """End the connection."""
        self._link.close()

    def read_to(self, goal: tuple[int, int]) -> None:
        """Take events up to a place. Raises pymysql's errors; ValueError for what is no event."""
        while place(self._state["file"], self._state["position"]) < goal:
            packet = self._link._read_packet()  # type: ignore[no-untyped-call]
            try:
                self._take(bytes(packet.get_all_data()))
            except (struct.error, IndexError, zlib.error) as error:
                raise ValueError(f"this is no event: {error}") from None

    def _take(self, data: bytes) -> None:
        at, kind, server, _, end = struct.unpack_from("<IBIII", data, 1)
        body = data[20 : len(data) - (4 if self._checksum else 0)]
        if kind == FORMAT:
            self._checksum = data[-5] == 1
        elif kind == ROTATE and not end:
            # Sent at the beginning of each file; it is not in the file.
            self._state["file"] = body[8:].decode()
            self._state["position"] = int.from_bytes(body[:8], "little")
        elif kind == GTID:
            self._begin(at, server, body)
        else:
            self._take_part(kind, body)
        if end and kind != ROTATE:
            self._state |= {"position": end, "read_to": at}

    def _begin(self, at: float, server: int, body: bytes) -> None:
        number, domain, flags = struct.unpack_from("<QIB", body)
        self._one = Transaction(f"{domain}-{server}-{number}", at, flags)
        last = self._state["gtids"].get(str(domain), number - 1)
        self._state["gtids"][str(domain)] = number
        if number != last + 1:
            since = min(self._state.get("read_to") or at, at)
            self._found("binlog_reset", f"it does not follow number {last}", since)

    def _take_part(self, kind: int, body: bytes) -> None:
        one = self._one
        if kind == TABLE_MAP:
            database, rest = body[9 : 9 + body[8]], body[10 + body[8] :]
            if database.decode() == self._database:
                one.maps[int.from_bytes(body[:6], "little")] = rest[1 : 1 + rest[0]].decode()
        elif kind in ROWS:
            self._rows(kind, body)
        elif kind in (QUERY, QUERY_COMPRESSED, EXECUTE_LOAD):
            self._query(kind, body)
        elif kind == XA_PREPARE and one.tables:
            prepared = {"gtid": one.gtid, "at": one.at, "tables": sorted(one.tables)}
            self._state["prepared"][one.xid] = prepared
        elif kind == INCIDENT:
            self._found("binlog_incident", "the server says that events were lost")

    def _found(self, cause: str, text: str, since: float | None = None) -> None:
        one = self._one
        start = one.at if since is None else since
        self.findings.append(Finding(cause, f"GTID {one.gtid}", text, start, one.at))

    def _rows(self, kind: int, body: bytes) -> None:
        """See which columns a row event has; an update has those before and those after."""
        table = self._one.maps.get(int.from_bytes(body[:6], "little"))
        if table not in self._captured:
            return
        at = 8 + (int.from_bytes(body[8:10], "little") if kind in VERSION_2 else 0)
        # The number of columns, in three bytes where it is more than 250; a bit for each follows.
        width = 3 if body[at] > MOST_IN_A_BYTE else 1
        count = int.from_bytes(body[at : at + width][-2:], "little")
        size, full = (count + 7) // 8, (1 << count) - 1
        images = [body[at + width :][:size]]
        if kind in UPDATES:
            images.append(body[at + width + size :][:size])
        if any(int.from_bytes(image, "little") & full != full for image in images):
            self._found("minimal_row_image", f"rows of {table} without all columns")
        if kind in COMPRESSED:
            self._found("compressed_rows", f"rows of {table}, compressed")
        self._one.tables.add(table)

    def _query(self, kind: int, body: bytes) -> None:
        thread, _, database, _, status = struct.unpack_from("<IIBHH", body)
        query = body[(26 if kind == EXECUTE_LOAD else 13) + status + database + 1 :]
        if kind == QUERY_COMPRESSED:
            query = zlib.decompress(query[1 + (query[0] & 7) :])
        statement, standalone = query.decode(errors="replace"), self._one.flags & STANDALONE
        control = CONTROL.match(statement)
        if control and (not standalone or control[1].startswith("XA ")):
            self._control(control[1], control[2].lower())
            return
        words = [match[match.lastindex] for match in WORD.finditer(statement) if match.lastindex]
        named = [table for table in self._captured if table in words]
        text = " ".join(words).upper()
        if not standalone:
            verb = next((word for word in text.split() if word in VERBS), "a change")
            about = f"naming {', '.join(named)}" if named else "naming no captured table"
            self._found("statement_format", f"{verb} by thread {thread}, {about}")
            return
        self.ddl.update(named)
        if named and (move := MOVES.search(text)):
            self._found("rows_moved", f"{move[1]} by thread {thread}, naming {', '.join(named)}")

    def _control(self, verb: str, rest: str) -> None:
        one = self._one
        if verb == "XA END":
            one.xid = rest
        elif verb.startswith("XA "):
            prepared = self._state["prepared"].pop(rest, None)
            if prepared and verb == "XA ROLLBACK":
                self.findings.append(rolled_back(prepared, one.at, "by XA ROLLBACK"))
        elif verb == "ROLLBACK" and not rest and one.tables:
            self._found("xa_rollback", f"rows of {', '.join(sorted(one.tables))}, rolled back")
