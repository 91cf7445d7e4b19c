"""Gaps of the record, and the state of change capture.

Revision ID: 0003
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import TIMESTAMP

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def _now() -> sa.TextClause:
    return sa.text("CURRENT_TIMESTAMP(6)")


def upgrade() -> None:
    """Add tables that the release before does not read. See :mod:`helfy.schema`."""
    op.create_table(
        "record_gaps",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=True),
        sa.Column("cause", sa.String(32), nullable=False),
        sa.Column("source_id", sa.String(190), nullable=False),
        sa.Column("starts_at", TIMESTAMP(fsp=6), nullable=True),
        sa.Column("ends_at", TIMESTAMP(fsp=6), nullable=True),
        sa.Column("detail", sa.String(1024), nullable=False),
        sa.Column("detected_at", TIMESTAMP(fsp=6), nullable=False, server_default=_now()),
        sa.Column("acknowledged_at", TIMESTAMP(fsp=6), nullable=True),
        sa.Column("acknowledged_by", sa.String(64), nullable=True),
        sa.UniqueConstraint("source_id", name="record_gaps_source_id"),
        **_OPTIONS,
    )
    op.create_index("record_gaps_acknowledged_at", "record_gaps", ["acknowledged_at"])
    op.create_table(
        "capture_state",
        sa.Column("source", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("cause", sa.String(64), nullable=True),
        sa.Column("message", sa.String(2048), nullable=True),
        sa.Column("remedy", sa.String(512), nullable=True),
        sa.Column("position", sa.String(255), nullable=True),
        sa.Column("since", TIMESTAMP(fsp=6), nullable=False, server_default=_now()),
        sa.Column("reported_at", TIMESTAMP(fsp=6), nullable=False, server_default=_now()),
        **_OPTIONS,
    )


def downgrade() -> None:
    """Drop the tables with all they hold."""
    op.drop_table("capture_state")
    op.drop_table("record_gaps")
