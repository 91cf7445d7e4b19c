"""The throttle of logins, known addresses, passwords to be changed, seeded accounts.

Revision ID: 0002
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import CHAR, TIMESTAMP

revision = "0002"
down_revision = "0001"
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
    """Add what the release before does not look at. The reasons are in :mod:`helfy.schema`."""
    op.add_column("users", sa.Column("password_expired_at", TIMESTAMP(fsp=6), nullable=True))
    op.create_index("users_role_status", "users", ["role", "status"])
    op.create_table(
        "login_throttle",
        sa.Column("bucket", CHAR(64), primary_key=True),
        sa.Column("clears_at", TIMESTAMP(fsp=6), nullable=False, server_default=_now()),
        **_OPTIONS,
    )
    op.create_index("login_throttle_clears_at", "login_throttle", ["clears_at"])
    op.create_table(
        "login_addresses",
        sa.Column("user_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("network", sa.String(45), primary_key=True),
        sa.Column("last_login_at", TIMESTAMP(fsp=6), nullable=False, server_default=_now()),
        **_OPTIONS,
    )
    op.create_index("login_addresses_last_login_at", "login_addresses", ["last_login_at"])
    op.create_table(
        "seeded_accounts",
        sa.Column("username", sa.String(64), primary_key=True),
        sa.Column("seeded_at", TIMESTAMP(fsp=6), nullable=False, server_default=_now()),
        **_OPTIONS,
    )


def downgrade() -> None:
    """Take it away again."""
    op.drop_table("seeded_accounts")
    op.drop_table("login_addresses")
    op.drop_table("login_throttle")
    op.drop_index("users_role_status", "users")
    op.drop_column("users", "password_expired_at")
