"""Migrations are forward-compatible: the release before lives with what each one makes.

While a release is rolled through, and after a rollback, the old code reads and writes the new
tables. So a migration only ever adds, and adds nothing that the old code would have to fill.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from helfy.migrations import runner

COLUMNS = """
    SELECT table_name, column_name, column_type, is_nullable = 'YES', column_default, extra,
           COALESCE(collation_name, '')
    FROM information_schema.columns WHERE table_schema = DATABASE()
"""
CONSTRAINTS = """
    SELECT CONCAT(table_name, '.', constraint_name) FROM information_schema.table_constraints
    WHERE table_schema = DATABASE()
"""


@dataclass(frozen=True)
class Column:
    """What the release before relies on of a column."""

    kind: str
    nullable: bool
    default: str | None
    extra: str
    collation: str

    @property
    def optional(self) -> bool:
        """Whether an INSERT may leave it out."""
        return self.nullable or self.default is not None or "auto_increment" in self.extra


@dataclass(frozen=True)
class Tables:
    """The tables of a database, as information_schema has them."""

    columns: dict[tuple[str, str], Column]
    constraints: frozenset[str]

    @property
    def names(self) -> set[str]:
        """The tables' names."""
        return {table for table, _ in self.columns}


def look(connection: sa.Connection) -> Tables:
    """Read the tables, but for Alembic's own."""
    rows = [row for row in connection.execute(sa.text(COLUMNS)) if row[0] != "alembic_version"]
    return Tables(
        {
            (row[0], row[1]): Column(
                row[2], bool(row[3]), None if row[4] == "NULL" else row[4], row[5], row[6]
            )
            for row in rows
        },
        frozenset(connection.execute(sa.text(CONSTRAINTS)).scalars()),
    )


def broken(before: Tables, after: Tables) -> list[str]:
    """Say what the code that knows ``before`` cannot do with ``after``.

    What is there must stay just as it is: a type may not even be widened here, since what is
    then written is more than the old code expects. A new table is its own code's affair.
    """
    found = [f"table {name} is gone" for name in before.names - after.names]
    for place, column in before.columns.items():
        name = ".".join(place)
        if place[0] in after.names and place not in after.columns:
            found.append(f"column {name} is gone")
        elif place in after.columns and after.columns[place] != column:
            found.append(f"column {name} is another one")
    for place, column in after.columns.items():
        new = place[0] in before.names and place not in before.columns
        if new and not column.optional:
            found.append(f"column {'.'.join(place)} is new and has to be filled")
    found += [
        f"constraint {constraint} is new on a table that was there"
        for constraint in after.constraints - before.constraints
        if constraint.partition(".")[0] in before.names
    ]
    return sorted(found)


@pytest.fixture
def connection(engine: sa.Engine) -> Iterator[sa.Connection]:
    with engine.connect() as connection:
        yield connection


def revisions(connection: sa.Connection) -> list[str]:
    """Give all revisions, oldest first."""
    scripts = ScriptDirectory.from_config(runner._config(connection))
    return [script.revision for script in scripts.walk_revisions()][::-1]


def test_each_migration_only_adds(connection: sa.Connection) -> None:
    before = look(connection)
    assert before.names == set()
    for revision in revisions(connection):
        connection.rollback()
        command.upgrade(runner._config(connection), revision)
        connection.commit()
        after = look(connection)
        assert broken(before, after) == [], f"migration {revision}"
        before = after
    assert "users" in before.names


Step = Callable[[Operations], Any]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (lambda op: op.drop_table("sessions"), ["table sessions is gone"]),
        (lambda op: op.drop_column("users", "status"), ["column users.status is gone"]),
        (
            lambda op: op.execute("ALTER TABLE users RENAME COLUMN email TO mail"),
            ["column users.email is gone", "column users.mail is new and has to be filled"],
        ),
        (
            lambda op: op.add_column("users", sa.Column("phone", sa.String(20), nullable=False)),
            ["column users.phone is new and has to be filled"],
        ),
        (
            lambda op: op.execute("ALTER TABLE users MODIFY role VARCHAR(5) NOT NULL"),
            ["column users.role is another one"],
        ),
        (
            lambda op: op.execute("ALTER TABLE sessions MODIFY ip VARCHAR(45) NOT NULL"),
            ["column sessions.ip is another one"],
        ),
        (
            lambda op: op.create_unique_constraint("users_one_role", "users", ["role", "status"]),
            ["constraint users.users_one_role is new on a table that was there"],
        ),
        (lambda op: op.add_column("users", sa.Column("phone", sa.String(20))), []),
        (lambda op: op.create_index("users_status", "users", ["status"]), []),
        (
            lambda op: op.create_table("more", sa.Column("id", sa.BigInteger, primary_key=True)),
            [],
        ),
    ],
)
def test_the_rules_bite(connection: sa.Connection, step: Step, said: list[str]) -> None:
    """What a careless migration would do is named, and what adds is let through."""
    runner.upgrade(connection)
    before = look(connection)
    if said == ["column users.status is gone"]:
        connection.execute(sa.text("ALTER TABLE users DROP CONSTRAINT users_status"))
    step(Operations(MigrationContext.configure(connection)))
    assert broken(before, look(connection)) == said
