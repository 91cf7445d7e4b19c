"""A user changes the own password, and has to know the one before."""

from dataclasses import dataclass

from sqlalchemy import Engine, select

from helfy.accounts import InvalidError
from helfy.database import transaction
from helfy.passwords import Hasher
from helfy.schema import users
from helfy.sessions import ActiveSession
from helfy.throttle import Throttle, forgive
from helfy.user_changes import NewPassword, ReplacedError, set_password


@dataclass(frozen=True)
class Change:
    """What was typed, and where it came from."""

    current: str
    new: str
    ip: str | None


def change(
    engine: Engine, hasher: Hasher, throttle: Throttle, session: ActiveSession, wanted: Change
) -> int:
    """Change the password of the session's user; return how many other sessions ended.

    The tries at the current password count as those at login do.

    Raises:
        InvalidError: the current password is wrong, or the new one is too easy or the same.
        ThrottledError: too many tries; the password was not looked at.
        BusyError: others come first.
    """
    buckets = throttle.buckets(session.username, wanted.ip, known=True)
    query = select(users.c.password_hash).where(users.c.id == session.user_id)
    with engine.connect() as connection:
        stored = connection.execute(query).scalar_one_or_none()
    wrong = InvalidError({"currentPassword": "is not the current password"})
    with throttle.counted(buckets):
        matches = hasher.matches(wanted.current, stored)
    if not matches:
        raise wrong
    transaction(engine, lambda connection: forgive(connection, buckets))
    if wanted.new == wanted.current:
        raise InvalidError({"newPassword": "must be another one than the current password"})
    new = NewPassword(wanted.new, keep_session=session.id, field="newPassword", replaces=stored)
    try:
        return set_password(engine, hasher, session.user_id, new)
    except ReplacedError:
        raise wrong from None
