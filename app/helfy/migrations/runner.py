"""Bring a database's schema to the newest revision, and say where it stands."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from sqlalchemy import Connection, Engine, func, select

_HERE = Path(__file__).parent
_LOCK = "helfy.migrate"
LOCK_SECONDS = 60


class MigrationError(Exception):
    """The migration cannot be run; the text says why and what to do."""


@dataclass(frozen=True)
class Position:
    """Where a database stands: its revision (None: empty), the newest one, and what is between.

    ``known`` is false where the database is at a revision that this release does not have.
    """

    current: str | None
    head: str | None
    pending: int
    known: bool = True


@contextmanager
def exclusively(engine: Engine, seconds: int = LOCK_SECONDS) -> Iterator[Connection]:
    """Give a connection that holds the database's migration lock, waiting ``seconds`` for it.

    ``GET_LOCK`` is in MariaDB and TiDB; it goes with the connection, however that ends.
    Raises :class:`MigrationError` where another migration still runs.
    """
    with engine.connect() as connection:
        if connection.execute(select(func.get_lock(_LOCK, seconds))).scalar() != 1:
            raise MigrationError(
                f"another migration has been running for {seconds} s; wait for it to end"
            )
        connection.commit()
        try:
            yield connection
        finally:
            # The lock goes with the connection, which must not return to the pool.
            connection.invalidate()


def position(connection: Connection) -> Position:
    """Return where the database stands; changes nothing."""
    scripts = ScriptDirectory.from_config(_config(connection))
    head = scripts.get_current_head()
    current = MigrationContext.configure(connection).get_current_revision()
    try:
        pending = len(list(scripts.iterate_revisions(head, current or "base")))
    except RevisionError:
        return Position(current, head, 0, known=False)
    return Position(current, head, pending)


def upgrade(connection: Connection) -> tuple[Position, Position]:
    """Run what is pending and return where the database stood before and stands now."""
    before = position(connection)
    if not before.known:
        raise MigrationError(
            f"the database is at revision {before.current}, which this release does not know "
            f"(its newest is {before.head}); deploy the release that the database belongs to"
        )
    connection.rollback()  # what position() began: Alembic commits its own transactions alone
    command.upgrade(_config(connection), "head")
    connection.commit()
    return before, position(connection)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
