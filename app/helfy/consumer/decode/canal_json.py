"""TiCDC's canal-json with TiDB's extension (``enable-tidb-extension=true``), one row a record.

``mysqlType`` tells every column's type; ``mysql_values`` writes the values by it. ``old`` is the
row before an UPDATE: the whole row, or with ``content-compatible`` only the columns that changed.

What identifies a change is its ``commitTs`` with database, table, key and type. All changes of a
transaction share it; no row has two changes of one type in it. A changed primary key arrives as
DELETE and INSERT, and so does a changed unique column unless ``output-raw-change-event`` is set.
A table without a primary key, which TiCDC takes where it has a unique one, has no key here.

A row too large for a record (``large-message-handle-option = "handle-key-only"``) comes with its
key alone, and says so (``onlyHandleKey``).

``commitTs`` is a timestamp of PD: its bits from the 18th on are Unix milliseconds, which
``committedAt`` tells. Watermarks, on every partition about once a second, are no change. DDL comes
on partition 0 alone, TRUNCATE as a DDL of that type. There is no SNAPSHOT: TiCDC begins at a
moment and reads no rows that were there before.
"""

from typing import Final, NamedTuple, cast

from helfy.consumer.change import Change, ChangeType, Record, UndecodableError
from helfy.consumer.decode.mysql_values import ColumnType, NotOfTypeError, written
from helfy.consumer.decode.times import since_epoch, utc
from helfy.consumer.wire import Json, Row
from helfy.consumer.wire import text as clean

FORMAT = "canal-json"
PHYSICAL_SHIFT: Final = 18  # below it is PD's logical counter
_WATERMARK: Final = "TIDB_WATERMARK"
_FIELDS: Final = frozenset({"isDdl", "type", "es"})
_ROW_TYPES: Final = ("INSERT", "UPDATE", "DELETE")


class _Commit(NamedTuple):
    """A commitTs, in digits, with its moment as RFC 3339 and in Unix milliseconds."""

    ts: str
    at: str
    ms: int

    def position(self) -> dict[str, Json]:
        return {"commitTs": self.ts}


def recognises(value: dict[str, Json]) -> bool:
    """Say whether the value is canal-json: a row's change, a DDL or a watermark."""
    return value.keys() >= _FIELDS


def decode(_record: Record, value: dict[str, Json]) -> Change | None:
    """Read a value that ``recognises`` took. Raises UndecodableError."""
    kind = value["type"]
    if kind == _WATERMARK:
        return None
    extension = _extension(value)
    commit = _commit(extension)
    if value["isDdl"] is True:
        return _ddl(value, commit)
    if kind not in _ROW_TYPES:
        raise UndecodableError("canal-json: type is not known")
    if extension.get("claimCheckLocation"):
        raise UndecodableError(
            "canal-json: the row is not in the record: "
            "set large-message-handle-option to handle-key-only in the changefeed"
        )
    key_only = extension.get("onlyHandleKey") is True
    return _row(value, cast(ChangeType, kind), commit, key_only=key_only)


def told_ms(value: dict[str, Json]) -> int | None:
    """Give the moment of a watermark or a commit, in Unix milliseconds."""
    extension = value.get("_tidb")
    if not isinstance(extension, dict):
        return None
    moment = extension.get("watermarkTs" if value["type"] == _WATERMARK else "commitTs")
    if isinstance(moment, bool) or not isinstance(moment, int):
        return None
    return moment >> PHYSICAL_SHIFT


def _row(value: Row, kind: ChangeType, commit: _Commit, *, key_only: bool) -> Change:
    database, table = _text(value, "database"), _text(value, "table")
    if not database or not table:
        raise UndecodableError("canal-json: the record names no table")
    columns = _Columns(value)
    data = columns.row("data")
    return Change(
        format=FORMAT,
        type=kind,
        database=database,
        table=table,
        key=_key(value, data),
        data=data,
        before=columns.row("old") if kind == "UPDATE" and not key_only else {},
        position=commit.position(),
        commit_ts=commit.ts,
        committed_at=commit.at,
        committed_ms=commit.ms,
        key_only=key_only,
    )


def _ddl(value: Row, commit: _Commit) -> Change:
    sql = value.get("sql")
    if not isinstance(sql, str) or not sql:
        raise UndecodableError("canal-json: sql is not a statement")
    truncate = value["type"] == "TRUNCATE"
    return Change(
        format=FORMAT,
        type="TRUNCATE" if truncate else "DDL",
        database=_text(value, "database"),
        table=_text(value, "table"),
        sql=None if truncate else clean(sql),
        position=commit.position(),
        commit_ts=commit.ts,
        committed_at=commit.at,
        committed_ms=commit.ms,
    )


class _Columns:
    """Reads rows, each value by its column's type in ``mysqlType``."""

    def __init__(self, value: Row) -> None:
        types = value.get("mysqlType")
        if not isinstance(types, dict):
            raise UndecodableError("canal-json: mysqlType is not an object")
        self._value = value
        self._types: dict[str, ColumnType] = {}
        for name, told in types.items():
            if not isinstance(told, str):
                raise UndecodableError("canal-json: a type in mysqlType is not a string")
            self._types[name] = ColumnType.of(told)

    def row(self, name: str) -> Row:
        """Give ``data`` or ``old``: a list of one row."""
        rows = self._value.get(name)
        if not isinstance(rows, list) or len(rows) != 1:
            raise UndecodableError(f"canal-json: {name} is not a list of one row")
        row = rows[0]
        if not isinstance(row, dict):
            raise UndecodableError(f"canal-json: a row of {name} is not an object")
        return {clean(column): self._column(name, column, item) for column, item in row.items()}

    def _column(self, name: str, column: str, item: Json) -> Json:
        if item is None:
            return None
        if not isinstance(item, str):
            raise UndecodableError(f"canal-json: a value of {name} is neither a string nor null")
        try:
            return written(item, self._types.get(column))
        except NotOfTypeError as error:
            raise UndecodableError(f"canal-json: a value of {name} {error}") from None


def _key(value: Row, data: Row) -> Row | None:
    names = value.get("pkNames")
    if names is None:
        return None
    if not isinstance(names, list):
        raise UndecodableError("canal-json: pkNames is not a list")
    key: Row = {}
    for name in names:
        if not isinstance(name, str) or clean(name) not in data:
            raise UndecodableError("canal-json: pkNames names a column that data does not hold")
        key[clean(name)] = data[clean(name)]
    return key or None


def _extension(value: Row) -> Row:
    extension = value.get("_tidb")
    if not isinstance(extension, dict):
        raise UndecodableError(
            "canal-json: no _tidb: set enable-tidb-extension=true in the changefeed's sink URI"
        )
    return extension


def _commit(extension: Row) -> _Commit:
    commit_ts = extension.get("commitTs")
    if isinstance(commit_ts, bool) or not isinstance(commit_ts, int) or commit_ts <= 0:
        raise UndecodableError("canal-json: _tidb.commitTs is not a positive integer")
    milliseconds = commit_ts >> PHYSICAL_SHIFT
    try:
        return _Commit(str(commit_ts), utc(since_epoch(milliseconds * 1000), 3), milliseconds)
    except OverflowError:
        raise UndecodableError("canal-json: _tidb.commitTs is no time") from None


def _text(value: Row, name: str) -> str | None:
    told = value.get(name)
    if told is not None and not isinstance(told, str):
        raise UndecodableError(f"canal-json: {name} is not a string")
    return clean(told) if told else None
