"""What the consumer's tests share: settings as in production, samples, a line as a dict."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from helfy.consumer.change import Record
from helfy.consumer.commits import Reader, WrittenLines
from helfy.consumer.pipeline import Line, Pipeline
from helfy.consumer.recorder import Recorder
from helfy.consumer.replay import Replays
from helfy.consumer.settings import Settings

HERE = Path(__file__).parent
SAMPLES = HERE.parent / "samples"
EXPECTED = HERE / "expected"
NOW = 1_795_460_489.445

_USERS = (
    *("id", "username", "email", "is_active", "created_at", "updated_at"),
    *("balance", "profile", "birth", "last_login", "nickname", "nick"),
    *("role", "note", "doc", "blobcol", "amount", "phone", "password_changed_at"),
)

SETTINGS = Settings(
    bootstrap_servers=("127.0.0.1:9092",),
    topic="tidb_changes",
    group_id="helfy-consumer-test",
    captured={
        "app.users": _USERS,
        "helfy.users": _USERS,
        "app.nopk": ("a", "b"),
        "app.t2": ("id",),
    },
    secret={"app.users": ("password_hash",), "helfy.users": ("password_hash",)},
)


def pipeline(settings: Settings = SETTINGS, replays: Replays | None = None) -> Pipeline:
    return Pipeline(settings, (replays or Replays()).known, lambda: NOW)


def recorder(
    write: Callable[[bytes], object], replays: Replays | None = None, reader: Reader | None = None
) -> Recorder:
    """A recorder whose lines go to ``write``, and count as durable there without a reader."""
    known = replays or Replays()
    return Recorder(SETTINGS, write, WrittenLines(known, reader), known)


def samples(name: str) -> list[Record]:
    """The records of a sample file, "FORMAT/NAME", as they came from Kafka."""
    content = json.loads((SAMPLES / f"{name}.json").read_text())
    return [sample(item) for item in (content if isinstance(content, list) else [content])]


def sample(item: dict[str, Any]) -> Record:
    key, value = item["key"], item["value"]
    return Record(
        item["topic"],
        item["partition"],
        item["offset"],
        None if key is None else key.encode(),
        None if value is None else value.encode(),
    )


def record(value: object, key: object = None) -> Record:
    """A record with JSON as its value (bytes and None are taken as they are)."""
    return Record("tidb_changes", 0, 7, _bytes(key), _bytes(value))


def _bytes(value: object) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    return json.dumps(value).encode()


def all_columns(value: object, key: object) -> dict[str, tuple[str, ...]]:
    """The columns of a record, by table."""
    told: Any = value.get("payload", value) if isinstance(value, dict) else {}
    source = told.get("source")
    told = {**told, **(source if isinstance(source, dict) else {})}
    table = f"{told.get('db', told.get('database'))}.{told.get('table')}".lower()
    images = [key, *(told.get(name) for name in ("before", "after"))]
    for name in ("data", "old"):
        images += rows if isinstance(rows := told.get(name), list) else []
    columns = {name for image in images if isinstance(image, dict) for name in image}
    return {table: ("id", *columns)}


def line(
    value: object,
    key: object = None,
    settings: Settings = SETTINGS,
    captured: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, Any]:
    """The line of such a record, which must have one; by default all its columns are captured."""
    captured = {**settings.captured, **all_columns(value, key)} if captured is None else captured
    written = pipeline(replace(settings, captured=captured)).line(record(value, key))
    assert written is not None
    return parsed(written, settings.max_line_bytes)


def parsed(written: bytes | Line, limit: int = SETTINGS.max_line_bytes) -> dict[str, Any]:
    """Read a line back, strictly: one line, within the limit, JSON without NaN, UTF-8."""
    written = written.text if isinstance(written, Line) else written
    assert len(written) < limit
    assert written.decode("utf-8").splitlines() == [written.decode("utf-8")]
    parsed_line = json.loads(written, parse_constant=_refuse)
    assert isinstance(parsed_line, dict)
    return parsed_line


def _refuse(constant: str) -> None:
    raise AssertionError(constant)


def change(op: str = "u", **overrides: Any) -> dict[str, Any]:
    """A Debezium value that is in order, of a table with one visible column."""
    row = {"id": 1, "email": "new@example.com", "updated_at": "2026-11-23T18:04:39Z"}
    old = {**row, "email": "old@example.com"}
    value: dict[str, Any] = {
        "before": old if op in "ud" else None,
        "after": row if op in "cur" else None,
        "source": {
            "connector": "mariadb",
            "db": "app",
            "table": "users",
            "snapshot": "first" if op == "r" else "false",
            "ts_ms": 1795457079000,
            "ts_us": 1795457079000000,
            "gtid": "0-1-9",
            "file": "binlog.000001",
            "pos": 3364,
            "row": 0,
        },
        "op": op,
        "ts_ms": 1795457079456,
    }
    source = overrides.pop("source", {})
    return {**value, **overrides, "source": {**value["source"], **source}}


def ddl(sql: object, **source: Any) -> dict[str, Any]:
    """A Debezium schema change."""
    value = change("t", source=source)
    return {"source": value["source"], "databaseName": "app", "ddl": sql, "tableChanges": []}
