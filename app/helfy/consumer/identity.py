"""The id of a change: the same for every replay of it, another for every other change."""

import hashlib
import json

from helfy.consumer.change import Change
from helfy.consumer.wire import Json

LENGTH = 32


def change_id(change: Change) -> str:
    """Give 32 hexadecimal digits of SHA-256 over what identifies a *redacted* change.

    That is its position at the source with database, table, key and type, and for a DDL its SQL.
    Rows of a snapshot all have the snapshot's position, so one without a key is identified by
    what is in it: equal rows of a table without a primary key share an id. A row that is read
    again at the same position, as when a snapshot is started over, is a replay.

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
    if change.type == "SNAPSHOT" and not change.key:
        parts["data"] = change.data
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:LENGTH]
