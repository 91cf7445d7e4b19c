"""What a record of the topic says, whatever format said it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from helfy.consumer.wire import Json, Row

ChangeType = Literal["INSERT", "UPDATE", "DELETE", "TRUNCATE", "DDL", "SNAPSHOT"]


class UndecodableError(ValueError):
    """The record cannot be understood. The message must never hold bytes of the record."""


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record: where it stood and its bytes, None where it had none.

    ``timestamp`` is Kafka's, in Unix milliseconds.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the database.

    ``position`` is what identifies the change at its source (gtid or file, position, row; or
    commitTs, which all changes of a transaction share). ``before`` is the row before an UPDATE,
    whole or only its changed columns, and empty for every other type; ``data`` the row after, for
    DELETE the row that went. ``key`` is None for a table without primary key, for TRUNCATE and for
    DDL. ``committed_at`` is RFC 3339 in UTC, as precise as the source tells it, ``committed_ms``
    the same in Unix milliseconds; both are None where the source does not tell. ``sql`` is there
    for DDL alone. ``place`` is where the change stands in the database's own log
    (``binlog.000001:2427``), for people who look there; None where the source does not tell.
    ``key_only`` says that the row was too large for a record: ``data`` has its key and no more.
    """

    format: str
    type: ChangeType
    database: str | None
    table: str | None
    position: Mapping[str, Json]
    key: Row | None = None
    data: Row = field(default_factory=dict)
    before: Row = field(default_factory=dict)
    commit_ts: str | None = None
    committed_at: str | None = None
    committed_ms: int | None = None
    sql: str | None = None
    place: str | None = None
    key_only: bool = False

    @property
    def table_name(self) -> str:
        """``database.table`` in lower case, as the configuration names tables."""
        return f"{self.database or ''}.{self.table or ''}".lower()
