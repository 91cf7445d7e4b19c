"""Statements that MariaDB takes and Debezium's grammar lacks: on which change capture goes on.

Of those in ``samples/statements``, 71 stop a connector that has Debezium's own filter.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy
from connect_server import Connect, Connector, ConnectorFailedError, evaluate

from helfy.consumer.change import Change
from helfy.consumer.decode import decode
from helfy.schema import CAPTURED_COLUMNS, metadata

DATABASE: Final = "helfy"
SAMPLES: Final = Path(__file__).parents[1] / "samples" / "statements"
LITERAL: Final = "l1teral"
UNPARSEABLE: Final = f"ALTER TABLE users ADD COLUMN ip INET6 COMMENT '{LITERAL}'"


def scripts(name: str) -> list[list[str]]:
    """Read the statements of each session in a file."""
    lines = (SAMPLES / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    return [
        line.replace("\\n", "\n").replace("\\t", "\t").split(" ;; ")
        for line in lines
        if not line.startswith("-- One") and not line.startswith("-- They")
    ]


def run(connect: Connect, script: list[str]) -> None:
    with closing(connect.mariadb.connect(DATABASE)) as session, session.cursor() as cursor:
        for statement in script:
            cursor.execute(statement)
            while cursor.nextset():
                pass


@pytest.fixture
def connector(connect: Connect) -> Iterator[Connector]:
    """Capture Helfy's own tables; a table that Debezium cannot read is beside them."""
    connect.mariadb.execute(f"CREATE DATABASE {DATABASE}")
    connect.mariadb.execute("CREATE DATABASE other")
    port = connect.mariadb.port
    engine = sqlalchemy.create_engine(f"mysql+pymysql://root@127.0.0.1:{port}/{DATABASE}")
    try:
        metadata.create_all(engine)
        connect.mariadb.execute(
            "CREATE TABLE before_capture (id INT PRIMARY KEY, ip INET6) WITH SYSTEM VERSIONING",
            database=DATABASE,
        )
        with connect.connector(DATABASE, CAPTURED_COLUMNS) as made:
            yield made
    finally:
        engine.dispose()
        for name in (DATABASE, "other"):
            connect.mariadb.execute(f"DROP DATABASE {name}")


def changes(connector: Connector, kind: str) -> list[Change]:
    """Give the changes of a type that are on record."""
    return [each for each in filter(None, map(decode, connector.records())) if each.type == kind]


@pytest.mark.parametrize("name", ["unrelated", "harmless"])
def test_statement_on_no_column_of_a_captured_table_never_stops_capture(
    connect: Connect, connector: Connector, name: str
) -> None:
    connect.mariadb.execute("CREATE TABLE t9 (id INT PRIMARY KEY)", database="other")
    refused: list[str] = []
    for script in scripts(name):
        try:
            run(connect, script)
        except Exception as error:  # noqa: BLE001 - what the server refuses tests nothing
            refused.append(f"{script}: {error}")
    connector.settle()
    assert connector.states() == ["RUNNING", "RUNNING"]
    assert LITERAL not in connector.log()
    # ROLLBACK TO a savepoint that is gone, DROP of a temporary table: as the sessions mean to.
    assert len(refused) <= 2, refused


def test_definition_of_a_captured_table_is_on_record(
    connect: Connect, connector: Connector
) -> None:
    for statement in (
        "CREATE TABLE unrelated (id INT PRIMARY KEY)",
        "/* a */ ALTER TABLE `users` /* b */ ADD COLUMN note INT",
        "SET STATEMENT max_statement_time = 9 FOR ALTER ONLINE TABLE helfy.users DROP COLUMN note",
        "DROP TABLE unrelated, record_gaps",
        "ALTER TABLE sessions RENAME TO other.sessions",
        "RENAME TABLE other.sessions TO sessions",
    ):
        run(connect, [statement])
    said = [str(each.sql).lower().split()[:3] for each in changes(connector, "DDL")]
    assert [" ".join(words) for words in said] == [
        "alter table `users`",
        "alter online table",
        "drop table `helfy`.`record_gaps`",
        "rename table other.sessions",
    ]


def test_unparseable_definition_of_a_captured_table_stops_capture_without_its_literals_in_the_log(
    connect: Connect, connector: Connector
) -> None:
    run(connect, [UNPARSEABLE])
    with pytest.raises(ConnectorFailedError, match="ParsingException"):
        connector.settle()
    log = connector.log()
    assert LITERAL not in log
    assert "io.debezium.text.ParsingException" in log
    assert "gtids=" in log
    # For the watchdog: where the stream stopped.
    assert "Last offset stored = {" in (connect.offsets.parent / "failures").read_text()


def test_temporary_table_of_a_captured_name_leaves_its_schema_alone(
    connect: Connect, connector: Connector
) -> None:
    run(
        connect,
        [
            "SET SESSION binlog_format = STATEMENT",
            "CREATE TEMPORARY TABLE sessions (id INT PRIMARY KEY)",
            "DROP TEMPORARY TABLE sessions",
            "SET SESSION binlog_format = ROW",
            "INSERT INTO sessions (user_id, token_hash) VALUES (1, 'x')",
        ],
    )
    assert [row.data["user_id"] for row in changes(connector, "INSERT")] == [1]


def test_filter_has_no_comma_that_debezium_would_split_it_at() -> None:
    captured = {"debezium_captured_columns": CAPTURED_COLUMNS}
    assert "," not in evaluate("debezium", "__debezium_ddl_filter", **captured)
