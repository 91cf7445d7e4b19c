"""The way to the database: its settings, its engine, and what its errors mean.

MariaDB and TiDB look alike from here: both speak the MySQL protocol.
"""

import random
import time
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field
from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from helfy.config import Login, Section, readable

# A refused connection costs nothing. A database gone silent costs a request at most the ping
# of a pooled connection and then a new connection that is not made, or made and not greeted
# (3 to 4 s), and those after it the latter alone. A second and a bit: one lost SYN is resent
# after one second.
CONNECT_SECONDS = 1.25
READ_SECONDS = 2.0
# A lock that somebody else holds is told from a database gone silent: it is given up first.
LOCK_SECONDS = 1
POOL_SECONDS = 1.0
# Below the eight hours after which MariaDB and TiDB drop idle connections, and short
# enough that connections spread anew over the TiDB servers after one has been away.
RECYCLE_SECONDS = 600
# Debian's and TiDB's defaults differ; what the application may rely on is set here.
SQL_MODE = (
    "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION"
)

UNAVAILABLE = (OperationalError, InterfaceError, PoolTimeoutError)
"""What SQLAlchemy raises when the database is unavailable, overloaded or rejects the account, and
also when another transaction is in the way: ask ``is_conflict`` first."""


# What a transaction meets that lost to another one, and may be run again: MariaDB's deadlock and
# changed record; TiDB's write conflicts (at TiKV and in one TiDB), retryable error, commit that
# must be tried again, and schema changed meanwhile.
_CONFLICTS = frozenset({1213, 1020, 9007, 8005, 8002, 8022, 8028})
# What it has waited for in vain: a lock of a row or a table, or TiDB for one to be resolved.
_LOCKED = frozenset({1205, 9004})
_TRIES = 5
_PAUSE_SECONDS = 0.02

Result = TypeVar("Result")


class Database(Section):
    """The table ``[database]`` of a settings file."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 3306
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")] = "helfy"
    ca_file: Annotated[str, AfterValidator(readable)] | None = None
    """Certificates to trust, in PEM form: with it, TLS to a server of this name, or nothing."""


class PooledDatabase(Database):
    """The same for a program of many threads."""

    pool_size: Annotated[int, Field(ge=1, le=256)] = 8
    """Connections kept at most; as many as the server has threads, or threads wait."""


def connect(
    settings: Database,
    login: Login,
    *,
    pool_size: int = 1,
    read_seconds: float = READ_SECONDS,
    lock_seconds: int = LOCK_SECONDS,
) -> Engine:
    """Return an engine whose connections are in UTC, strict and utf8mb4; connects lazily.

    ``read_seconds`` bounds the wait for one answer of the database, ``lock_seconds`` that for a
    lock of a row or a table which another transaction holds.
    """
    session = {
        "time_zone": "'+00:00'",
        "sql_mode": f"'{SQL_MODE}'",
        "innodb_lock_wait_timeout": lock_seconds,
        "lock_wait_timeout": lock_seconds,
    }
    arguments: dict[str, Any] = {
        "charset": "utf8mb4",
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": read_seconds,
        "write_timeout": read_seconds,
        "init_command": "SET " + ", ".join(f"{name} = {value}" for name, value in session.items()),
    }
    if settings.ca_file is not None:
        arguments |= {"ssl_ca": settings.ca_file, "ssl_verify_cert": True}
        arguments |= {"ssl_verify_identity": True}
    return create_engine(
        URL.create(
            "mysql+pymysql",
            username=login.user,
            password=login.password.get_secret_value(),
            host=settings.host,
            port=settings.port,
            database=settings.name,
        ),
        connect_args=arguments,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        pool_recycle=RECYCLE_SECONDS,
        pool_pre_ping=True,
        # A statement's values (hashes among them) never get into an exception's text.
        hide_parameters=True,
    )


def transaction(engine: Engine, work: Callable[[Connection], Result]) -> Result:
    """Run ``work`` in a transaction and return what it returns; an exception rolls back.

    Where the transaction lost to another one (a deadlock; on TiDB also a write conflict, which
    shows at the commit) it is run anew, so ``work`` must do nothing but ask the database.
    """
    tries = _TRIES
    while True:
        try:
            with engine.begin() as connection:
                return work(connection)
        except DBAPIError as error:
            tries -= 1
            if tries == 0 or error_code(error) not in _CONFLICTS:
                raise
            # Not at the same moment as whoever it lost to.
            time.sleep(random.uniform(0, _PAUSE_SECONDS))  # noqa: S311  # no secret is made of it


def is_conflict(error: BaseException) -> bool:
    """Whether another transaction was in the way: the database itself is available."""
    return isinstance(error, DBAPIError) and error_code(error) in _CONFLICTS | _LOCKED


def error_code(error: BaseException) -> int | None:
    """Return the MySQL error number inside ``error``, such as 2003 or 1045, or None.

    The number is all that may be logged: the database's text can hold a row's values.
    """
    original = error.orig if isinstance(error, DBAPIError) else error
    code = original.args[0] if original is not None and original.args else None
    return code if isinstance(code, int) else None
