"""Accounts, sessions and their activity.

Revision ID: 0001
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import CHAR, TIMESTAMP

revision = "0001"
down_revision = None
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
    """Create the tables. Their reasons are in :mod:`helfy.schema`."""
    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=True),
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("role", sa.String(16), nullable=False, server_default="user"),
        sa.Column("status", sa.String(16), nullable=False, server_default="active"),
        sa.Column("password_changed_at", TIMESTAMP(fsp=6), nullable=False, server_default=_now()),
        sa.Column("password_rehashed_at", TIMESTAMP(fsp=6), nullable=True),
        sa.Column("created_at", TIMESTAMP(fsp=6), nullable=False, server_default=_now()),
        sa.Column(
            "updated_at",
            TIMESTAMP(fsp=6),
            nullable=False,
            server_default=sa.text("CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)"),
        ),
        sa.UniqueConstraint("username", name="users_username"),
        sa.UniqueConstraint("email", name="users_email"),
        sa.CheckConstraint(
            "username = LOWER(username) AND INSTR(username, '@') = 0", name="users_username_form"
        ),
        sa.CheckConstraint(
            "email = LOWER(email) AND INSTR(email, '@') > 1", name="users_email_form"
        ),
        sa.CheckConstraint("role IN ('user', 'admin')", name="users_role"),
        sa.CheckConstraint("status IN ('active', 'disabled')", name="users_status"),
        **_OPTIONS,
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=True),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("token_hash", CHAR(64), nullable=False),
        sa.Column("created_at", TIMESTAMP(fsp=6), nullable=False, server_default=_now()),
        sa.Column("expires_at", TIMESTAMP(fsp=6), nullable=False, server_default=_now()),
        sa.Column("revoked_at", TIMESTAMP(fsp=6), nullable=True),
        sa.Column("ip", sa.String(45), nullable=True),
        sa.Column("user_agent", sa.String(255), nullable=True),
        sa.UniqueConstraint("token_hash", name="sessions_token_hash"),
        **_OPTIONS,
    )
    op.create_index("sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "session_activity",
        sa.Column("session_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("last_seen_at", TIMESTAMP(fsp=6), nullable=False, server_default=_now()),
        **_OPTIONS,
    )


def downgrade() -> None:
    """Drop the tables with all they hold."""
    op.drop_table("session_activity")
    op.drop_table("sessions")
    op.drop_table("users")
