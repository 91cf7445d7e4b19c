"""The tables of the database ``helfy``, and which of their columns are captured.

Written for MariaDB 10.11 and TiDB 8.5 alike:

- ``TIMESTAMP(6)`` everywhere: stored in UTC, and change capture hands it on as a time, where
  ``DATETIME`` arrives as a number without a zone. Whether a column may be null and what its
  default is are always written out, so ``explicit_defaults_for_timestamp`` does not matter.
- ``utf8mb4_bin``, which both have and which tells ``é`` from ``e``. Both have
  ``utf8mb4_general_ci`` too, but to that ``andre`` and ``andré`` are one account. Upper and
  lower case are made one by storing names and addresses normalised (:mod:`helfy.accounts`);
  the check constraints keep hand-written SQL to it on MariaDB (TiDB reads check constraints
  but enforces them only with ``tidb_enable_check_constraint``).
- ``VARCHAR`` with a check rather than ``ENUM``: TiCDC sends an ENUM as its number.
- No foreign keys: capture does not see cascades, and one that restricts would refuse the
  operator's ``DELETE FROM users``. A session whose user is gone is worth nothing, since
  sessions are only ever read together with their user.

A column of a captured table says ``info=CAPTURED`` or ``info=SECRET``; a table whose columns say
neither is not captured. The roles' lists are generated from it: run ``make docs``.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.mysql import CHAR, TIMESTAMP

USERNAME_LENGTH = 64
EMAIL_LENGTH = 254
ROLES = ("user", "admin")
STATUSES = ("active", "disabled")

_NOW = text("CURRENT_TIMESTAMP(6)")
_NOW_AND_ON_UPDATE = text("CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)")
_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}

CAPTURED = {"capture": "captured"}
SECRET = {"capture": "secret"}

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True, info=CAPTURED),
    Column("username", String(USERNAME_LENGTH), nullable=False, info=CAPTURED),
    Column("email", String(EMAIL_LENGTH), nullable=False, info=CAPTURED),
    Column("password_hash", String(255), nullable=False, info=SECRET),
    Column("role", String(16), nullable=False, server_default="user", info=CAPTURED),
    Column("status", String(16), nullable=False, server_default="active", info=CAPTURED),
    # Moved by the application with the password: the hash itself is never captured.
    Column(
        "password_changed_at", TIMESTAMP(fsp=6), nullable=False, server_default=_NOW, info=CAPTURED
    ),
    # Moved when a login re-hashes an unchanged password at a new cost. Without it that
    # would look, on record, just like a password changed behind the application's back.
    Column("password_rehashed_at", TIMESTAMP(fsp=6), nullable=True, info=CAPTURED),
    Column("created_at", TIMESTAMP(fsp=6), nullable=False, server_default=_NOW, info=CAPTURED),
    Column(
        "updated_at",
        TIMESTAMP(fsp=6),
        nullable=False,
        server_default=_NOW_AND_ON_UPDATE,
        info=CAPTURED,
    ),
    # Set where the password has to be changed before anything else may be done.
    Column("password_expired_at", TIMESTAMP(fsp=6), nullable=True, info=CAPTURED),
    UniqueConstraint("username", name="users_username"),
    UniqueConstraint("email", name="users_email"),
    # Without "@" in names, what is typed at login is either a name or an address.
    CheckConstraint(
        "username = LOWER(username) AND INSTR(username, '@') = 0", name="users_username_form"
    ),
    CheckConstraint("email = LOWER(email) AND INSTR(email, '@') > 1", name="users_email_form"),
    CheckConstraint("role IN ('user', 'admin')", name="users_role"),
    CheckConstraint("status IN ('active', 'disabled')", name="users_status"),
    # For the admins, who are locked together whenever one of them is to go.
    Index("users_role_status", "role", "status"),
    **_OPTIONS,
)

sessions = Table(
    "sessions",
    metadata,
    # A surrogate: a secret column must never be part of a record's key.
    Column("id", BigInteger, primary_key=True, autoincrement=True, info=CAPTURED),
    Column("user_id", BigInteger, nullable=False, info=CAPTURED),
    # SHA-256 of the session id, in hexadecimal; the id itself is only in the token.
    Column("token_hash", CHAR(64), nullable=False, info=SECRET),
    Column("created_at", TIMESTAMP(fsp=6), nullable=False, server_default=_NOW, info=CAPTURED),
    # A default, or an old MariaDB would supply a zero date of its own.
    Column("expires_at", TIMESTAMP(fsp=6), nullable=False, server_default=_NOW, info=CAPTURED),
    Column("revoked_at", TIMESTAMP(fsp=6), nullable=True, info=CAPTURED),
    Column("ip", String(45), nullable=True, info=CAPTURED),
    Column("user_agent", String(255), nullable=True, info=CAPTURED),
    UniqueConstraint("token_hash", name="sessions_token_hash"),
    Index("sessions_user_id", "user_id"),
    Index("sessions_expires_at", "expires_at"),
    **_OPTIONS,
)

session_activity = Table(
    "session_activity",
    metadata,
    # Apart from ``sessions``: that somebody was here a minute ago is no change worth a record.
    Column("session_id", BigInteger, primary_key=True, autoincrement=False),
    Column("last_seen_at", TIMESTAMP(fsp=6), nullable=False, server_default=_NOW),
    **_OPTIONS,
)

login_throttle = Table(
    "login_throttle",
    metadata,
    # SHA-256 of what is counted: what people type as a username is a password now and then.
    Column("bucket", CHAR(64), primary_key=True),
    # When the last of the attempts counted is forgotten; see helfy.throttle.
    Column("clears_at", TIMESTAMP(fsp=6), nullable=False, server_default=_NOW),
    Index("login_throttle_clears_at", "clears_at"),
    **_OPTIONS,
)

login_addresses = Table(
    "login_addresses",
    metadata,
    # Where an account logged in from: there the account-wide limit does not hold.
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("network", String(45), primary_key=True),
    Column("last_login_at", TIMESTAMP(fsp=6), nullable=False, server_default=_NOW),
    Index("login_addresses_last_login_at", "last_login_at"),
    **_OPTIONS,
)

seeded_accounts = Table(
    "seeded_accounts",
    metadata,
    # The first accounts are made once: one that was renamed or deleted does not come again.
    Column("username", String(USERNAME_LENGTH), primary_key=True),
    Column("seeded_at", TIMESTAMP(fsp=6), nullable=False, server_default=_NOW),
    **_OPTIONS,
)

record_gaps = Table(
    "record_gaps",
    metadata,
    # Captured: that the record may be incomplete, and who acknowledged it, is on record itself.
    Column("id", BigInteger, primary_key=True, autoincrement=True, info=CAPTURED),
    Column("cause", String(32), nullable=False, info=CAPTURED),
    # What identifies the cause where it arose, so that each is announced once; see helfy.gaps.
    Column("source_id", String(190), nullable=False, info=CAPTURED),
    # What may be missing was committed between these two; null where that is not known.
    Column("starts_at", TIMESTAMP(fsp=6), nullable=True, info=CAPTURED),
    Column("ends_at", TIMESTAMP(fsp=6), nullable=True, info=CAPTURED),
    # Positions and names, never a statement's values.
    Column("detail", String(1024), nullable=False, info=CAPTURED),
    Column("detected_at", TIMESTAMP(fsp=6), nullable=False, server_default=_NOW, info=CAPTURED),
    Column("acknowledged_at", TIMESTAMP(fsp=6), nullable=True, info=CAPTURED),
    Column("acknowledged_by", String(USERNAME_LENGTH), nullable=True, info=CAPTURED),
    UniqueConstraint("source_id", name="record_gaps_source_id"),
    Index("record_gaps_acknowledged_at", "acknowledged_at"),
    **_OPTIONS,
)

capture_state = Table(
    "capture_state",
    metadata,
    # Not captured: its writer reports every few seconds. The connector or the changefeed.
    Column("source", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("cause", String(64), nullable=True),
    Column("message", String(2048), nullable=True),
    Column("remedy", String(512), nullable=True),
    Column("position", String(255), nullable=True),
    Column("since", TIMESTAMP(fsp=6), nullable=False, server_default=_NOW),
    Column("reported_at", TIMESTAMP(fsp=6), nullable=False, server_default=_NOW),
    **_OPTIONS,
)


def _columns(capture: str) -> dict[str, tuple[str, ...]]:
    found = {
        str(table.name): tuple(
            str(column.name) for column in table.columns if column.info.get("capture") == capture
        )
        for table in metadata.tables.values()
    }
    return {table: columns for table, columns in found.items() if columns}


CAPTURED_COLUMNS = _columns("captured")
"""By table, the columns that are captured; no other table or column is."""

SECRET_COLUMNS = _columns("secret")
"""By captured table, the columns that change capture must never see."""
