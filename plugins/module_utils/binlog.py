"""The transactions in MariaDB's binlog, by SQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_BATCH = 5000
_GTID = re.compile(r"GTID (\d+)-(\d+)-(\d+)")
_TABLE = re.compile(r"\(([^.()]+)\.([^()]+)\)$")
_FRAME = re.compile(r"(BEGIN|COMMIT|ROLLBACK|SAVEPOINT)\b", re.IGNORECASE)
_USED = re.compile(r"use `((?:[^`]|``)*)`; ")
# Gives the rows of a statement. Raises what it likes.
Sql = Callable[[str], Sequence[Sequence[object]]]


class BinlogError(Exception):
    """The binlog cannot be read; the message has no statement."""


@dataclass
class Transaction:
    """``start`` and ``end`` are positions in ``file``, of what follows its GTID and of its end."""

    gtid: str
    file: str
    start: int
    end: int
    kind: str = "rows"
    """Rows, or a statement."""
    captured: bool = False
    """Whether a captured table is concerned; of a statement, whether one may be."""


def transactions(
    sql: Sql, place: tuple[str, int], after: str, database: str, tables: Sequence[str]
) -> Iterator[Transaction]:
    """Return the transactions from a file and a position of it on.

    ``after`` has the GTIDs, with commas, that come before what is wanted; ``tables`` are those that
    are captured in ``database``. Raises BinlogError.
    """
    past = {
        domain: int(number)
        for domain, _, number in (each.split("-") for each in after.split(",") if each)
    }
    concerns = _Captured(sql, database, tables)
    current: Transaction | None = None
    for file, kind, end, text in _events(sql, *place):
        if current is not None and kind != "Gtid":
            current.end = end
        if kind == "Gtid" and (match := _GTID.search(text)):
            if current is not None:
                yield current
            new = int(match[3]) > past.get(match[1], -1)
            current = Transaction("-".join(match.groups()), file, end, end) if new else None
        elif current is None:
            continue
        elif kind == "Table_map":
            found = _TABLE.search(text)
            current.captured |= found is not None and concerns.table(found[1], found[2])
        elif kind.startswith("Query") and not _FRAME.match(text):
            current.kind = "statement"
            current.captured |= concerns.statement(text)
    if current is not None:
        yield current


class _Captured:
    """What concerns a captured table; names are compared as the server does."""

    def __init__(self, sql: Sql, database: str, tables: Sequence[str]) -> None:
        folded = str(sql("SELECT @@lower_case_table_names")[0][0]) != "0"
        self._flags = re.IGNORECASE if folded else 0
        self._database = re.compile(re.escape(database), self._flags)
        self._tables = re.compile("|".join(map(re.escape, tables)), self._flags)

    def table(self, database: str, table: str) -> bool:
        return bool(self._database.fullmatch(database) and self._tables.fullmatch(table))

    def statement(self, text: str) -> bool:
        used = _USED.match(text)
        sql = text[used.end() :] if used else text
        here = used is not None and self._database.fullmatch(used[1].replace("``", "`"))
        table = re.search(rf"(?<![\w$])(?:{self._tables.pattern})(?![\w$])", sql, self._flags)
        named = re.search(rf"(?<![\w$]){self._database.pattern}(?![\w$])", sql, self._flags)
        return bool((table and here) or named)


def _events(sql: Sql, first: str, position: int) -> Iterator[tuple[str, str, int, str]]:
    """Read file, kind, end and text of events."""
    files = [str(row[0]) for row in sql("SHOW BINARY LOGS")]
    if first not in files:
        raise BinlogError(f"{first} was purged; the binlog begins with {files[0]}")
    for file in files[files.index(first) :]:
        while rows := sql(f"SHOW BINLOG EVENTS IN '{file}' FROM {position} LIMIT {_BATCH}"):
            for _, _, kind, _, end, text in rows:
                position = int(str(end))
                yield file, str(kind), position, str(text)
            if len(rows) < _BATCH:
                break
        position = 4
