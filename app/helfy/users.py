"""Accounts as an administrator sees them: one, or a page of those that are searched for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, select

from helfy.accounts import UnknownUserError, normalise
from helfy.schema import users

LARGEST_PAGE = 100


@dataclass(frozen=True)
class User:
    """An account; times in UTC."""

    id: int
    username: str
    email: str
    role: str
    status: str
    password_changed_at: datetime
    password_expired_at: datetime | None
    """Since when the password has to be changed before anything else may be done."""
    created_at: datetime
    updated_at: datetime

    @property
    def must_change_password(self) -> bool:
        """Whether it has to be changed."""
        return self.password_expired_at is not None


@dataclass(frozen=True)
class Filter:
    """Which accounts: ``search`` is a piece of the username or of the email address."""

    search: str = ""
    role: str | None = None
    status: str | None = None
    after: int = 0
    limit: int = LARGEST_PAGE


@dataclass(frozen=True)
class Page:
    """Some accounts, by id; ``next`` is what the page after it is asked for by, or None."""

    items: Sequence[User]
    next: int | None


_USER = (
    users.c.id,
    users.c.username,
    users.c.email,
    users.c.role,
    users.c.status,
    users.c.password_changed_at,
    users.c.password_expired_at,
    users.c.created_at,
    users.c.updated_at,
)


def get(engine: Engine, user_id: int) -> User:
    """Return the account with this id; raise :class:`UnknownUserError` where there is none."""
    with engine.connect() as connection:
        return read(connection, user_id)


def find(engine: Engine, username_or_email: str) -> User:
    """Return the account with this username or email address; UnknownUserError without one."""
    name = normalise(username_or_email)
    column = users.c.email if "@" in name else users.c.username
    with engine.connect() as connection:
        row = connection.execute(select(*_USER).where(column == name)).mappings().one_or_none()
    return _user(row)


def page(engine: Engine, which: Filter) -> Page:
    """Return the accounts that ``which`` is about, ``which.limit`` at most."""
    query = select(*_USER).where(users.c.id > which.after).order_by(users.c.id)
    term = normalise(which.search)
    if term:
        # A percent sign or a line below is itself.
        query = query.where(
            users.c.username.contains(term, autoescape=True)
            | users.c.email.contains(term, autoescape=True)
        )
    if which.role is not None:
        query = query.where(users.c.role == which.role)
    if which.status is not None:
        query = query.where(users.c.status == which.status)
    with engine.connect() as connection:
        rows = connection.execute(query.limit(which.limit + 1)).mappings().all()
    items = [_user(row) for row in rows[: which.limit]]
    return Page(items, items[-1].id if len(rows) > which.limit else None)


def read(connection: Connection, user_id: int, *, lock: bool = False) -> User:
    """Return the account, as it is now where its row is to be locked for a change."""
    query = select(*_USER).where(users.c.id == user_id)
    if lock:
        query = query.with_for_update()
    return _user(connection.execute(query).mappings().one_or_none())


def _user(row: RowMapping | None) -> User:
    if row is None:
        raise UnknownUserError
    # The connection's zone is UTC, but the driver hands times out without one.
    values: dict[str, Any] = {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
        for name, value in row.items()
    }
    return User(**values)
