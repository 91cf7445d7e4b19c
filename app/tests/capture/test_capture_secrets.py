"""No hash gets from the database to the topic, the log of Kafka Connect or a line of the record.

Whatever is copied, renamed, added or replaced: with the tables that the migrations make, MariaDB
and Debezium as a VM runs them.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from connect_server import Connect, Connector, evaluate

from helfy.consumer.change import Record
from helfy.consumer.pipeline import Pipeline
from helfy.consumer.settings import Settings
from helfy.migrations import runner
from helfy.schema import CAPTURED_COLUMNS, SECRET_COLUMNS

DATABASE = "helfy"
# The statements of a case; afterwards the tables are made as they were.
CASES = {
    "update": "UPDATE users SET password_hash = '{hash}'",
    "sql in upper case": "UPDATE `users` SET `PASSWORD_HASH` = '{hash}', `Role` = 'admin'",
    "copy as select": """
        CREATE TABLE users_backup AS SELECT * FROM users;
        UPDATE users_backup SET password_hash = '{hash}'""",
    "copy like": """
        CREATE TABLE c LIKE users; INSERT INTO c SELECT * FROM users;
        ALTER TABLE c CHANGE password_hash pw VARCHAR(255) DEFAULT '{hash}';
        UPDATE c SET pw = '{hash}';
        CREATE TABLE t LIKE sessions; INSERT INTO t SELECT * FROM sessions; DELETE FROM t""",
    "literals in definitions of others": """
        CREATE TABLE c (a VARCHAR(99) DEFAULT '{hash}' COMMENT '{hash}',
        b VARCHAR(99) CHECK (b <> '{hash}'),
        d VARCHAR(99) AS (CONCAT(b, '{hash}')) STORED) COMMENT '{hash}';
        CREATE VIEW v AS SELECT '{hash}' AS a FROM users;
        CREATE TRIGGER tr BEFORE INSERT ON users FOR EACH ROW SET @x = '{hash}'; DROP TRIGGER tr;
        CREATE PROCEDURE p() SELECT '{hash}'; DROP PROCEDURE p""",
    "insert select and multi-table statements": """
        CREATE TABLE c LIKE users; INSERT INTO c SELECT * FROM users;
        UPDATE users, c SET users.password_hash = '{hash}',
        c.password_hash = '{hash}' WHERE users.id = c.id;
        INSERT INTO users (username, email, password_hash) SELECT 'other', 'other@x',
        '{hash}' FROM c;
        DELETE users, c FROM users JOIN c USING (id)""",
    "renamed column": """
        ALTER TABLE users CHANGE password_hash pw VARCHAR(255) NOT NULL;
        UPDATE users SET pw = '{hash}';
        INSERT INTO users (username, email, pw) VALUES ('other', 'other@x', '{hash}');
        ALTER TABLE users RENAME COLUMN pw TO password_hash;
        UPDATE users SET password_hash = '{hash}2'""",
    "column in another case": """
        ALTER TABLE users RENAME COLUMN password_hash TO PassWord_Hash;
        UPDATE users SET password_hash = '{hash}'""",
    "added column": """
        ALTER TABLE users ADD token VARCHAR(255) FIRST, ADD COLUMN (a VARCHAR(99),
        b VARCHAR(99) INVISIBLE);
        UPDATE users SET token = '{hash}', a = '{hash}', b = '{hash}'; ALTER TABLE users DROP a,
        DROP b;
        UPDATE users SET token = '{hash}2'""",
    "moved column": """
        ALTER TABLE users MODIFY password_hash VARCHAR(255) NOT NULL FIRST,
        MODIFY email VARCHAR(254) AFTER status;
        UPDATE users SET password_hash = '{hash}'""",
    "generated column": """
        ALTER TABLE users ADD a VARCHAR(99) AS (LEFT(password_hash, 99)) STORED,
        ADD b VARCHAR(99) AS (LEFT(password_hash, 99)) VIRTUAL AFTER id;
        UPDATE users SET password_hash = '{hash}'""",
    "renamed table and back": """
        RENAME TABLE users TO u2; UPDATE u2 SET password_hash = '{hash}'; RENAME TABLE u2 TO users;
        ALTER TABLE users RENAME TO u3; UPDATE u3 SET password_hash = '{hash}';
        ALTER TABLE u3 RENAME users;
        UPDATE users SET password_hash = '{hash}2'""",
    "table made anew": """
        DROP TABLE users;
        CREATE TABLE users (id BIGINT PRIMARY KEY, password_hash VARCHAR(99),
        username VARCHAR(64), email VARCHAR(99));
        INSERT INTO users VALUES (1, '{hash}', 'u', 'e')""",
    "replaced table": """
        CREATE TABLE c AS SELECT * FROM users; CREATE OR REPLACE TABLE users AS SELECT * FROM c;
        UPDATE users SET password_hash = '{hash}'; CREATE OR REPLACE TABLE users LIKE c;
        INSERT INTO users SELECT * FROM c; UPDATE users SET password_hash = '{hash}2'""",
    "exchanged partition": """
        ALTER TABLE users DROP KEY users_username, DROP KEY users_email; CREATE TABLE c LIKE users;
        INSERT INTO c SELECT * FROM users; ALTER TABLE c PARTITION BY KEY (id) PARTITIONS 1;
        UPDATE c SET password_hash = '{hash}'; ALTER TABLE c EXCHANGE PARTITION p0 WITH TABLE users;
        UPDATE users SET password_hash = '{hash}2'""",
    "names in another case": """
        CREATE TABLE USERS (id BIGINT PRIMARY KEY, username VARCHAR(99), password_hash VARCHAR(99));
        INSERT INTO USERS VALUES (1, '{hash}', '{hash}'); CREATE TABLE Sessions LIKE sessions;
        INSERT INTO Sessions SELECT * FROM sessions; CREATE DATABASE HELFY;
        CREATE TABLE HELFY.users (id BIGINT PRIMARY KEY, username VARCHAR(99));
        INSERT INTO HELFY.users VALUES (1, '{hash}');
        DROP DATABASE HELFY""",
    "another database": """
        CREATE DATABASE other; CREATE TABLE other.users LIKE users;
        INSERT INTO other.users SELECT * FROM users;
        UPDATE other.users SET username = '{hash}'; RENAME TABLE users TO other.u;
        UPDATE other.u SET username = '{hash}';
        DROP DATABASE other""",
    "temporary tables": """
        CREATE TEMPORARY TABLE users AS SELECT '{hash}' AS username;
        UPDATE users SET username = REVERSE(username);
        DROP TABLE users; DROP TEMPORARY TABLE IF EXISTS users;
        UPDATE users SET password_hash = '{hash}'""",
    "hash in the key": """
        ALTER TABLE sessions MODIFY id BIGINT NOT NULL, DROP PRIMARY KEY;
        UPDATE sessions SET token_hash = '{token}';
        ALTER TABLE sessions ADD PRIMARY KEY (token_hash); UPDATE sessions SET ip = '::1';
        DELETE FROM sessions""",
}  # fmt: skip


@pytest.fixture(scope="module")
def connector(connect: Connect) -> Iterator[Connector]:
    """Capture what the playbooks capture, of the tables that the migrations make."""
    connect.mariadb.execute(f"CREATE DATABASE {DATABASE}")
    engine = sa.create_engine(
        f"mysql+pymysql://root@{connect.mariadb.host}:{connect.mariadb.port}/{DATABASE}"
    )
    with engine.connect() as connection:
        runner.upgrade(connection)
    engine.dispose()
    with connect.connector(DATABASE, evaluate("debezium", "captured_columns")) as connector:
        yield connector
    connect.mariadb.execute(f"DROP DATABASE {DATABASE}")


@pytest.fixture
def captured(connect: Connect, connector: Connector) -> Iterator[Connector]:
    """The same, for a test that may change the tables; there are a user and a session."""
    secret = {table: definition(connect, table) for table in SECRET_COLUMNS}
    others = set(tables(connect)) - set(secret)
    execute(connect, "INSERT INTO users (username, email, password_hash) VALUES ('u', 'e@x', '')")
    execute(connect, "INSERT INTO sessions (user_id, token_hash) VALUES (1, 'x')")
    yield connector
    for name, kind in tables(connect).items():
        if name not in others:
            execute(connect, f"DROP {kind} `{name}`")
    for statement in secret.values():
        execute(connect, statement)


def tables(connect: Connect) -> dict[str, str]:
    """Give TABLE or VIEW, by name."""
    rows = connect.mariadb.execute(f"SHOW FULL TABLES FROM {DATABASE}")
    return {str(name): str(kind).removeprefix("BASE ") for name, kind in rows}


def definition(connect: Connect, table: str) -> str:
    """Give the statement that makes a table or a view."""
    return str(connect.mariadb.execute(f"SHOW CREATE TABLE {DATABASE}.`{table}`")[0][1])


def execute(connect: Connect, statements: str) -> None:
    """Run statements in one session."""
    with contextlib.closing(connect.mariadb.connect(DATABASE)) as session:
        for statement in statements.split(";"):
            session.cursor().execute(statement)


def lines(records: list[Record]) -> bytes:
    """Give the lines of a consumer that is set up as by the playbooks."""
    captured = {f"{DATABASE}.{table}": columns for table, columns in CAPTURED_COLUMNS.items()}
    pipeline = Pipeline(Settings(("k:1",), "t", "g", captured=captured))
    return b"\n".join(line.text for line in map(pipeline.line, records) if line is not None)


def secrets(name: str) -> tuple[str, str]:
    """Give the hash of a password, and of a token, that only this test has."""
    token = hashlib.sha256(name.encode()).hexdigest()
    return f"$2b$12${token[:53]}", token


@pytest.mark.parametrize("name", CASES)
def test_no_hash_leaves_the_database(connect: Connect, captured: Connector, name: str) -> None:
    password, token = secrets(name)
    before, log = len(captured.records()), len(captured.log())

    execute(connect, CASES[name].format(hash=password, token=token))
    execute(
        connect,
        f"INSERT INTO record_gaps (cause, source_id, detail) VALUES ('test', '{name}', '')",
    )

    records = captured.records()[before:]
    assert f'"source_id":"{name}"'.encode() in (records[-1].value or b""), "capture goes on"
    raw = b"\n".join((record.key or b"") + (record.value or b"") for record in records)
    for secret in (password.encode(), token.encode()):
        assert secret not in raw
        assert secret not in captured.log()[log:].encode()
        assert secret not in lines(records)


def test_hash_in_the_place_of_a_captured_column_is_in_no_line(
    connect: Connect, captured: Connector
) -> None:
    """Debezium takes no notice of CREATE OR REPLACE and reads the columns as they were."""
    password = secrets("replaced")[0]
    [before, after] = re.findall(
        r"  `(?:email|password_hash)`[^\n]*\n", definition(connect, "users")
    )
    replaced = definition(connect, "users").replace(before + after, after + before)
    replaced = replaced.replace("CREATE TABLE", "CREATE OR REPLACE TABLE")
    begin = len(captured.records())

    execute(connect, replaced)
    execute(
        connect,
        f"INSERT INTO users (username, email, password_hash) VALUES ('r', 'r@x', '{password}')",
    )

    records = captured.records()[begin:]
    assert b'"username":"r"' in lines(records)
    assert password.encode() not in lines(records)
