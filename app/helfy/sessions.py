"""Sessions: opened by a login, good until they are ended or time ends them.

Nothing remembers whether a session is good but the database, which is asked at each request: a
session that one process ended is refused by all others from then on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    RowMapping,
    Select,
    and_,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.exc import DBAPIError

from helfy.database import is_conflict, transaction
from helfy.schema import session_activity, sessions, users
from helfy.tokens import fingerprint

SEEN_EVERY = timedelta(minutes=1)
"""How often it is noted, at most, that a session was used."""
LARGEST_PAGE = 100


@dataclass(frozen=True)
class Rules:
    """How long a session is good: in all, and without being used."""

    lifetime: timedelta
    idle: timedelta


@dataclass(frozen=True)
class Session:
    """A session that is good now; times in UTC."""

    id: int
    user_id: int
    ip: str | None
    user_agent: str | None
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class ActiveSession(Session):
    """The session of a request, with its user as he is now."""

    username: str
    email: str
    role: str
    user_created_at: datetime
    password_changed_at: datetime
    password_expired_at: datetime | None


@dataclass(frozen=True)
class Page:
    """Some sessions, newest first; ``next`` is what the page after it is asked for by, or None."""

    items: Sequence[Session]
    next: int | None


_LAST_SEEN = func.coalesce(session_activity.c.last_seen_at, sessions.c.created_at)
_SESSION = (
    sessions.c.id,
    sessions.c.user_id,
    sessions.c.ip,
    sessions.c.user_agent,
    sessions.c.created_at,
    _LAST_SEEN.label("last_seen_at"),
    sessions.c.expires_at,
)
_USER = (
    users.c.username,
    users.c.email,
    users.c.role,
    users.c.created_at.label("user_created_at"),
    users.c.password_changed_at,
    users.c.password_expired_at,
)
_WITH_ACTIVITY = sessions.outerjoin(
    session_activity, session_activity.c.session_id == sessions.c.id
)
# Made once: each request of a session asks it.
_GOOD = and_(
    sessions.c.revoked_at.is_(None),
    sessions.c.expires_at > bindparam("now"),
    # Also where the limits are lower now than when it was opened.
    sessions.c.created_at > bindparam("begun_after"),
    bindparam("used_after", type_=sessions.c.created_at.type) < _LAST_SEEN,
)
_FIND = (
    select(*_SESSION, *_USER)
    .select_from(_WITH_ACTIVITY.join(users, users.c.id == sessions.c.user_id))
    .where(sessions.c.token_hash == bindparam("token_hash"), users.c.status == "active", _GOOD)
)


def find(engine: Engine, session_id: str, rules: Rules) -> ActiveSession | None:
    """Return the session with the id out of a token, if it is good and its user is active.

    That it was used is noted, where the last note is a minute old. A note that another
    transaction was in the way of is left to the next request.
    """
    now = datetime.now(UTC)
    values = {"token_hash": fingerprint(session_id), **_bounds(rules, now)}
    with engine.connect() as connection:
        row = connection.execute(_FIND, values).one_or_none()
        if row is None:
            return None
        found = ActiveSession(**_in_utc(row._mapping))
        if now - found.last_seen_at >= SEEN_EVERY:
            try:
                _note(connection, found.id, now)
                connection.commit()
            except DBAPIError as error:
                connection.rollback()
                if not is_conflict(error):
                    raise
    return found


def page(
    engine: Engine,
    rules: Rules,
    user_id: int,
    *,
    limit: int = LARGEST_PAGE,
    after: int | None = None,
) -> Page:
    """Return up to ``limit`` good sessions of a user, those after the session ``after``."""
    # Not by id: TiDB's servers give ids out of ranges of their own.
    order = (sessions.c.created_at, sessions.c.id)
    query: Select[Any] = (
        select(*_SESSION)
        .select_from(_WITH_ACTIVITY)
        .where(sessions.c.user_id == user_id, _GOOD)
        .order_by(*(column.desc() for column in order))
        .limit(limit + 1)
    )
    with engine.connect() as connection:
        if after is not None:
            here = connection.execute(
                select(*order).where(sessions.c.id == after, sessions.c.user_id == user_id)
            ).one_or_none()
            if here is None:
                return Page([], None)
            created_at, id_ = here
            query = query.where(
                (sessions.c.created_at < created_at)
                | ((sessions.c.created_at == created_at) & (sessions.c.id < id_))
            )
        rows = connection.execute(query, _bounds(rules, datetime.now(UTC))).all()
    items = [Session(**_in_utc(row._mapping)) for row in rows[:limit]]
    return Page(items, items[-1].id if len(rows) > limit else None)


def count(engine: Engine, rules: Rules) -> int:
    """Return how many sessions are good now."""
    query = select(func.count()).select_from(_WITH_ACTIVITY).where(_GOOD)
    with engine.connect() as connection:
        return connection.execute(query, _bounds(rules, datetime.now(UTC))).scalar_one()


def end(engine: Engine, row_id: int, user_id: int | None = None) -> bool:
    """End the session, of that user where given; tell whether there was one to end."""
    return transaction(
        engine, lambda connection: _end(connection, sessions.c.id == row_id, user_id) > 0
    )


def end_all(engine: Engine, user_id: int, but: int | None = None) -> int:
    """End all the user's sessions (but the one with the id ``but``) and return how many."""
    return transaction(engine, lambda connection: end_all_in(connection, user_id, but))


def end_all_in(connection: Connection, user_id: int, but: int | None = None) -> int:
    """Do the same in a transaction that is begun already."""
    return _end(connection, sessions.c.id != (0 if but is None else but), user_id)


def _end(connection: Connection, which: ColumnElement[bool], user_id: int | None) -> int:
    now = datetime.now(UTC)
    statement = (
        update(sessions)
        .where(which, sessions.c.revoked_at.is_(None), sessions.c.expires_at > now)
        .values(revoked_at=now)
    )
    if user_id is not None:
        statement = statement.where(sessions.c.user_id == user_id)
    return connection.execute(statement).rowcount


def _bounds(rules: Rules, now: datetime) -> dict[str, datetime]:
    """Give the values that ``_GOOD`` compares with."""
    return {"now": now, "begun_after": now - rules.lifetime, "used_after": now - rules.idle}


def _note(connection: Connection, row_id: int, now: datetime) -> None:
    """Note the use; of two processes that want to, the second one changes nothing."""
    statement = insert(session_activity).values(session_id=row_id, last_seen_at=now)
    seen = session_activity.c.last_seen_at
    connection.execute(
        statement.on_duplicate_key_update(
            last_seen_at=func.if_(seen > now - SEEN_EVERY, seen, statement.inserted.last_seen_at)
        )
    )


def _in_utc(row: RowMapping) -> dict[str, Any]:
    # The connection's zone is UTC, but the driver hands times out without one.
    return {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
        for name, value in row.items()
    }
