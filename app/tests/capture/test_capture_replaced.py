"""DDL that alters or replaces a captured table must not leak a hash to the topic.

Debezium maps the values of a row by position to the columns that it knows of the table. With a
stale definition ``password_hash`` stands under a captured column's name. So the connector must
know the columns, or fail: at an unknown table, or at a mismatch of the number of columns.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from connect_server import MARKER, Connect, Connector, ConnectorFailedError
from connect_watched import Watched

from helfy.consumer.change import Change
from helfy.consumer.decode import decode

pytestmark = pytest.mark.slow

DATABASE: Final = "replaced"
RUNNING: Final = frozenset({"RUNNING"})
COLUMNS: Final = ("id", "username", "email", "role")
DEFINITION: Final = """(id INT PRIMARY KEY, username VARCHAR(64), email VARCHAR(254),
    password_hash VARCHAR(255), role VARCHAR(16), hidden VARCHAR(16))"""
# The same number of columns, with the hash at the position of a captured one.
MOVED: Final = """(id INT PRIMARY KEY, username VARCHAR(64), password_hash VARCHAR(255),
    email VARCHAR(254), role VARCHAR(16), hidden VARCHAR(16))"""
MOVE: Final = "MODIFY password_hash VARCHAR(255) AFTER id"
WIDEN: Final = "ADD note INT AFTER email"
AGAIN: Final = "ADD COLUMN IF NOT EXISTS email VARCHAR(254) AFTER role"
HASH: Final = "$2b$12$hashhashhashhashhashhashhashhashhashhashhashhashhashha"
WRITES: Final = f"""
    REPLACE INTO users (id, username, email, password_hash, role)
    VALUES (7, 'new', 'new@x', '{HASH}', 'user');
    UPDATE users SET password_hash = REVERSE(password_hash) WHERE id = 7"""

# Debezium knows the columns: capture continues.
KNOWN: Final = {
    "column moved": f"ALTER TABLE users {MOVE}",
    "column moved, in another case": f"ALTER TABLE users {MOVE.replace('hash', 'HASH')}",
    "column moved to the start": f"ALTER TABLE users {MOVE.replace('AFTER id', 'FIRST')}",
    "column moved to the end": f"ALTER TABLE users {MOVE.replace('id', 'hidden')}",
    "set statement": f"SET STATEMENT max_statement_time = 9 FOR ALTER TABLE users {MOVE}",
    "no white space": f"ALTER TABLE`users`{MOVE}",
    "comment in the name": f"ALTER TABLE {DATABASE}./* a */users {MOVE}",
    "wait": f"ALTER TABLE users WAIT 5 {MOVE}",
    "added again": f"ALTER TABLE users {AGAIN}",
    "added again, first": "ALTER TABLE users ADD IF NOT EXISTS role VARCHAR(16) FIRST",
    "added, and another after": """
        ALTER TABLE users ADD IF NOT EXISTS m DECIMAL(9, 2), ADD n INT AFTER username""",
    "created again": "CREATE TABLE n LIKE users; CREATE TABLE IF NOT EXISTS users LIKE n",
    "renamed and back": "RENAME TABLE users TO o; RENAME TABLE o TO users",
    "altered, renamed and back": f"""
        ALTER TABLE users {MOVE}, RENAME TO o; ALTER TABLE o RENAME users""",
    "renamed, created": f"RENAME TABLE users TO o; CREATE TABLE users {MOVED}",
    "swapped": f"""
        CREATE TABLE n LIKE users; INSERT INTO n SELECT * FROM users;
        RENAME TABLE users TO o, n TO users; ALTER TABLE users {MOVE}""",
    "swapped and back": f"""
        CREATE TABLE n LIKE users; ALTER TABLE n {WIDEN}; RENAME TABLE users TO o, n TO users;
        RENAME TABLE users TO n, o TO users""",
    "dropped, created": f"DROP TABLE users; CREATE TABLE users {MOVED}",
    "partition exchanged": """
        CREATE TABLE n LIKE users; INSERT INTO n SELECT * FROM users;
        ALTER TABLE n PARTITION BY KEY (id) PARTITIONS 1;
        ALTER TABLE n EXCHANGE PARTITION p0 WITH TABLE users""",
    "database dropped, created": f"""
        DROP DATABASE {DATABASE}; CREATE DATABASE {DATABASE}; USE {DATABASE};
        CREATE TABLE {MARKER} (id BIGINT PRIMARY KEY); CREATE TABLE users {MOVED}""",
}  # fmt: skip
# Debezium does not, and detects it: the connector fails.
UNKNOWN: Final = {
    "swapped, wider": f"""
        CREATE TABLE n LIKE users; ALTER TABLE n {WIDEN}; RENAME TABLE users TO o, n TO users""",
    "renamed, wider, and back": f"""
        RENAME TABLE users TO o; ALTER TABLE o {WIDEN}; RENAME TABLE o TO users""",
    "added, if not there": "ALTER TABLE users ADD IF NOT EXISTS note INT AFTER email",
    "replaced, wider": f"CREATE OR REPLACE TABLE users {MOVED.replace('role', 'note INT, role')}",
    "dropped, created like": f"CREATE TABLE n {MOVED}; DROP TABLE users; CREATE TABLE users LIKE n",
    "dropped, renamed": f"CREATE TABLE n {MOVED}; DROP TABLE users; RENAME TABLE n TO users",
    "dropped, renamed by alter": f"""
        CREATE TABLE n LIKE users; DROP TABLE users; ALTER TABLE n {MOVE}, RENAME AS users""",
    "partition converted": f"""
        CREATE TABLE n {MOVED} PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (9),
        PARTITION p1 VALUES LESS THAN MAXVALUE);
        RENAME TABLE users TO o; ALTER TABLE n CONVERT PARTITION p0 TO TABLE users""",
}  # fmt: skip
# Debezium keeps the previous columns. No DDL filter can prevent it: only DROP TABLE removes what
# it knows of a name, and its parser ignores executable comments and CREATE OR REPLACE of a known
# table. The watchdog compares the columns; rows written before it does would leak.
STALE: Final = {
    "renamed, moved, and back": f"""
        RENAME TABLE users TO o; ALTER TABLE o {MOVE}; RENAME TABLE o TO users""",
    "swapped, moved": f"""
        CREATE TABLE n LIKE users; ALTER TABLE n {MOVE}; RENAME TABLE users TO o, n TO users""",
    "renamed one by one": f"""
        CREATE TABLE n LIKE users; ALTER TABLE n {WIDEN};
        RENAME TABLE users TO o; RENAME TABLE n TO users""",
    "renamed by alter": f"""
        CREATE TABLE n LIKE users; ALTER TABLE n {WIDEN};
        ALTER TABLE users RENAME TO o; ALTER TABLE n RENAME TO users""",
    "renamed, created like": f"""
        RENAME TABLE users TO o; CREATE TABLE n {MOVED}; CREATE TABLE users LIKE n""",
    "replaced": f"CREATE OR REPLACE TABLE users {MOVED}",
    "added again, another dropped": f"ALTER TABLE users {AGAIN}, DROP hidden",
    "replaced like": f"CREATE TABLE n {MOVED}; CREATE OR REPLACE TABLE users LIKE n",
    "executable comment": f"/*! ALTER TABLE users {MOVE} */",
    "executable comment of MariaDB": f"/*M!100100 ALTER TABLE users {MOVE} */",
    "executable comment within": f"ALTER TABLE users /*!50000 {MOVE} */",
    "database dropped, created like": f"""
        DROP DATABASE {DATABASE}; CREATE DATABASE {DATABASE}; USE {DATABASE};
        CREATE TABLE {MARKER} (id BIGINT PRIMARY KEY);
        CREATE TABLE n {MOVED}; CREATE TABLE users LIKE n""",
}  # fmt: skip


class Capture:
    """One connector for all tests, recreated after a test that made it fail."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._stack = contextlib.ExitStack()
        self._connector: Connector | None = None

    def connector(self) -> Connector:
        """Recreate the table, and give a connector that runs."""
        for name in ("users", "n", "o"):
            self.execute(f"DROP TABLE IF EXISTS {name}")
        self.execute(f"CREATE TABLE users {DEFINITION}")
        self.execute("INSERT INTO users VALUES (1, 'u', 'e@x', '', 'user', '')")
        if self._connector is None or not RUNNING.issuperset(self._connector.states()):
            self._stack.close()
            made = self._connect.connector(DATABASE, {"users": COLUMNS})
            self._connector = self._stack.enter_context(made)
        self._connector.settle()
        return self._connector

    def execute(self, statements: str) -> None:
        """Run statements in one session."""
        with contextlib.closing(self._connect.mariadb.connect(DATABASE)) as session:
            for statement in statements.split(";"):
                session.cursor().execute(statement)

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def capture(connect: Connect) -> Iterator[Capture]:
    connect.mariadb.execute(f"CREATE DATABASE {DATABASE}")
    made = Capture(connect)
    yield made
    made.close()
    connect.mariadb.execute(f"DROP DATABASE {DATABASE}")


def changes(capture: Capture, statements: str) -> list[Change]:
    """Run statements and WRITES; give the changes. Fails if a hash is on the topic or logged."""
    connector = capture.connector()
    before, log = len(connector.records()), len(connector.log())
    capture.execute(statements)
    capture.execute(WRITES)
    try:
        connector.settle()
    finally:
        records = connector.records(settle=False)[before:]
        seen = b"".join((each.key or b"") + (each.value or b"") for each in records)
        for secret in (HASH, HASH[::-1]):
            assert secret.encode() not in seen
            assert secret not in connector.log()[log:]
    return [change for change in map(decode, records) if change is not None]


@pytest.mark.parametrize("name", KNOWN)
def test_table_with_known_columns_is_captured(capture: Capture, name: str) -> None:
    rows = [each.data for each in changes(capture, KNOWN[name]) if each.type == "UPDATE"]
    assert [(row["username"], row["email"], row["role"]) for row in rows] == [
        ("new", "new@x", "user")
    ]


@pytest.mark.parametrize("name", UNKNOWN)
def test_table_with_unknown_columns_stops_capture(capture: Capture, name: str) -> None:
    with pytest.raises(ConnectorFailedError):
        changes(capture, UNKNOWN[name])


@pytest.mark.parametrize("name", STALE)
def test_table_with_stale_columns_stops_the_connector(
    capture: Capture, connect: Connect, name: str, tmp_path: Path
) -> None:
    connector = capture.connector()
    watched = Watched(connect, connector, tmp_path, ["users"])
    before = len(connector.records())
    capture.execute(STALE[name])
    how = watched.failed()
    assert how.cause == "schema_mismatch"
    assert str(how.message).startswith("users has other columns")
    connector.wait_for("STOPPED")
    capture.execute(WRITES)
    assert watched.watchdog.look() == how
    seen = b"".join(each.value or b"" for each in connector.records(settle=False)[before:])
    assert HASH.encode() not in seen
    assert HASH[::-1].encode() not in seen
