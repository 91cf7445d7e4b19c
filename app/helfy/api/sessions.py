"""Accounts and sessions in the database: the statements behind login, logout and every check."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, insert, select, update

from helfy.accounts import normalise
from helfy.api.tokens import fingerprint
from helfy.schema import sessions, users

_LONGEST_USER_AGENT = 255


@dataclass(frozen=True)
class Account:
    """A row of ``users``, as far as login needs it."""

    id: int
    username: str
    email: str
    status: str
    password_hash: str


@dataclass(frozen=True)
class ActiveSession:
    """A session that is good now, with its user; times in UTC."""

    id: int
    created_at: datetime
    expires_at: datetime
    user_id: int
    username: str
    email: str
    role: str
    user_created_at: datetime
    password_changed_at: datetime


@dataclass(frozen=True)
class NewSession:
    """A session to be, and where its login came from."""

    session_id: str
    lifetime: timedelta
    ip: str | None
    user_agent: str


def find_account(engine: Engine, username_or_email: str) -> Account | None:
    """Return the account with this username or email address, or None.

    No username has an ``@`` in it, so at most one account answers to what was typed.
    """
    name = normalise(username_or_email)
    column = users.c.email if "@" in name else users.c.username
    query = select(
        users.c.id, users.c.username, users.c.email, users.c.status, users.c.password_hash
    ).where(column == name)
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    return Account(**row._mapping) if row is not None else None


def open_session(
    engine: Engine, account: Account, new: NewSession, new_hash: str | None = None
) -> datetime | None:
    """Store a new session and return when it expires (UTC).

    ``new_hash`` replaces the account's hash: the same password at another cost. None comes
    back, and nothing is stored, where the account was disabled or its password changed since
    ``account`` was read: checking a password takes long enough for that to happen.
    """
    now = datetime.now(UTC)
    expires_at = now + new.lifetime
    still_so = (
        select(users.c.id)
        .where(
            users.c.id == account.id,
            users.c.status == "active",
            users.c.password_hash == account.password_hash,
        )
        .with_for_update()
    )
    row = {
        "user_id": account.id,
        "token_hash": fingerprint(new.session_id),
        "created_at": now,
        "expires_at": expires_at,
        "ip": new.ip,
        "user_agent": new.user_agent[:_LONGEST_USER_AGENT] or None,
    }
    with engine.begin() as connection:
        if connection.execute(still_so).one_or_none() is None:
            return None
        connection.execute(insert(sessions).values(row))
        if new_hash is not None:
            connection.execute(
                update(users)
                .where(users.c.id == account.id)
                .values(password_hash=new_hash, password_rehashed_at=now)
            )
    return expires_at


def find_session(engine: Engine, session_id: str) -> ActiveSession | None:
    """Return the session if it is neither revoked nor expired and its user is active."""
    query = (
        select(
            sessions.c.id,
            sessions.c.created_at,
            sessions.c.expires_at,
            users.c.id.label("user_id"),
            users.c.username,
            users.c.email,
            users.c.role,
            users.c.created_at.label("user_created_at"),
            users.c.password_changed_at,
        )
        .join_from(sessions, users, users.c.id == sessions.c.user_id)
        .where(
            sessions.c.token_hash == fingerprint(session_id),
            sessions.c.revoked_at.is_(None),
            sessions.c.expires_at > datetime.now(UTC),
            users.c.status == "active",
        )
    )
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return ActiveSession(**{name: _utc(value) for name, value in row._mapping.items()})


def revoke_session(engine: Engine, row_id: int) -> None:
    """Revoke the session; revoking it again changes nothing."""
    statement = (
        update(sessions)
        .where(sessions.c.id == row_id, sessions.c.revoked_at.is_(None))
        .values(revoked_at=datetime.now(UTC))
    )
    with engine.begin() as connection:
        connection.execute(statement)


def _utc(value: Any) -> Any:
    # The connection's zone is UTC, but the driver hands times out without one.
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
