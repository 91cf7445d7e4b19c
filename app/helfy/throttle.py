"""How often passwords may be tried, for all processes and machines together.

Three things are counted: tries of one account from one address, tries from one address, and tries
of one account from wherever it has never logged in from. The third spares the addresses that an
account is known from, so nobody can lock an owner out there. An account is whatever was typed
as its name, so one that does not exist is throttled like one that does.

Each count is a bucket that ``attempts`` fit into and that one drips out of every ``seconds``
(the generic cell rate algorithm): the table has, by bucket, when it will be empty. A try is put in
before the password is looked at, with the bucket's row locked, and taken out again where the
password was right. So two processes at once cannot get more in than fit.
"""

import hashlib
import ipaddress
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field
from sqlalchemy import Connection, Engine, Row, Select, bindparam, delete, select, update
from sqlalchemy.dialects.mysql import insert

from helfy.config import Section
from helfy.database import transaction
from helfy.hashing import BusyError, Party
from helfy.schema import login_throttle

_IPV6_SITE_BITS = 64
_Attempts = Annotated[int, Field(ge=1, le=100_000)]
_Seconds = Annotated[int, Field(ge=1, le=86_400)]


class Limits(Section):
    """The table ``[throttle]``: so many tries at once, and one more every so many seconds."""

    pair_attempts: _Attempts = 10
    pair_seconds: _Seconds = 60
    """Of one account from one address."""
    address_attempts: _Attempts = 100
    address_seconds: _Seconds = 10
    """From one address (IPv6: one network of 64 bits), whatever the account."""
    account_attempts: _Attempts = 20
    account_seconds: _Seconds = 180
    """Of one account from wherever it has not logged in from before."""


class ThrottledError(Exception):
    """Too many tries; ``seconds`` later there is room for one."""

    def __init__(self, seconds: int) -> None:
        super().__init__("too many attempts")
        self.seconds = seconds


@dataclass(frozen=True)
class Bucket:
    """What one try is counted in; ``key`` is 64 hexadecimal digits."""

    key: str
    attempts: int
    drip: timedelta

    def admits(self, clears_at: datetime, now: datetime) -> timedelta:
        """Return how long a try has to wait; none where it may be made now."""
        over = max(clears_at, now) + self.drip - now - self.attempts * self.drip
        return max(over, timedelta())


@dataclass(frozen=True)
class Throttle:
    """Counts tries in the database."""

    engine: Engine
    limits: Limits

    def buckets(self, name: str, address: str | None, *, known: bool) -> list[Bucket]:
        """Return where a try counts: of the account ``name`` (normalised), from ``address``."""
        limits, network = self.limits, network_of(address)
        found = [
            _bucket("pair", name, network, limits.pair_attempts, limits.pair_seconds),
            _bucket("address", "", network, limits.address_attempts, limits.address_seconds),
        ]
        if not known:
            found.append(
                _bucket("account", name, "", limits.account_attempts, limits.account_seconds)
            )
        return found

    def check(self, buckets: Sequence[Bucket]) -> None:
        """Raise ThrottledError where a try would be one too many now; lock and count nothing."""
        with self.engine.connect() as connection:
            rows = connection.execute(_query(buckets)).all()
        _check(buckets, _states(rows), datetime.now(UTC))

    @contextmanager
    def counted(self, buckets: Sequence[Bucket]) -> Iterator[None]:
        """Count a try as :meth:`admit` does, and not where BusyError ends it: nothing was tried."""
        self.admit(buckets)
        try:
            yield
        except BusyError:
            transaction(self.engine, lambda connection: _take_out(connection, buckets))
            raise

    def admit(self, buckets: Sequence[Bucket]) -> None:
        """Count a try; where it is one too many, count nothing and raise ThrottledError."""
        now = datetime.now(UTC)
        # All in one order, or two tries of the same buckets could wait for each other.
        ordered = sorted(buckets, key=lambda bucket: bucket.key)

        def work(connection: Connection) -> None:
            states = _locked(connection, ordered, now)
            _check(ordered, states, now)
            for bucket in ordered:
                _set(connection, bucket.key, max(states[bucket.key], now) + bucket.drip)

        transaction(self.engine, work)


def forgive(connection: Connection, buckets: Sequence[Bucket]) -> None:
    """Take a try out again: the password was right.

    The first bucket, the account's at this address, is emptied.
    """
    _take_out(connection, buckets, emptied=buckets[0])


def _take_out(
    connection: Connection, buckets: Sequence[Bucket], emptied: Bucket | None = None
) -> None:
    now = datetime.now(UTC)
    ordered = sorted(buckets, key=lambda bucket: bucket.key)
    states = _locked(connection, ordered, now)
    for bucket in ordered:
        left = now if bucket is emptied else max(states[bucket.key] - bucket.drip, now)
        _set(connection, bucket.key, left)


def prune(connection: Connection, most: int) -> None:
    """Delete up to ``most`` buckets that are empty."""
    connection.execute(
        delete(login_throttle)
        .where(login_throttle.c.clears_at < datetime.now(UTC))
        .with_dialect_options(mysql_limit=most)
    )


def network_of(address: str | None) -> str:
    """Return what counts as one address: for IPv6 the network that one customer is given."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    if found.version == 4:  # noqa: PLR2004  # as in IPv4
        return str(found)
    return str(ipaddress.ip_network((found, _IPV6_SITE_BITS), strict=False))


def party_of(address: str | None, user_id: int | None) -> Party:
    """Return who waits for a hash: a user at an address known as his, or else the address."""
    if user_id is None:
        return Party(network_of(address))
    return Party(f"user {user_id}", known=True)


def _bucket(kind: str, name: str, network: str, attempts: int, seconds: int) -> Bucket:
    # No name and no network has a line end in it: names are normalised, and cut at white space
    # at either end, so that what stands between the line ends is unambiguous.
    key = hashlib.sha256(f"{kind}\n{network}\n{name}".encode()).hexdigest()
    return Bucket(key, attempts, timedelta(seconds=seconds))


def _locked(
    connection: Connection, ordered: Sequence[Bucket], now: datetime
) -> dict[str, datetime]:
    """Lock the buckets' rows, made where missing, and return when each will be empty."""
    statement = insert(login_throttle).values(clears_at=now)
    statement = statement.on_duplicate_key_update(clears_at=login_throttle.c.clears_at)
    for bucket in ordered:
        connection.execute(statement.values(bucket=bucket.key))
    return _states(connection.execute(_query(ordered).with_for_update()).all())


def _query(buckets: Sequence[Bucket]) -> Select[tuple[str, datetime]]:
    keys = [bucket.key for bucket in buckets]
    return select(login_throttle.c.bucket, login_throttle.c.clears_at).where(
        login_throttle.c.bucket.in_(keys)
    )


def _states(rows: Sequence[Row[tuple[str, datetime]]]) -> dict[str, datetime]:
    return {row.bucket: row.clears_at.replace(tzinfo=UTC) for row in rows}


def _check(buckets: Sequence[Bucket], states: dict[str, datetime], now: datetime) -> None:
    wait = max(bucket.admits(states.get(bucket.key, now), now) for bucket in buckets)
    if wait:
        raise ThrottledError(math.ceil(wait.total_seconds()))


def _set(connection: Connection, key: str, clears_at: datetime) -> None:
    statement = update(login_throttle).where(login_throttle.c.bucket == bindparam("key"))
    connection.execute(statement.values(clears_at=clears_at), {"key": key})
