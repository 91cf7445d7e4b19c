"""The id of a change: the same for every replay of it, another for every other change."""

import hashlib
import json

from helfy.consumer.change import Change, Record
from helfy.consumer.wire import Json

LENGTH = 32
_OF_A_ROW = ("INSERT", "UPDATE", "DELETE", "SNAPSHOT")


def change_id(change: Change) -> str:
    """Give 32 hexadecimal digits of SHA-256 over what identifies a *redacted* change.

    That is its position at the source with database, table, key and type, and for a DDL its SQL.
    Where many rows have one position (all of a snapshot, all of a transaction in TiDB), one
    without a key is identified by what is in it: equal rows of a table without a primary key
    share an id. A row that is read again at the same position, as when a snapshot is started
    over, is a replay.

    No secret goes into the hash, from which a short one might be guessed.
    """
    parts: dict[str, Json] = {
        "position": dict(change.position),
        "database": change.database,
        "table": change.table,
        "key": change.key,
        "type": change.type,
    }
    if change.sql is not None:
        parts["sql"] = change.sql
    if not change.key and change.type in _OF_A_ROW and _shared(change):
        parts["data"] = change.data
        if change.before:
            parts["before"] = change.before
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:LENGTH]


def _shared(change: Change) -> bool:
    """Say whether other rows may have the same position."""
    return change.type == "SNAPSHOT" or change.commit_ts is not None


def line_identity(record: Record, change: Change | None, identity: str | None) -> bytes:
    """Give 16 bytes that tell a line from every other one, and are the same for its replays.

    For a change with an id of its own that is the id. A record that was not understood, and the
    row of a snapshot without a key, which shares its id with rows equal to it, are themselves
    again only as the same record of the same topic.
    """
    if identity is not None and change is not None and (change.type != "SNAPSHOT" or change.key):
        return bytes.fromhex(identity)
    content = identity or hashlib.sha256(record.value or b"").hexdigest()
    return _placed(record.topic, record.partition, record.offset, content)


def identity_of(text: bytes) -> bytes | None:
    """Give what ``line_identity`` gave for a line of the record; None for a line of no record."""
    try:
        line = json.loads(text)
        action, source = line["action"], line["source"]
        if action == "undecodable":
            content = line["sha256"]
        elif action == "db_change":
            change = line["change"]
            content = change["id"]
            if change["type"] != "SNAPSHOT" or change["key"]:
                return bytes.fromhex(content)
        else:
            return None
        return _placed(source["topic"], source["partition"], source["offset"], content)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _placed(topic: str, partition: int, offset: int, content: str) -> bytes:
    place = json.dumps([topic, partition, offset, content])
    return hashlib.sha256(place.encode()).digest()[: LENGTH // 2]
