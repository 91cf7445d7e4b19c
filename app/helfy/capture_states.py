"""What the watchdogs of change capture last reported: the rows of ``capture_state``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from sqlalchemy import Connection, select, text

from helfy.schema import capture_state

CAUSES: Final = (
    *("unparseable_ddl", "row_mismatch", "binlog_purged", "position_lost"),
    *("record_too_large", "changefeed_failed", "other"),
    # Debezium's alone: see roles/debezium/files/connect_watchdog.py.
    *("schema_mismatch", "connect_unavailable", "database_unavailable"),
    # TiCDC's alone: see plugins/module_utils/changefeed.py.
    *("rename_from_uncaptured", "unsupported_ddl", "key_not_captured", "changefeed_ended"),
    *("broker_unavailable", "ticdc_unavailable", "paused", "behind"),
)
MOST: Final = 8
MISSED_REPORTS: Final = 4

State = Literal["running", "failed", "waiting", "unknown"]


@dataclass(frozen=True)
class CaptureState:
    """One connector or changefeed; times in UTC.

    ``state`` is ``unknown`` where its watchdog has missed MISSED_REPORTS reports.
    """

    source: str
    state: State
    cause: str | None
    message: str | None
    remedy: str | None
    position: str | None
    since: datetime
    reported_at: datetime

    @property
    def said(self) -> str:
        """What it is about, in one line for people."""
        if self.state == "unknown":
            return f"unknown since {_written(self.reported_at)}: its watchdog reports nothing"
        parts = [self.message or self.cause or self.state]
        parts += [f"position {self.position}"] if self.position else []
        parts += [f"since {_written(self.since)}"]
        return ", ".join(parts) + (f". {self.remedy}" if self.remedy else "")


def read(connection: Connection, report_seconds: float) -> Sequence[CaptureState]:
    """Return what was reported, by source; a watchdog reports every ``report_seconds``.

    Old reports are left out where a source (the one before was renamed) has a recent one.
    """
    # By the database's clock alone.
    query = (
        select(capture_state, text("TIMESTAMPDIFF(SECOND, reported_at, CURRENT_TIMESTAMP(6)) age"))
        .order_by(capture_state.c.reported_at.desc())
        .limit(MOST)
    )
    rows = connection.execute(query).mappings().all()
    recent = [row for row in rows if int(row["age"]) <= MISSED_REPORTS * report_seconds]
    return sorted(
        (
            CaptureState(
                source=row["source"],
                state=_state(row["state"]) if row in recent else "unknown",
                cause=row["cause"],
                message=row["message"],
                remedy=row["remedy"],
                position=row["position"],
                since=row["since"].replace(tzinfo=UTC),
                reported_at=row["reported_at"].replace(tzinfo=UTC),
            )
            for row in recent or rows
        ),
        key=lambda each: each.source,
    )


def _state(told: str) -> State:
    states: dict[str, State] = {"running": "running", "failed": "failed", "waiting": "waiting"}
    return states.get(told, "unknown")


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
