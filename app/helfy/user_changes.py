"""Changes of accounts: made, changed, deleted, given another password.

Each is one transaction with all that belongs to it. Whatever takes an admin away locks all of
them first, so that of two such changes at once the second one sees what the first has done.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import DBAPIError

from helfy.accounts import (
    InvalidError,
    LastAdminError,
    TakenError,
    email_problem,
    normalise,
    username_problem,
)
from helfy.database import error_code, transaction
from helfy.password_rules import password_problem
from helfy.passwords import Hasher
from helfy.schema import ROLES, STATUSES, login_addresses, session_activity, sessions, users
from helfy.sessions import end_all_in
from helfy.users import User, read

# MariaDB has a number of its own for a check that does not hold, TiDB has MySQL's.
_DUPLICATE = 1062
_CHECK_FAILED = frozenset({4025, 3819})


@dataclass(frozen=True)
class NewUser:
    """An account to be."""

    username: str
    email: str
    password: str
    role: str = "user"
    must_change_password: bool = True


@dataclass(frozen=True)
class Changes:
    """What is to be changed of an account; None: left as it is."""

    username: str | None = None
    email: str | None = None
    role: str | None = None
    status: str | None = None
    must_change_password: bool | None = None

    @property
    def ends_admin(self) -> str | None:
        """The field that would make an admin none, if there is one."""
        if self.role not in (None, "admin"):
            return "role"
        return "status" if self.status not in (None, "active") else None


def create(engine: Engine, hasher: Hasher, new: NewUser) -> User:
    """Make an account and return it.

    Raises:
        InvalidError: a field is bad, the password too easy.
        TakenError: the username or the email address is another account's.
    """
    names = _names(new.username, new.email)
    problems = _problems(names, new.role, None)
    if problem := password_problem(new.password, names["username"], names["email"]):
        problems["password"] = problem
    if problems:
        raise InvalidError(problems)
    # Before it takes long: whoever comes first gets the name all the same.
    with engine.connect() as connection:
        _check_free(connection, names)
    row = names | {
        "password_hash": hasher.hash(new.password),
        "role": new.role,
        "password_expired_at": datetime.now(UTC) if new.must_change_password else None,
    }

    def work(connection: Connection) -> User:
        made = connection.execute(insert(users).values(row))
        return read(connection, _id(made.inserted_primary_key))

    return _with_free_names(engine, names, work)


def change(engine: Engine, user_id: int, changes: Changes) -> User:
    """Change an account and return it; disabling it ends its sessions.

    Raises:
        InvalidError: a field is bad.
        UnknownUserError: there is no such account.
        TakenError: the username or the email address is another account's.
        LastAdminError: it is the last active admin who has logged in, and would be none.
    """
    names = _names(changes.username, changes.email)
    if problems := _problems(names, changes.role, changes.status):
        raise InvalidError(problems)
    values: dict[str, Any] = dict(names)
    values |= {"role": changes.role} if changes.role is not None else {}
    values |= {"status": changes.status} if changes.status is not None else {}

    def work(connection: Connection) -> User:
        admins = _lock_admins(connection) if changes.ends_admin else set()
        before = read(connection, user_id, lock=True)
        if admins == {user_id}:
            raise LastAdminError(changes.ends_admin)
        more = dict(values)
        if changes.must_change_password is not None:
            since = before.password_expired_at or datetime.now(UTC)
            more["password_expired_at"] = since if changes.must_change_password else None
        if more:
            connection.execute(update(users).where(users.c.id == user_id).values(more))
        if changes.status == "disabled":
            end_all_in(connection, user_id)
        return read(connection, user_id, lock=True)

    return _with_free_names(engine, names, work, user_id)


def remove(engine: Engine, user_id: int) -> User:
    """Delete an account with all that belongs to it, and return what it was.

    Raises UnknownUserError, and LastAdminError for the last active admin who has logged in.
    """

    def work(connection: Connection) -> User:
        admins = _lock_admins(connection)
        user = read(connection, user_id, lock=True)
        if admins == {user_id}:
            raise LastAdminError
        # One by one, not by a cascade: change capture would not see that.
        own = select(sessions.c.id).where(sessions.c.user_id == user_id)
        connection.execute(delete(session_activity).where(session_activity.c.session_id.in_(own)))
        connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
        connection.execute(delete(login_addresses).where(login_addresses.c.user_id == user_id))
        connection.execute(delete(users).where(users.c.id == user_id))
        return user

    return transaction(engine, work)


class ReplacedError(Exception):
    """The password has been changed by somebody else meanwhile."""


@dataclass(frozen=True)
class NewPassword:
    """A password to be; the session ``keep_session`` goes on, all others of the user end."""

    password: str
    must_change: bool = False
    keep_session: int | None = None
    field: str = "password"
    """What an error calls it."""
    replaces: str | None = None
    """The hash that it takes the place of; with another one in place, nothing is done."""


def set_password(engine: Engine, hasher: Hasher, user_id: int, new: NewPassword) -> int:
    """Give an account another password and return how many sessions ended.

    Raises InvalidError where it is too easy, UnknownUserError, and ReplacedError where the
    password that it is to replace is not in place any more.
    """
    with engine.connect() as connection:
        user = read(connection, user_id)
    if problem := password_problem(new.password, user.username, user.email):
        raise InvalidError({new.field: problem})
    hashed = hasher.hash(new.password)

    def work(connection: Connection) -> int:
        read(connection, user_id, lock=True)
        stored = select(users.c.password_hash).where(users.c.id == user_id).with_for_update()
        if new.replaces not in (None, connection.execute(stored).scalar_one()):
            raise ReplacedError
        now = datetime.now(UTC)
        values = {
            "password_hash": hashed,
            "password_changed_at": now,
            "password_expired_at": now if new.must_change else None,
        }
        connection.execute(update(users).where(users.c.id == user_id).values(values))
        return end_all_in(connection, user_id, new.keep_session)

    return transaction(engine, work)


def _names(username: str | None, email: str | None) -> dict[str, str]:
    given = {"username": username, "email": email}
    return {name: normalise(value) for name, value in given.items() if value is not None}


def _problems(names: dict[str, str], role: str | None, status: str | None) -> dict[str, str]:
    found = {
        "username": username_problem(names["username"]) if "username" in names else None,
        "email": email_problem(names["email"]) if "email" in names else None,
        "role": None if role in (None, *ROLES) else f"must be one of {', '.join(ROLES)}",
        "status": None if status in (None, *STATUSES) else f"must be one of {', '.join(STATUSES)}",
    }
    return {name: problem for name, problem in found.items() if problem}


def _lock_admins(connection: Connection) -> set[int]:
    """Lock the rows of all active admins; return the ids of those who have logged in, or of all.

    An account that nobody has logged in to may have a password that nobody knows.
    """
    query = (
        select(users.c.id)
        .where(users.c.role == "admin", users.c.status == "active")
        .order_by(users.c.id)
        .with_for_update()
    )
    admins = set(connection.execute(query).scalars())
    seen = select(login_addresses.c.user_id).where(login_addresses.c.user_id.in_(admins))
    return set(connection.execute(seen).scalars()) or admins


def _with_free_names(
    engine: Engine, names: dict[str, str], work: Any, user_id: int | None = None
) -> User:
    try:
        return transaction(engine, work)  # type: ignore[no-any-return]
    except DBAPIError as error:
        if error_code(error) in _CHECK_FAILED:
            # What Unicode calls small letters differs a little between Python and the database.
            raise InvalidError(dict.fromkeys(names, "has a letter that cannot be used")) from None
        if error_code(error) != _DUPLICATE:
            raise
        with engine.connect() as connection:
            _check_free(connection, names, user_id)
        # It was taken, and has been given back meanwhile.
        raise TakenError(dict.fromkeys(names, "was taken just now, try again")) from None


def _check_free(connection: Connection, names: dict[str, str], user_id: int | None = None) -> None:
    taken = {
        name: "is taken"
        for name, value in names.items()
        if connection.execute(
            select(users.c.id).where(users.c[name] == value, users.c.id != (user_id or 0))
        ).first()
    }
    if taken:
        raise TakenError(taken)


def _id(key: Any) -> int:
    return int(key[0])
