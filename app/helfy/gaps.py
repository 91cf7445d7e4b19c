"""Gaps of the record: spans of time in which changes may be missing from it, or be untrue.

A gap is a row of ``record_gaps``, which is captured: that it was announced and that somebody
acknowledged it are changes on record themselves. Rows are never deleted by Helfy.

The functions take a connection and leave the commit to the caller.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from helfy.database import error_code
from helfy.schema import record_gaps

CAUSES: Final = {
    "snapshot": "change capture took a new snapshot",
    "skipped_transaction": "a transaction was skipped",
    "skipped_ddl": "a schema change was skipped",
    "statement_format": "a transaction was logged as statements, without its rows",
    "minimal_row_image": "a change was logged without its whole row",
    "compressed_rows": "a change was logged compressed, which change capture drops",
    "binlog_disabled": "a session wrote without the binlog",
    "binlog_reset": "the binlog was reset, or purged before it was read",
    "binlog_incident": "the database lost events of its binlog",
    "rows_moved": "a schema change moved rows into a captured table or out of it",
    "table_replaced": "a captured table is no table of InnoDB any more",
    "foreign_key_cascade": "a foreign key changes rows without the binlog",
    "guard_removed": "what notes changes without the binlog was removed",
    "xa_open": "a change on record is neither committed nor rolled back",
    "xa_rollback": "a change on record was rolled back",
    "records_lost": "records were lost before they were read",
    "stream_restarted": "the change stream began anew",
}
"""By cause, what happened, in plain words. A cause that is not here is shown as it is."""

LARGEST_PAGE: Final = 100
DETAIL_LENGTH: Final = 1024
_CAUSE_LENGTH: Final = 32
_SOURCE_LENGTH: Final = 190
_DUPLICATE: Final = 1062
# What a TIMESTAMP holds.
_FIRST: Final = datetime(1970, 1, 2, tzinfo=UTC)
_LAST: Final = datetime(2038, 1, 18, tzinfo=UTC)


class GapError(Exception):
    """What was asked of a gap cannot be done."""


class UnknownGapError(GapError):
    """There is no such gap."""

    def __init__(self) -> None:
        super().__init__("there is no such gap")


class AcknowledgedError(GapError):
    """Somebody acknowledged it before: see ``gap``."""

    def __init__(self, gap: "Gap") -> None:
        super().__init__(f"gap {gap.id} was already acknowledged by {gap.acknowledged_by}")
        self.gap = gap


@dataclass(frozen=True)
class NewGap:
    """A gap to announce. Times must have a zone; None: not known."""

    cause: str
    source_id: str
    """Identifies the cause where it arose, such as a binlog position: one gap for each."""
    detail: str
    """What is known, for people, without values of statements; cut at DETAIL_LENGTH."""
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for what the table cannot hold."""
        for name, length in (("cause", _CAUSE_LENGTH), ("source_id", _SOURCE_LENGTH)):
            value = getattr(self, name)
            if not 1 <= len(value) <= length or not value.isprintable():
                raise ValueError(f"{name} must have 1 to {length} printable characters")
        for name, moment in (("starts_at", self.starts_at), ("ends_at", self.ends_at)):
            if moment is not None and not _FIRST <= moment <= _LAST:
                raise ValueError(f"{name} must be between {_FIRST:%Y} and {_LAST:%Y}")
        if self.starts_at and self.ends_at and self.starts_at > self.ends_at:
            raise ValueError("starts_at must not be after ends_at")


@dataclass(frozen=True)
class Gap:
    """A gap on record; times in UTC, ``acknowledged_at`` None while it is open."""

    id: int
    cause: str
    source_id: str
    starts_at: datetime | None
    ends_at: datetime | None
    detail: str
    detected_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None

    @property
    def open(self) -> bool:
        """Whether nobody acknowledged it yet."""
        return self.acknowledged_at is None

    @property
    def reason(self) -> str:
        """The cause in plain words."""
        return CAUSES.get(self.cause, self.cause)


def announce(connection: Connection, new: NewGap) -> Gap | None:
    """Add a gap and return it, or None where one with its ``source_id`` is on record."""
    same = select(record_gaps.c.id).where(record_gaps.c.source_id == new.source_id)
    if connection.execute(same).first() is not None:
        return None
    row = {
        "cause": new.cause,
        "source_id": new.source_id,
        "starts_at": _utc(new.starts_at),
        "ends_at": _utc(new.ends_at),
        "detail": new.detail[:DETAIL_LENGTH],
    }
    try:
        made = connection.execute(insert(record_gaps).values(row))
    except IntegrityError as error:
        if error_code(error) != _DUPLICATE:
            raise
        return None
    key = made.inserted_primary_key
    assert key is not None  # noqa: S101  # an INSERT of one row has a key
    return _read(connection, int(key[0]))


def newest(
    connection: Connection,
    *,
    only_open: bool = False,
    before: int | None = None,
    limit: int = LARGEST_PAGE,
) -> Sequence[Gap]:
    """Return gaps by falling id, ``limit`` at most; ``before``: only those with a lower id."""
    query = select(record_gaps).order_by(record_gaps.c.id.desc()).limit(limit)
    if only_open:
        query = query.where(record_gaps.c.acknowledged_at.is_(None))
    if before is not None:
        query = query.where(record_gaps.c.id < before)
    return [_gap(row) for row in connection.execute(query).mappings()]


def count_open(connection: Connection) -> int:
    """Return how many gaps nobody acknowledged."""
    query = select(func.count()).where(record_gaps.c.acknowledged_at.is_(None))
    return int(connection.execute(query).scalar_one())


def acknowledge(connection: Connection, gap_id: int, by: str) -> Gap:
    """Note that ``by`` acknowledged a gap, and return it.

    Raises UnknownGapError, and AcknowledgedError where somebody did before.
    """
    gap = _read(connection, gap_id, lock=True)
    if not gap.open:
        raise AcknowledgedError(gap)
    values = {"acknowledged_at": text("CURRENT_TIMESTAMP(6)"), "acknowledged_by": by}
    connection.execute(update(record_gaps).where(record_gaps.c.id == gap_id).values(values))
    return _read(connection, gap_id, lock=True)


def log_fields(gap: Gap) -> dict[str, Any]:
    """Return what a log line of a gap carries."""
    return {
        "gapId": gap.id,
        "cause": gap.cause,
        "sourceId": gap.source_id,
        "startsAt": rfc3339(gap.starts_at),
        "endsAt": rfc3339(gap.ends_at),
        "detail": gap.detail,
    }


def sentence(gap: Gap) -> str:
    """Say, in one line for an operator, what is missing, why, and what to do."""
    span = f"{rfc3339(gap.starts_at) or 'an unknown time'} to {rfc3339(gap.ends_at) or 'unknown'}"
    return (
        f"the record may be incomplete from {span}: {gap.reason}; "
        f"when you know what it means: helfy gaps acknowledge {gap.id}"
    )


def rfc3339(moment: datetime | None) -> str | None:
    """Write a time in UTC, without fractions of a second."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _read(connection: Connection, gap_id: int, *, lock: bool = False) -> Gap:
    query = select(record_gaps).where(record_gaps.c.id == gap_id)
    if lock:
        query = query.with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise UnknownGapError
    return _gap(row)


def _gap(row: RowMapping) -> Gap:
    # The connection's zone is UTC, but the driver hands times out without one.
    values: dict[str, Any] = {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
        for name, value in row.items()
    }
    return Gap(**values)


def _utc(moment: datetime | None) -> datetime | None:
    return moment and moment.astimezone(UTC)
