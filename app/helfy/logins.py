"""The login: from what was typed to a session."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, and_, insert, select, update
from sqlalchemy.dialects.mysql import insert as upsert
from sqlalchemy.exc import DBAPIError

from helfy.accounts import normalise
from helfy.database import is_conflict, transaction
from helfy.hashing import HashRoom
from helfy.passwords import Hasher
from helfy.schema import login_addresses, sessions, users
from helfy.sessions import Rules
from helfy.throttle import Bucket, Throttle, forgive, network_of, party_of
from helfy.tokens import fingerprint, new_session_id

_LONGEST_USER_AGENT = 255


@dataclass(frozen=True)
class Attempt:
    """What was typed, and where it came from."""

    name: str
    password: str
    ip: str | None
    user_agent: str = ""


@dataclass(frozen=True)
class Account:
    """A row of ``users``, as far as login needs it; ``known``: it logged in from there before."""

    id: int
    username: str
    email: str
    status: str
    password_hash: str
    password_expired_at: datetime | None
    known: bool


@dataclass(frozen=True)
class Opened:
    """A new session; ``session_id`` is what its token is made of."""

    account: Account
    session_id: str
    expires_at: datetime
    rehashed: bool


class RefusedError(Exception):
    """The login is refused; the reason is for the operator alone."""

    def __init__(self, account: Account | None, reason: str) -> None:
        super().__init__(reason)
        self.user_id = account.id if account is not None else None


class _ChangedError(RefusedError):
    """The account is another one than when it was read."""


@dataclass(frozen=True)
class Logins:
    """Opens sessions for whoever knows an account's password."""

    engine: Engine
    hasher: Hasher
    room: HashRoom
    throttle: Throttle
    rules: Rules

    def open(self, attempt: Attempt) -> Opened:
        """Log in by username or email address.

        The work is the same whether or not there is such an account, up to the answer.

        Raises:
            RefusedError: unknown, disabled, or a wrong password.
            ThrottledError: too many tries; the password was not looked at.
            BusyError: others come first; the password was not looked at.
            DBAPIError: see ``helfy.database.is_conflict``.
        """
        self.room.check(party_of(attempt.ip, None))
        name = normalise(attempt.name)
        account = self._find(name, attempt.ip)
        known = account is not None and account.known
        buckets = self.throttle.buckets(name, attempt.ip, known=known)
        self.throttle.check(buckets)
        user_id = account.id if account is not None and known else None
        with self.room.place(party_of(attempt.ip, user_id)), self.throttle.counted(buckets):
            try:
                return self._check_and_open(account, attempt, buckets)
            except _ChangedError:
                # Another login may have hashed the same password anew just now.
                return self._check_and_open(self._find(name, attempt.ip), attempt, buckets)

    def _check_and_open(
        self, account: Account | None, attempt: Attempt, buckets: list[Bucket]
    ) -> Opened:
        usable = account is not None and account.status == "active"
        stored = account.password_hash if account is not None and usable else None
        # No connection is held meanwhile: this takes longer than all statements together.
        if not self.hasher.matches(attempt.password, stored) or account is None:
            reason = "wrong_password" if usable else "disabled_account"
            raise RefusedError(account, reason if account is not None else "unknown_account")
        new_hash = None
        if self.hasher.is_outdated(account.password_hash):
            new_hash = self.hasher.hash(attempt.password)
        now = datetime.now(UTC)
        opened = Opened(account, new_session_id(), now + self.rules.lifetime, new_hash is not None)

        def work(connection: Connection) -> None:
            _check_unchanged(connection, account)
            if new_hash is not None:
                again = {"password_hash": new_hash, "password_rehashed_at": now}
                connection.execute(update(users).where(users.c.id == account.id).values(again))
            _store(connection, opened, attempt, now)
            forgive(connection, buckets)

        try:
            transaction(self.engine, work)
        except DBAPIError as error:
            if is_conflict(error):
                # The password was right: trying again is not throttled.
                transaction(self.engine, lambda connection: forgive(connection, buckets))
            raise
        return opened

    def _find(self, name: str, ip: str | None) -> Account | None:
        # No username has an "@" in it, so at most one account answers to what was typed.
        column = users.c.email if "@" in name else users.c.username
        here = and_(
            login_addresses.c.user_id == users.c.id,
            login_addresses.c.network == network_of(ip),
        )
        query = (
            select(
                users.c.id,
                users.c.username,
                users.c.email,
                users.c.status,
                users.c.password_hash,
                users.c.password_expired_at,
                login_addresses.c.user_id.is_not(None).label("known"),
            )
            .select_from(users.outerjoin(login_addresses, here))
            .where(column == name)
        )
        with self.engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return Account(**row._mapping) if row is not None else None


def _check_unchanged(connection: Connection, account: Account) -> None:
    # Checking a password takes long enough for the account to be changed meanwhile.
    still_so = select(users.c.id).where(
        users.c.id == account.id,
        users.c.status == "active",
        users.c.password_hash == account.password_hash,
    )
    if connection.execute(still_so.with_for_update()).one_or_none() is None:
        raise _ChangedError(account, "account_changed")


def _store(connection: Connection, opened: Opened, attempt: Attempt, now: datetime) -> None:
    """Store the session, and where the account is known from now on."""
    session = {
        "user_id": opened.account.id,
        "token_hash": fingerprint(opened.session_id),
        "created_at": now,
        "expires_at": opened.expires_at,
        "ip": attempt.ip,
        "user_agent": attempt.user_agent[:_LONGEST_USER_AGENT] or None,
    }
    connection.execute(insert(sessions).values(session))
    if network := network_of(attempt.ip):
        place = {"user_id": opened.account.id, "network": network, "last_login_at": now}
        statement = upsert(login_addresses).values(place)
        connection.execute(statement.on_duplicate_key_update(last_login_at=now))
