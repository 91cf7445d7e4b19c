"""The binlog guard on a MariaDB set up as the role does: what it detects and leaves alone."""

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pymysql
import pytest
from connect_server import evaluate, render
from kafka_server import ROLES
from mariadb_server import MariaDB
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable

from helfy.gaps import CAUSES
from helfy.schema import metadata

sys.path.insert(0, str(ROLES / "mariadb/files"))

import binlog_guard as bg

pytestmark = pytest.mark.slow

SECRET: Final = "value-of-a-statement"
CAPTURED: Final = ("users", "sessions", "record_gaps")
UNLOGGED: Final = "SET SESSION sql_log_bin = 0"
STATEMENT: Final = "SET SESSION binlog_format = STATEMENT"
MIXED: Final = "SET SESSION binlog_format = MIXED"
MINIMAL: Final = "SET SESSION binlog_row_image = MINIMAL"
INSERT: Final = "INSERT INTO users (username, email, password_hash) VALUES"
ADD: Final = f"{INSERT} ('ada', 'ada@example.com', '{SECRET}')"
CHANGE: Final = f"UPDATE users SET password_hash = '{SECRET} 2', role = 'admin'"
OTHER: Final = "--"
PARTITION: Final = (
    "ALTER TABLE sessions DROP INDEX sessions_token_hash PARTITION BY HASH (id) PARTITIONS 2"
)


class Lab:
    """A server, and the guard that watches it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.server = MariaDB(home)
        self.server.install()
        self.server.defaults_file = home / "helfy.cnf"
        said = render("mariadb", "helfy.cnf", mariadb_port=self.server.port)
        self.server.defaults_file.write_text(said.replace("/var/lib/mysql", f"{home}/data"))
        self.server.start()
        settings = home / "settings.toml"
        variables = {"__mariadb_socket": self.server.socket, "mariadb_captured_tables": CAPTURED}
        settings.write_text(render("mariadb", "binlog_guard.toml", **variables))
        self.settings = bg.load(str(settings))
        accounts = evaluate(
            "mariadb", "__mariadb_local_accounts", __mariadb_tables={"stdout_lines": CAPTURED}
        )
        self._accounts = {each["name"]: each["priv"].split("/") for each in accounts}
        self.guard: bg.Guard

    def begin(self, state: Path) -> None:
        """Begin anew: empty tables, an empty binlog, and a guard that has gone round once."""
        self.sql("DROP DATABASE IF EXISTS helfy", "CREATE DATABASE helfy", database=None)
        for name in CAPTURED:
            self.sql(str(CreateTable(metadata.tables[name]).compile(dialect=mysql.dialect())))
        bg.install(self.settings, dry_run=False)
        self.sql("DELETE FROM helfy_guard.unlogged_changes")
        for name, privileges in self._accounts.items():
            self.sql(f"CREATE OR REPLACE USER {name}@localhost")
            for scope, _, granted in (each.partition(":") for each in privileges):
                self.sql(f"GRANT {granted} ON {scope} TO {name}@localhost")
        self.sql("INSERT INTO sessions (user_id, token_hash) VALUES (1, 'one'), (2, 'two')", ADD)
        self.sql("RESET MASTER", "UPDATE sessions SET ip = '::1'")
        self.guard = bg.Guard(self.settings, state)
        self.guard.round()

    def sql(self, *statements: str, database: str | None = "helfy") -> list[tuple[Any, ...]]:
        """Run statements as root; give the last one's rows. After OTHER it is another session."""
        if OTHER in statements:
            at = statements.index(OTHER)
            self.sql(*statements[:at])
            statements = statements[at + 1 :]
        with contextlib.closing(self.server.connect(database)) as link, link.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def gaps(self) -> list[tuple[Any, ...]]:
        """Go round twice; give cause, start, end and detail of what it announced."""
        self.guard.round()
        self.guard.round()
        return self.sql("SELECT cause, starts_at, ends_at, detail FROM record_gaps ORDER BY id")

    def causes(self) -> list[str]:
        """The same, but the causes alone."""
        return [gap[0] for gap in self.gaps()]

    def check(self) -> str:
        """Give what the guard says of itself: what is wrong, or nothing."""
        self.guard.round()
        try:
            bg.check(self.settings, self.guard.file)
        except RuntimeError as error:
            return str(error)
        return ""


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    # In memory, where that is: the server syncs each commit, as on a VM.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as home:
        lab = Lab(Path(home))
        yield lab
        lab.server.stop()


@pytest.fixture
def lab(running: Lab, tmp_path: Path) -> Iterator[Lab]:
    running.begin(tmp_path / "state.json")
    yield running
    running.guard.close()


VALUES: Final = f"(1, 'a', 'a@x.org', '{SECRET}')"
REPLACE: Final = f"REPLACE INTO users (id, username, email, password_hash) VALUES {VALUES}"
BOTH: Final = (
    "UPDATE users u JOIN sessions s ON s.user_id = u.id SET u.role = 'admin', s.ip = '::1'"
)
COMPRESS: Final = "SET GLOBAL log_bin_compress = 1, log_bin_compress_min_len = 10"
PLAIN: Final = "SET GLOBAL log_bin_compress = 0"
FUNCTION: Final = (
    "CREATE OR REPLACE FUNCTION f(x TEXT) RETURNS INT DETERMINISTIC BEGIN"
    " UPDATE users SET password_hash = x; RETURN 1; END"
)
XA: Final = ("XA START 'a','b',3", CHANGE, "XA END 'a','b',3", "XA PREPARE 'a','b',3")
GAP: Final = "INSERT INTO record_gaps (cause, source_id, detail) VALUES ('x', 'x', '')"

# By cause: what an operator cannot do, and root can.
BYPASSES_BY_CAUSE: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "statement_format": {
        "update": (STATEMENT, CHANGE),
        "insert": (STATEMENT, f"{INSERT} ('b', 'b@x.org', '{SECRET}')"),
        "replace": (STATEMENT, REPLACE),
        "delete": (STATEMENT, "DELETE FROM users"),
        "two tables": (STATEMENT, BOTH),
        "CTE": (
            STATEMENT,
            f"{INSERT[:-7]} WITH c AS (SELECT '{SECRET}' AS s) SELECT 'c', 'c@x.org', s FROM c",
        ),
        "procedure": (
            "CREATE OR REPLACE PROCEDURE p(x TEXT) UPDATE users SET password_hash = x",
            STATEMENT,
            f"CALL p('{SECRET}')",
        ),
        "function": (FUNCTION, STATEMENT, f"DO f('{SECRET}')"),
        "trigger": (
            "CREATE TABLE plain (id INT PRIMARY KEY)",
            "CREATE TRIGGER t AFTER INSERT ON plain FOR EACH ROW UPDATE users SET role = 'admin'",
            STATEMENT,
            "INSERT INTO plain VALUES (1)",
        ),
        "comments": (STATEMENT, "/* COMMIT */ UPDATE /*!100000 users */ SET role = 'admin'"),
        "view": (
            "CREATE OR REPLACE VIEW v AS SELECT * FROM users",
            STATEMENT,
            "UPDATE v SET role = 'admin'",
        ),
        "for one statement": (f"SET STATEMENT binlog_format = STATEMENT FOR {CHANGE}",),
        "compressed": (COMPRESS, STATEMENT, CHANGE, PLAIN),
    },
    "minimal_row_image": {
        "update": (MINIMAL, CHANGE),
        "insert": (MINIMAL, f"{INSERT} ('b', 'b@x.org', '{SECRET}')"),
        "delete": (MINIMAL, "DELETE FROM users"),
    },
    "compressed_rows": {"update": (COMPRESS, CHANGE, PLAIN)},
    "binlog_disabled": {
        "update": (UNLOGGED, CHANGE),
        "delete": (UNLOGGED, "DELETE FROM users"),
        "replace": (UNLOGGED, REPLACE),
        "two tables": (UNLOGGED, BOTH),
        "gap taken away": (UNLOGGED, GAP, "DELETE FROM record_gaps"),
        "XA": (UNLOGGED, *XA, "XA COMMIT 'a','b',3"),
        "truncate": (UNLOGGED, "TRUNCATE sessions"),
        # In place: only the time in seconds tells it from the table that was created just now.
        "default": ("DO SLEEP(1)", UNLOGGED, "ALTER TABLE users ALTER role SET DEFAULT 'admin'"),
        "swap": (
            UNLOGGED,
            "CREATE TABLE n LIKE sessions",
            "RENAME TABLE sessions TO o, n TO sessions",
        ),
        "partition": (UNLOGGED, PARTITION),
    },
    "xa_rollback": {
        "logged": (*XA, "XA ROLLBACK 'a','b',3"),
        "unlogged": (*XA, OTHER, UNLOGGED, "XA ROLLBACK 'a','b',3"),
    },
    "rows_moved": {
        "rename": ("CREATE TABLE n LIKE sessions", "RENAME TABLE sessions TO o, n TO sessions"),
        "alter": (
            "CREATE TABLE n LIKE sessions",
            "DROP TABLE sessions",
            "ALTER TABLE n RENAME AS `sessions`",
        ),
        "create": (
            STATEMENT,
            f"CREATE OR REPLACE TABLE sessions AS SELECT 1 AS id, '{SECRET}' AS user_agent",
        ),
        "partition": (PARTITION, "ALTER TABLE sessions TRUNCATE PARTITION p0"),
    },
    "binlog_reset": {"reset": (CHANGE, "RESET MASTER")},
}
BYPASSES: Final = {
    f"{cause}: {name}": (cause, statements)
    for cause, found in BYPASSES_BY_CAUSE.items()
    for name, statements in found.items()
}


@pytest.mark.parametrize("name", BYPASSES)
def test_bypass_is_announced_without_values(
    lab: Lab, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cause, statements = BYPASSES[name]
    capsys.readouterr()
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=2)
    lab.sql(*statements)
    [gap] = [gap for gap in lab.gaps() if gap[0] == cause]
    assert before <= gap[1] <= gap[2] <= before + timedelta(seconds=60)
    said = capsys.readouterr().out
    [line] = [each for each in map(json.loads, said.splitlines()) if each.get("cause") == cause]
    assert (line["level"], line["action"], line["detail"]) == ("error", "gap_announced", gap[3])
    assert SECRET not in said + str(gap) + lab.guard.file.read_text()
    assert cause in CAUSES


QUIET: Final[dict[str, tuple[str, ...]]] = {
    "rows": (
        ADD.replace("ada", "bob"),
        "UPDATE users SET status = 'disabled'",
        "DELETE FROM users",
    ),
    "rollback": ("BEGIN", CHANGE, "ROLLBACK"),
    "unlogged rollback": (UNLOGGED, "BEGIN", CHANGE, "ROLLBACK"),
    "savepoint": ("BEGIN", CHANGE, "SAVEPOINT s", "DELETE FROM users", "ROLLBACK TO s", "COMMIT"),
    "replace and upsert": (
        REPLACE,
        f"{INSERT} ('a', 'b@x', 'y') ON DUPLICATE KEY UPDATE role = 'admin'",
    ),
    "ddl": (
        "ALTER TABLE users ADD COLUMN more INT, ALGORITHM = INSTANT",
        "ALTER TABLE users RENAME COLUMN more TO rename_of_users",
        "ALTER TABLE users DROP COLUMN rename_of_users, ALGORITHM = COPY",
        "CREATE INDEX more ON users (role, id)",
        "ALTER TABLE users RENAME INDEX more TO other",
        "ALTER TABLE users COMMENT 'RENAME TO, EXCHANGE PARTITION'",
    ),
    "truncate": ("TRUNCATE sessions",),
    "maintenance": (
        "ANALYZE TABLE users PERSISTENT FOR ALL",
        "OPTIMIZE TABLE users",
        "FLUSH TABLES",
        "CHECK TABLE users",
    ),
    "copies": (
        "CREATE TABLE c AS SELECT * FROM users",
        "RENAME TABLE c TO d",
        "CREATE TABLE e LIKE users",
        "DROP TABLE d, e",
    ),
    "other tables": (
        "CREATE TABLE m (id INT) ENGINE = MEMORY",
        "INSERT INTO m VALUES (1)",
        "CREATE TABLE i (id INT) ENGINE = MyISAM",
        *("BEGIN", CHANGE, "INSERT INTO i VALUES (1)", "ROLLBACK"),
        *("CREATE SEQUENCE q", "SELECT NEXT VALUE FOR q"),
    ),
    "temporary": (
        "CREATE TEMPORARY TABLE t AS SELECT * FROM users",
        "UPDATE t SET role = 'x'",
        "DROP TABLE t",
    ),
    "accounts": (
        UNLOGGED,
        "CREATE OR REPLACE USER n@localhost IDENTIFIED BY 'x'",
        "GRANT SELECT ON helfy.* TO n@localhost",
        "DROP USER n@localhost",
    ),
    "XA committed": (*XA, "XA COMMIT 'a','b',3"),
    "XA in one phase": (*XA[:3], "XA COMMIT 'a','b',3 ONE PHASE"),
    # A trigger that asks who it is makes every format but STATEMENT log rows.
    "mixed": (MIXED, CHANGE),
    "logs": ("FLUSH BINARY LOGS", CHANGE, "FLUSH BINARY LOGS"),
}


@pytest.mark.parametrize("name", QUIET)
def test_normal_work_announces_nothing(lab: Lab, name: str) -> None:
    lab.sql(*QUIET[name])
    assert lab.gaps() == []
    assert lab.check() == ""


def test_work_since_the_guard_stopped_is_read_later(lab: Lab) -> None:
    lab.guard.close()
    lab.sql(STATEMENT, CHANGE)
    lab.sql("FLUSH BINARY LOGS")
    lab.guard = bg.Guard(lab.settings, lab.guard.file)
    assert lab.causes() == ["statement_format"]


def test_restart_of_the_server_announces_nothing(lab: Lab) -> None:
    lab.sql("CREATE TABLE m (id INT) ENGINE = MEMORY", "INSERT INTO m VALUES (1)")
    lab.guard.round()
    lab.server.stop()
    with pytest.raises(pymysql.err.OperationalError):
        lab.guard.round()
    lab.guard.close()
    lab.server.start()
    lab.sql("SELECT * FROM m", CHANGE)
    assert lab.gaps() == []


def test_purge_of_what_was_read_announces_nothing(lab: Lab) -> None:
    lab.sql(CHANGE, "FLUSH BINARY LOGS")
    lab.guard.round()
    [(name, *_)] = lab.sql("SHOW MASTER STATUS")
    lab.guard.close()
    lab.sql(f"PURGE BINARY LOGS TO '{name}'", CHANGE)
    assert lab.gaps() == []


def test_purge_of_what_was_not_read_is_announced(lab: Lab) -> None:
    lab.guard.close()
    lab.sql(CHANGE, "FLUSH BINARY LOGS", "FLUSH BINARY LOGS")
    [(name, *_)] = lab.sql("SHOW MASTER STATUS")
    # The server keeps what a thread still sends, and what it may need after a crash.
    deadline = time.monotonic() + 30
    while len(lab.sql("SHOW BINARY LOGS")) > 1 and time.monotonic() < deadline:
        lab.sql(CHANGE, f"PURGE BINARY LOGS TO '{name}'")
    assert lab.causes() == ["binlog_reset"]


def test_reset_that_has_grown_past_the_position_is_announced(lab: Lab) -> None:
    lab.sql(CHANGE)
    lab.guard.round()
    lab.sql("RESET MASTER", *[CHANGE] * 50)
    assert lab.causes() == ["binlog_reset"]
    lab.sql("DELETE FROM record_gaps")
    lab.sql(STATEMENT, CHANGE)
    assert lab.causes() == ["statement_format"], "it goes on from there"


def test_many_transactions_are_one_gap(lab: Lab) -> None:
    lab.sql(STATEMENT, *[CHANGE] * 40)
    [(_, _, _, detail)] = lab.gaps()
    assert "and 35 more" in detail


FOREIGN_KEY: Final = (
    "ALTER TABLE sessions ADD CONSTRAINT helfy_fk"
    " FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE"
)
# What begins it, what ends it (None: installing again), and the cause of its gap, if it is one.
WRONG: Final[dict[str, tuple[str, str | None, str]]] = {
    "binlog_format": ("SET GLOBAL binlog_format = MIXED", "SET GLOBAL binlog_format = ROW", ""),
    "sync_binlog": ("SET GLOBAL sync_binlog = 0", "SET GLOBAL sync_binlog = 1", ""),
    "helfy_fk": (
        FOREIGN_KEY,
        "ALTER TABLE sessions DROP FOREIGN KEY helfy_fk",
        "foreign_key_cascade",
    ),
    "MEMORY": (
        "ALTER TABLE sessions ENGINE = MEMORY",
        "ALTER TABLE sessions ENGINE = InnoDB",
        "table_replaced",
    ),
    "triggers of users": ("DROP TRIGGER helfy_unlogged_users_update", None, "guard_removed"),
    "neither committed": ("XA PREPARE 'a'", "XA COMMIT 'a'", "xa_open"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_stays_wrong_is_reported_until_it_ends(
    lab: Lab, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bg, "XA_OPEN_SECONDS", 0)
    begin, end, cause = WRONG[name]
    lab.sql("DELETE FROM sessions")
    with contextlib.closing(lab.server.connect("helfy")) as link, link.cursor() as cursor:
        if name == "neither committed":
            for statement in ("XA START 'a'", CHANGE, "XA END 'a'"):
                cursor.execute(statement)
        cursor.execute(begin)
        assert name in lab.check()
        assert [gap[0] for gap in lab.gaps() if gap[2] is None] == [cause] * bool(cause)
        if end is None:
            bg.install(lab.settings, dry_run=False)
        else:
            cursor.execute(end)
    assert lab.check() == ""
    assert all(gap[2] is not None for gap in lab.gaps())


def test_gap_waits_for_its_table(lab: Lab) -> None:
    lab.sql("RENAME TABLE record_gaps TO later")
    lab.sql(STATEMENT, CHANGE)
    assert "cannot be written" in lab.check()
    lab.sql("RENAME TABLE later TO record_gaps")
    assert "statement_format" in lab.causes()
    assert lab.check() == ""


def test_a_trigger_in_place_of_the_guards_is_announced(lab: Lab) -> None:
    lab.sql(
        UNLOGGED,
        "CREATE OR REPLACE TRIGGER helfy_unlogged_users_update"
        " AFTER UPDATE ON users FOR EACH ROW DO 1",
        CHANGE,
    )
    assert lab.causes() == ["guard_removed"]


def test_logins_go_on_without_the_table_of_notes(lab: Lab) -> None:
    lab.sql("DROP DATABASE helfy_guard")
    lab.sql(CHANGE)
    with pytest.raises(pymysql.err.ProgrammingError, match="unlogged_changes"):
        lab.sql(UNLOGGED, "DELETE FROM users")


def test_install_changes_nothing_twice(lab: Lab) -> None:
    assert bg.install(lab.settings, dry_run=False) == []
    lab.sql("DROP TRIGGER helfy_unlogged_users_update")
    assert bg.install(lab.settings, dry_run=True) == ["trigger helfy_unlogged_users_update"]
    assert bg.install(lab.settings, dry_run=False) == ["trigger helfy_unlogged_users_update"]
    assert bg.install(lab.settings, dry_run=False) == []


def test_check_says_that_no_round_was_made(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="has not checked yet"):
        bg.check(lab.settings, tmp_path / "none.json")


DENIED: Final = (
    *(STATEMENT, MIXED, UNLOGGED, MINIMAL, "SET STATEMENT binlog_format = STATEMENT FOR DO 1"),
    *("SET timestamp = 1", "SET gtid_seq_no = 1", "SET gtid_domain_id = 2", "SET server_id = 9"),
    *("SET GLOBAL sync_binlog = 0", "RESET MASTER", "PURGE BINARY LOGS BEFORE NOW()", "BINLOG ''"),
    *("CREATE TABLE t (id INT)", "CREATE TABLE c AS SELECT * FROM users", "DROP TABLE users"),
    *("ALTER TABLE users ENGINE = MEMORY", "TRUNCATE sessions", "RENAME TABLE users TO u"),
    *("DROP TRIGGER helfy_unlogged_users_update", "DELETE FROM helfy_guard.unlogged_changes"),
    *(GAP, "DELETE FROM record_gaps", "UPDATE record_gaps SET acknowledged_at = NOW()"),
    *("SELECT 1 INTO OUTFILE '/tmp/x'", "GRANT SELECT ON helfy.* TO x@localhost"),
)


def test_operator_is_denied_what_defeats_the_record(lab: Lab) -> None:
    link = pymysql.connect(
        unix_socket=lab.server.socket, user="helfy_operator", database="helfy", autocommit=True
    )
    with link, link.cursor() as cursor:
        for statement in DENIED:
            with pytest.raises(pymysql.err.MySQLError) as denied:
                cursor.execute(statement)
            # 1419: triggers want SUPER where there is a binlog.
            assert denied.value.args[0] in {1044, 1142, 1227, 1419}, statement
        cursor.execute(ADD.replace("ada", "bob"))
        cursor.execute("SELECT cause FROM record_gaps")
    assert lab.gaps() == []
