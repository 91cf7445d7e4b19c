"""The way to the database: its settings, its engine, and what its errors mean.

MariaDB and TiDB look alike from here: both speak the MySQL protocol.
"""

import random
import time
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, SecretStr
from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from helfy.config import Section, readable

# A refused connection costs nothing. A database gone silent costs a request at most the ping
# of a pooled connection and then a new connection that is not made, or made and not greeted
# (3 to 4 s), and those after it the latter alone. A second and a bit: one lost SYN is resent
# after one second.
CONNECT_SECONDS = 1.25
READ_SECONDS = 2.0
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
"""What SQLAlchemy raises when the database is away, overloaded or refuses the account."""


# What a transaction meets that lost to another one, and may be run again: MariaDB's deadlock and
# changed record; TiDB's write conflict, retryable error, commit that must be tried again, and
# schema changed meanwhile.
_CONFLICTS = frozenset({1213, 1020, 9007, 8002, 8022, 8028})
_LOCK_TIMEOUT = 1205
_TRIES = 5
_PAUSE_SECONDS = 0.02

Result = TypeVar("Result")


class Database(Section):
    """The table ``[database]`` of a settings file."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 3306
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")] = "helfy"
    user: Annotated[str, Field(min_length=1, max_length=32)]
    ca_file: Annotated[str, AfterValidator(readable)] | None = None
    """Certificates to trust, in PEM form: with it, TLS to a server of this name, or nothing."""


class PooledDatabase(Database):
    """The same for a program of many threads."""

    pool_size: Annotated[int, Field(ge=1, le=256)] = 8
    """Connections kept at most; as many as the server has threads, or threads wait."""


def connect(
    settings: Database,
    password: SecretStr,
    *,
    pool_size: int = 1,
    read_seconds: float = READ_SECONDS,
) -> Engine:
    """Return an engine whose connections are in UTC, strict and utf8mb4; connects lazily.

    ``read_seconds`` bounds the wait for one answer of the database.
    """
    arguments: dict[str, Any] = {
        "charset": "utf8mb4",
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": read_seconds,
        "write_timeout": read_seconds,
        "init_command": f"SET time_zone = '+00:00', sql_mode = '{SQL_MODE}'",
    }
    if settings.ca_file is not None:
        arguments |= {"ssl_ca": settings.ca_file, "ssl_verify_cert": True}
        arguments |= {"ssl_verify_identity": True}
    return create_engine(
        URL.create(
            "mysql+pymysql",
            username=settings.user,
            password=password.get_secret_value(),
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


def gave_way(error: DBAPIError) -> bool:
    """Whether work was given up for another transaction's sake: the database itself is well."""
    code = error_code(error)
    return code in _CONFLICTS or code == _LOCK_TIMEOUT


def error_code(error: BaseException) -> int | None:
    """Return the MySQL error number inside ``error``, such as 2003 or 1045, or None.

    The number is all that may be logged: the database's text can hold a row's values.
    """
    original = error.orig if isinstance(error, DBAPIError) else error
    code = original.args[0] if original is not None and original.args else None
    return code if isinstance(code, int) else None
