"""Debezium's JSON (MariaDB and MySQL connectors, 3.x), with or without its schema envelope.

The record tells its columns' types, by which ``debezium_values`` writes their values.

What is no change gives None: heartbeats (``{"ts_ms"}``), transaction marks (``{"status",…}``)
and the schema records of a snapshot, statements that nobody ran.

Times of commit: the binlog of MariaDB tells whole seconds, and so does ``committedAt``, written
without a fraction then. ``lagMs`` is measured from it and is up to a second too much. The
top-level ``ts_us`` is when the connector read the change, which is no commit. A snapshot's
``source.ts_us`` is when the row was read: when it was committed the source does not tell, so
a SNAPSHOT has none. There is no commit timestamp as TiDB has: ``commit_ts`` is None.
"""

from typing import Final

from helfy.consumer.change import Change, ChangeType, Record, UndecodableError
from helfy.consumer.decode.debezium_values import convert, writers
from helfy.consumer.decode.times import since_epoch, utc
from helfy.consumer.wire import Json, NotJsonError, Row, parse
from helfy.consumer.wire import text as clean

FORMAT = "debezium"
_TYPES: Final[dict[str, ChangeType]] = {
    "c": "INSERT",
    "u": "UPDATE",
    "d": "DELETE",
    "r": "SNAPSHOT",
    "t": "TRUNCATE",
}
# What a router that joins tables into one topic adds to a key (ByLogicalTableRouter).
_ROUTER: Final = "__dbz__"
_ENVELOPE: Final = frozenset({"schema", "payload"})
_HEARTBEAT: Final = frozenset({"ts_ms", "ts_us", "ts_ns"})
_TRANSACTION: Final = frozenset({"status", "id", "event_count", "data_collections"})


def recognises(value: dict[str, Json]) -> bool:
    """Say whether the value is Debezium's: a change, a schema change, a mark or a heartbeat."""
    payload = _unwrap(value)
    return (
        payload is None
        or ("source" in payload and ("op" in payload or "ddl" in payload))
        or _is_mark(payload)
    )


def decode(record: Record, value: dict[str, Json]) -> Change | None:
    """Read a value that ``recognises`` took. Raises UndecodableError."""
    payload = _unwrap(value)
    if payload is None or _is_mark(payload):
        return None
    source = payload.get("source")
    if not isinstance(source, dict):
        raise UndecodableError("debezium: source is not an object")
    if "op" not in payload:
        return _ddl(payload, source)
    kind = payload["op"]
    if not isinstance(kind, str) or kind not in _TYPES:
        raise UndecodableError("debezium: op is not known")
    return _row(record, _TYPES[kind], payload, source)


def told_ms(_value: dict[str, Json]) -> int | None:
    """Give None: heartbeats come while it catches up, too, and tell of no position."""
    return None


def snapshot_place(value: dict[str, Json]) -> str | None:
    """Give where in the binlog the snapshot was taken that the value belongs to; None: to none.

    "" for what is of no table, such as a CREATE DATABASE: where there is no table yet, a snapshot
    has only such records. Raises UndecodableError.
    """
    payload = _unwrap(value) if recognises(value) else None
    source = None if payload is None else payload.get("source")
    if not isinstance(source, dict) or source.get("snapshot") in (None, False, "false"):
        return None
    return (_place(source) or "") if source.get("table") else ""


def _row(record: Record, kind: ChangeType, payload: Row, source: Row) -> Change:
    database = _text(source, "db")
    table = _text(source, "table")
    if not database or not table:
        raise UndecodableError("debezium: source names no table")
    key = _key(record.key)
    by_column = writers(payload, key)
    at, at_ms = (None, None) if kind == "SNAPSHOT" else _committed(source)
    data = {} if kind == "TRUNCATE" else _image(payload, "before" if kind == "DELETE" else "after")
    before = _image(payload, "before") if kind == "UPDATE" else {}
    return Change(
        format=FORMAT,
        type=kind,
        database=database,
        table=table,
        position=_position(source),
        key=None if key is None or kind == "TRUNCATE" else convert(key, by_column),
        data=convert(data, by_column),
        before=convert(before, by_column),
        committed_at=at,
        committed_ms=at_ms,
        place=_place(source),
    )


def _ddl(payload: Row, source: Row) -> Change | None:
    if source.get("snapshot") not in (None, False, "false"):
        return None
    sql = payload["ddl"]
    if not isinstance(sql, str):
        raise UndecodableError("debezium: ddl is not a string")
    at, at_ms = _committed(source)
    return Change(
        format=FORMAT,
        type="DDL",
        database=_text(source, "db") or _text(payload, "databaseName"),
        table=_text(source, "table"),
        position=_position(source),
        committed_at=at,
        committed_ms=at_ms,
        sql=clean(sql),
        place=_place(source),
    )


def _unwrap(value: Row) -> Row | None:
    """Give the payload of an envelope, or the value itself where there is none.

    None is a tombstone in an envelope. Raises UndecodableError for a payload that is no object.
    """
    if value.keys() != _ENVELOPE:
        return value
    payload = value["payload"]
    if payload is not None and not isinstance(payload, dict):
        raise UndecodableError("debezium: payload is not an object")
    return payload


def _is_mark(payload: Row) -> bool:
    names = payload.keys()
    if names and names <= _HEARTBEAT:
        return True
    return names >= _TRANSACTION and payload["status"] in ("BEGIN", "END")


def _key(raw: bytes | None) -> Row | None:
    """Read the record's key: None where the table has no primary key."""
    if not raw:
        return None
    try:
        key = parse(raw.decode("utf-8"))
    except (UnicodeDecodeError, NotJsonError):
        raise UndecodableError("debezium: the key is not JSON") from None
    columns = _unwrap(key) if isinstance(key, dict) else key
    if columns is None:
        return None
    if not isinstance(columns, dict):
        raise UndecodableError("debezium: the key is not a JSON object")
    return {name: item for name, item in columns.items() if not name.startswith(_ROUTER)} or None


def _position(source: Row) -> dict[str, Json]:
    """Give what identifies the change: gtid or else file, position in it, row of the event."""
    gtid = _text(source, "gtid")
    file = _text(source, "file")
    if not gtid and not file:
        raise UndecodableError("debezium: source has neither gtid nor file")
    where: dict[str, Json] = {"gtid": gtid} if gtid else {"file": file}
    return {**where, "pos": _integer(source, "pos"), "row": _integer(source, "row", 0)}


def _place(source: Row) -> str | None:
    """Give file and position in the binlog, as its tools take them."""
    file = _text(source, "file")
    return f"{file}:{_integer(source, 'pos')}" if file else None


def _committed(source: Row) -> tuple[str | None, int | None]:
    if source.get("ts_us") is not None:
        microseconds = _integer(source, "ts_us")
    elif source.get("ts_ms") is not None:
        microseconds = _integer(source, "ts_ms") * 1000
    else:
        return None, None
    try:
        moment = since_epoch(microseconds)
    except OverflowError:
        raise UndecodableError("debezium: source.ts_us is no time") from None
    return utc(moment, 3 if moment.microsecond else 0), microseconds // 1000


def _image(payload: Row, name: str) -> Row:
    image = payload.get(name)
    if not isinstance(image, dict):
        raise UndecodableError(f"debezium: {name} is not an object")
    return image


def _text(source: Row, name: str) -> str | None:
    value = source.get(name)
    if value is not None and not isinstance(value, str):
        raise UndecodableError(f"debezium: source.{name} is not a string")
    return clean(value) if value else None


def _integer(source: Row, name: str, default: int | None = None) -> int:
    value = source.get(name)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise UndecodableError(f"debezium: source.{name} is not an integer")
    return value
