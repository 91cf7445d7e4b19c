"""The database: durable, and each account can do its errand and no more."""

from typing import Any, Final

import pytest
from machine import Machine

# Access denied: to a database, an account, a table, a column, without SUPER or the like.
DENIED: Final = {1044, 1045, 1142, 1143, 1227, 1370, 1410, 1419}
REFUSED_TO_ALL: Final = [
    "SELECT * FROM mysql.global_priv",
    "SELECT * FROM mysql.user",
    "UPDATE mysql.global_priv SET Host = '%' WHERE 1 = 0",
    "CREATE DATABASE helfy_test_denied",
    "CREATE USER helfy_test_denied@localhost",
    "GRANT SELECT ON *.* TO CURRENT_USER",
    "SET GLOBAL read_only = 0",
    "PURGE BINARY LOGS TO 'binlog.000001'",
    "SELECT 1 INTO OUTFILE '/tmp/helfy-test-denied'",
]
# Of what is not there: right to be refused is before it is known to be missing.
SCHEMA_CHANGES: Final = [
    "CREATE TABLE helfy_test_denied (id INT)",
    "DROP TABLE helfy_test_denied",
    "ALTER TABLE users COMMENT = 'denied'",
    "CREATE INDEX denied ON users (status)",
    "TRUNCATE TABLE helfy_test_denied",
    "CREATE TRIGGER denied BEFORE INSERT ON users FOR EACH ROW SET @x = 1",
    "CREATE VIEW helfy_test_denied AS SELECT 1",
]
BINLOG: Final = ["SHOW BINARY LOGS", "SHOW BINLOG EVENTS"]
WRITES: Final = [
    "INSERT INTO sessions (user_id, token_hash) VALUES (0, 'helfy-test')",
    "UPDATE sessions SET user_id = 0 WHERE token_hash = 'helfy-test'",
    "DELETE FROM sessions WHERE token_hash = 'helfy-test'",
]
REPORTS: Final = [
    "SELECT COUNT(*) FROM capture_state",
    "INSERT INTO capture_state (source, state) VALUES ('helfy-test', 'running')",
    "UPDATE capture_state SET state = 'failed' WHERE source = 'helfy-test'",
]
READS: Final = ["SELECT COUNT(*) FROM users", "SELECT COUNT(*) FROM sessions"]

TRY: Final = r"""
import json, sys, pymysql
given = json.load(sys.stdin)
try:
    how = "read_default_file" if given["login"].startswith("/") else "user"
    login = {how: given["login"]}
    link = pymysql.connect(host=given["host"], port=given["port"], **login,
                           database=given["database"], autocommit=False)
except pymysql.MySQLError as error:
    print(json.dumps({"login": error.args[0]}))
    sys.exit()
codes = {"login": 0}
for statement in given["statements"]:
    with link.cursor() as cursor:
        try:
            cursor.execute(statement)
            cursor.fetchall()
            codes[statement] = 0
        except pymysql.MySQLError as error:
            codes[statement] = error.args[0]
    link.rollback()  # at once: some statements commit what was before them
link.close()
print(json.dumps(codes))
"""


def attempts(machine: Machine, login: str, statements: list[str]) -> Any:
    """Run statements over TCP, each rolled back, and give each one's error number, 0 for none.

    login: an option file with account and password, or an account without one.
    """
    given = {
        "host": machine.vars["database_host"],
        "port": machine.vars["database_port"],
        "database": machine.vars["database_name"],
        "login": login,
        "statements": statements,
    }
    return machine.python(TRY, given)


def check(codes: dict[str, int], allowed: list[str], denied: list[str]) -> None:
    assert codes["login"] == 0
    assert {it: codes[it] for it in allowed if codes[it] != 0} == {}
    assert {it: codes[it] for it in denied if codes[it] not in DENIED} == {}


@pytest.mark.parametrize("user", ["helfy_api", "helfy_api_2", "helfy_migrate", "root", ""])
def test_nobody_gets_in_without_a_password(api_machine: Machine, user: str) -> None:
    assert attempts(api_machine, user, [])["login"] in DENIED | {1698}


def test_the_api_reads_and_writes_rows_and_no_more(api_machine: Machine) -> None:
    denied = [*REFUSED_TO_ALL, *SCHEMA_CHANGES, *BINLOG]
    login = "/etc/helfy/credentials/database_api"
    codes = attempts(api_machine, login, [*READS, *WRITES, *denied])
    check(codes, [*READS, *WRITES], denied)


def test_migrations_change_tables_and_no_more(api_machine: Machine) -> None:
    # What changes tables cannot be rolled back, so it is not tried here: the deployment did.
    denied = [*REFUSED_TO_ALL, *BINLOG, SCHEMA_CHANGES[-1], SCHEMA_CHANGES[-2]]
    login = "/etc/helfy/credentials/database_migrate"
    codes = attempts(api_machine, login, [*READS, *WRITES, *denied])
    check(codes, [*READS, *WRITES], denied)


def test_change_capture_writes_its_state_alone(capture_machine: Machine) -> None:
    announced = "INSERT INTO record_gaps (cause, source_id, detail) VALUES ('a', 'b', 'c')"
    denied = [*REFUSED_TO_ALL, *SCHEMA_CHANGES, *WRITES, announced, "DELETE FROM capture_state"]
    allowed = [*READS, *REPORTS, "SHOW BINARY LOGS", "SHOW MASTER STATUS"]
    login = "/etc/kafka-connect/database_login"
    codes = attempts(capture_machine, login, [*allowed, *denied])
    check(codes, allowed, denied)


def test_every_row_that_changes_is_on_disk_first(database_machine: Machine) -> None:
    wanted = {
        "binlog_format": "ROW",
        "binlog_row_image": "FULL",
        "innodb_flush_log_at_trx_commit": "1",
        "log_bin": "ON",
        "sync_binlog": "1",
        "time_zone": "+00:00",
    }
    listed = ", ".join(f"'{name}'" for name in wanted)
    rows = database_machine.sql(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({listed})")
    assert dict(rows) == wanted


def test_the_databases_root_has_no_password_to_steal(database_machine: Machine) -> None:
    """Root comes in by the socket, as root of the machine; another user of it does not."""
    done = database_machine.attempt("mariadb -u root -e 'SELECT 1'", root=False)
    assert done.returncode != 0
    assert database_machine.sql("SELECT CURRENT_USER()") == [["root@localhost"]]
