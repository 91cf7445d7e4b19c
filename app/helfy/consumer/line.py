"""What the line of a change, or of a record that is not understood, says."""

import hashlib

from helfy import jsonlog
from helfy.consumer.change import Change, Record
from helfy.consumer.identity import change_id
from helfy.consumer.redact import Redacted
from helfy.consumer.wire import Json, Row

# The column that the database itself moves with every UPDATE.
MOVED_BY_ITSELF = "updated_at"


def changed_columns(change: Change) -> Row:
    """Give the columns that an UPDATE changed, with their values before."""
    return {
        name: value
        for name, value in change.before.items()
        if name not in change.data or change.data[name] != value
    }


def change_fields(redacted: Redacted) -> dict[str, Json]:
    """Give what the line says under ``change``, whole, before anything is shortened."""
    change = redacted.change
    old = changed_columns(change)
    fields: dict[str, Json] = {
        "id": change_id(change),
        "type": change.type,
        "database": change.database,
        "table": change.table,
    }
    if change.type != "DDL":
        fields["key"] = change.key
    fields |= {
        "commitTs": change.commit_ts,
        "committedAt": change.committed_at,
        "data": change.data,
        "old": old,
        "redacted": list(redacted.names),
    }
    if change.key_only:
        fields["keyOnly"] = True
    elif change.type == "UPDATE" and all(name.lower() == MOVED_BY_ITSELF for name in old):
        fields["hiddenChange"] = True
    if change.sql is not None:
        fields["sql"] = change.sql
    return fields


def change_line(
    record: Record, change: Change, fields: dict[str, Json], now: float, *, replayed: bool = False
) -> dict[str, Json]:
    """Give the whole line of a change; ``now`` in Unix seconds."""
    # A clock behind the database's must not make a lag below nothing.
    lag = None if change.committed_ms is None else max(0, int(now * 1000) - change.committed_ms)
    line: dict[str, Json] = {
        "timestamp": jsonlog.rfc3339(now),
        "level": "info",
        "action": "db_change",
        "source": _source(record, change.format),
        "change": fields,
        "lagMs": lag,
    }
    if replayed:
        line["replayed"] = True
    return line


def undecodable_line(record: Record, reason: str, now: float, *, replayed: bool = False) -> bytes:
    """Write the line of a record that is not understood: its length and hash, never its bytes."""
    value = record.value or b""
    line: dict[str, Json] = {
        "timestamp": jsonlog.rfc3339(now),
        "level": "error",
        "action": "undecodable",
        "source": _source(record, None),
        "reason": reason,
        "length": len(value),
        "sha256": hashlib.sha256(value).hexdigest(),
    }
    if replayed:
        line["replayed"] = True
    return jsonlog.dumps(line).encode()


def _source(record: Record, form: str | None) -> dict[str, Json]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "format": form,
    }
