"""The schema: what change capture must not see, and that the migrations make just this."""

import re

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from api_support import run_migrate
from mariadb_server import MariaDB

from helfy.migrations import runner
from helfy.schema import CAPTURED_COLUMNS, SECRET_COLUMNS, metadata

SECRET = re.compile(r"hash|token|secret|passw|pwd|pass_|key|salt|otp|credential|pin$|code")
NOT_SECRET = {
    "users.password_changed_at",
    "users.password_rehashed_at",
    "users.password_expired_at",
}


def test_no_column_named_like_a_secret_is_captured() -> None:
    captured = {
        f"{table}.{column}"
        for table, columns in CAPTURED_COLUMNS.items()
        for column in columns
        if SECRET.search(column)
    }
    assert captured == NOT_SECRET


def test_every_column_of_a_captured_table_says_captured_or_secret() -> None:
    for name, columns in CAPTURED_COLUMNS.items():
        table = metadata.tables[name]
        assert {*columns, *SECRET_COLUMNS.get(name, ())} == set(table.columns.keys())
        assert set(table.primary_key.columns.keys()) <= set(columns)
    assert set(SECRET_COLUMNS) <= set(CAPTURED_COLUMNS)


def test_every_table_has_a_primary_key_and_no_cascade() -> None:
    for table in metadata.sorted_tables:
        assert table.primary_key.columns, table.name
        assert not table.foreign_keys, "capture does not see cascades"


def test_the_migrations_make_the_metadata(
    options: list[str], engine: sa.Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    run_migrate(capsys, *options, "upgrade")
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []
        migrated = described(connection)
        for table in metadata.sorted_tables:
            connection.execute(sa.text(f"DROP TABLE {table.name}"))
        metadata.create_all(connection)
        # What Alembic does not compare: checks, collations, the order of columns (that of
        # indexes is none: SQLAlchemy keeps them in a set).
        assert shuffled(described(connection)) == shuffled(migrated)
    assert "utf8mb4_bin" in migrated["users"]
    assert "ON UPDATE current_timestamp(6)" in migrated["users"]


def described(connection: sa.Connection) -> dict[str, str]:
    """Return the statements that would make the tables as they are."""
    return {
        table.name: connection.execute(sa.text(f"SHOW CREATE TABLE {table.name}")).one()[1]
        for table in metadata.sorted_tables
    }


def shuffled(tables: dict[str, str]) -> dict[str, list[str]]:
    """Return the same with the lines of the indexes sorted."""
    lines = {name: [line.rstrip(",") for line in sql.splitlines()] for name, sql in tables.items()}
    return {
        name: [line for line in each if " KEY " not in line]
        + sorted(line for line in each if " KEY " in line)
        for name, each in lines.items()
    }


def test_there_is_one_line_of_revisions_and_it_goes_back(
    options: list[str], engine: sa.Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    run_migrate(capsys, *options, "upgrade")
    with engine.connect() as connection:
        command.downgrade(runner._config(connection), "base")
        connection.commit()
        assert sa.inspect(connection).get_table_names() == ["alembic_version"]
        _, after = runner.upgrade(connection)
        assert after.pending == 0


@pytest.mark.parametrize(
    "row",
    [
        "('Alice', 'a@example.com', 'user')",
        "('a@b', 'a@example.com', 'user')",
        "('alice', 'A@example.com', 'user')",
        "('alice', 'example.com', 'user')",
        "('alice', 'a@example.com', 'boss')",
    ],
)
def test_sql_by_hand_cannot_make_an_account_that_could_never_log_in(
    database: MariaDB, row: str
) -> None:
    sql = f"INSERT INTO users (username, email, role, password_hash) VALUES {row[:-1]}, 'x')"
    with pytest.raises(Exception, match="CONSTRAINT"):
        database.execute(sql, database="helfy")


def test_usernames_differ_by_accents(database: MariaDB) -> None:
    for name in ("andre", "andré"):
        sql = "INSERT INTO users (username, email, password_hash) VALUES (%s, %s, 'x')"
        database.execute(sql, name, f"{name}@example.com", database="helfy")


def test_the_database_moves_updated_at_by_itself(database: MariaDB) -> None:
    query = "SELECT updated_at, password_changed_at FROM users WHERE id = 1"
    [(before, changed)] = database.execute(query, database="helfy")
    database.execute("UPDATE users SET password_hash = 'x' WHERE id = 1", database="helfy")
    [(after, still)] = database.execute(query, database="helfy")

    assert after > before
    assert still == changed
