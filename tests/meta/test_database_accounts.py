"""Accounts of MariaDB and TiDB, against a real server that keeps them as TiDB does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import module_paths
import pymysql
import pytest
import role_docs

sys.path.insert(0, str(role_docs.ROOT / "app/tests"))

from mariadb_server import MariaDB

accounts = module_paths.module("database_accounts")

ACCESS_DENIED, ACCOUNT_LOCKED = 1045, 4151
ROWS = "helfy.*:SELECT,INSERT,UPDATE,DELETE"
API = {
    "name": "helfy_api",
    "twin": "helfy_api_2",
    "addresses": ["127.0.0.1"],
    "password": "api-password-1",
    "priv": ROWS,
}
SECOND = API | {"name": "helfy_api_2", "twin": "helfy_api", "password": "api-password-2"}
UNSET: dict[str, Any] = {
    "socket": None,
    "host": None,
    "port": 4000,
    "root_password": None,
    "client_file": None,
    "database": None,
    "collation": "utf8mb4_general_ci",
    "globals": {},
    "accounts": [],
    "tls": None,
    "drop_others": False,
    "locked": [],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    home = tmp_path_factory.mktemp("accounts")
    made = MariaDB(home)
    made.install()
    made.defaults_file = home / "helfy.cnf"
    made.defaults_file.write_text(
        f"[mariadbd]\nlog_bin = {home}/binlog\nbind-address = 127.0.0.1\nskip-name-resolve\n"
    )
    made.start()
    made.execute("CREATE DATABASE helfy")
    made.execute("CREATE TABLE helfy.users (id INT PRIMARY KEY, email TEXT)")
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def _no_accounts(server: MariaDB) -> None:
    for name in ("helfy_api", "helfy_api_2"):
        for host in ("127.0.0.1", "192.0.2.7"):
            server.execute(f"DROP USER IF EXISTS {name}@'{host}'")


def run(given: dict[str, Any], *, check_mode: bool = False) -> list[str]:
    """Apply what is given, and return what was changed."""
    database = accounts.Database(UNSET | given, check_mode=check_mode)
    with database.connection:
        accounts.apply(database, UNSET | given)
    return list(database.changes)


def on(server: MariaDB, *wanted: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return what is given for MariaDB, by its socket."""
    return {"socket": server.socket, "accounts": list(wanted), **more}


def log_in(server: MariaDB, user: str, password: str) -> pymysql.Connection[Any]:
    return pymysql.connect(host=server.host, port=server.port, user=user, password=password)


def accepts(server: MariaDB, user: str, password: str) -> bool:
    """Say whether a new connection gets in."""
    try:
        log_in(server, user, password).close()
    except pymysql.err.OperationalError as error:
        if error.args[0] in {ACCESS_DENIED, ACCOUNT_LOCKED}:
            return False
        raise
    return True


def test_account_that_is_missing_is_created_once(server: MariaDB) -> None:
    wanted = on(server, API, database="helfy_new")
    changes = [
        "database helfy_new",
        "account helfy_api@127.0.0.1",
        "privileges of helfy_api@127.0.0.1 on helfy.*: DELETE, INSERT, SELECT, UPDATE",
    ]
    assert run(wanted, check_mode=True) == changes
    assert not accepts(server, "helfy_api", "api-password-1")
    assert run(wanted) == changes
    assert run(wanted) == run(wanted, check_mode=True) == []
    assert accepts(server, "helfy_api", "api-password-1")


def test_database_that_is_created_is_in_the_binlog(server: MariaDB) -> None:
    [before] = server.execute("SELECT @@GLOBAL.gtid_binlog_pos")
    run(on(server, database="helfy_logged"))
    assert server.execute("SELECT @@GLOBAL.gtid_binlog_pos") != [before]


def test_statements_about_accounts_stay_out_of_the_binlog(server: MariaDB) -> None:
    before = server.execute("SHOW MASTER STATUS")
    run(on(server, API))
    run(on(server, API | {"password": "api-password-9"}))
    assert server.execute("SHOW MASTER STATUS") == before


def test_privileges_that_differ_are_granted_and_revoked(server: MariaDB) -> None:
    run(on(server, API))
    for grant in (
        "DROP ON helfy.*",
        "SELECT ON mysql.*",
        "PROCESS ON *.*",
        "SELECT (id), UPDATE (email) ON helfy.users",
    ):
        server.execute(f"GRANT {grant} TO helfy_api@127.0.0.1")
    server.execute("GRANT SELECT ON helfy.* TO helfy_api@127.0.0.1 WITH GRANT OPTION")
    server.execute("REVOKE DELETE ON helfy.* FROM helfy_api@127.0.0.1")
    of = "privileges of helfy_api@127.0.0.1 on "
    assert run(on(server, API)) == [
        f"{of}*.*: no PROCESS",
        f"{of}helfy.*: no DROP, GRANT OPTION",
        f"{of}helfy.*: DELETE",
        f"{of}helfy.users: no SELECT (`id`), UPDATE (`email`)",
        f"{of}mysql.*: no SELECT",
    ]
    assert run(on(server, API)) == []


def test_privileges_on_server_database_and_table_are_applied(server: MariaDB) -> None:
    capture = API | {
        "priv": "*.*:RELOAD,SHOW DATABASES,REPLICATION SLAVE,BINLOG MONITOR"
        "/helfy.*:SELECT,LOCK TABLES/helfy.users:INSERT, UPDATE"
    }
    run(on(server, capture))
    assert run(on(server, capture)) == []
    with log_in(server, "helfy_api", "api-password-1") as link, link.cursor() as cursor:
        cursor.execute("INSERT INTO helfy.users VALUES (1, 'a')")
        with pytest.raises(pymysql.err.OperationalError, match="denied"):
            cursor.execute("DELETE FROM helfy.users")
    less = API | {"priv": "helfy.*:SELECT"}
    assert len(run(on(server, less))) == 3
    assert run(on(server, less)) == []


def test_second_password_of_an_earlier_release_goes_at_the_end_alone(server: MariaDB) -> None:
    run(on(server, API))
    ways = " OR ".join(
        f"mysql_native_password USING '{accounts.native(password)}'"
        for password in ("api-password-1", "api-password-0")
    )
    server.execute(f"ALTER USER helfy_api@127.0.0.1 IDENTIFIED VIA {ways}")
    assert run(on(server, API)) == [], "somebody may still have the old one"
    assert accepts(server, "helfy_api", "api-password-0")
    assert run(on(server, API, drop_others=True)) == ["password of helfy_api@127.0.0.1"]
    assert accepts(server, "helfy_api", "api-password-1")
    assert not accepts(server, "helfy_api", "api-password-0")


def test_pair_takes_turns_without_a_rejected_login(server: MariaDB) -> None:
    run(on(server, API))
    # The second one comes into use: both are accepted until the first is locked.
    assert run(on(server, SECOND))[0] == "account helfy_api_2@127.0.0.1"
    assert accepts(server, "helfy_api", "api-password-1")
    assert accepts(server, "helfy_api_2", "api-password-2")
    change = ["lock of helfy_api@127.0.0.1"]
    end = on(server, SECOND, tls=False, drop_others=True, locked=["helfy_api"])
    assert run(end, check_mode=True) == change
    assert run(end) == change
    assert run(end) == []
    assert not accepts(server, "helfy_api", "api-password-1")
    # And the first one again, with another password.
    back = API | {"password": "api-password-3"}
    assert run(on(server, back)) == [
        "password of helfy_api@127.0.0.1",
        "lock of helfy_api@127.0.0.1: none",
    ]
    assert accepts(server, "helfy_api", "api-password-3")
    assert accepts(server, "helfy_api_2", "api-password-2")


def test_account_that_has_sessions_is_not_locked(server: MariaDB) -> None:
    run(on(server, API))
    with log_in(server, "helfy_api", "api-password-1"):
        with pytest.raises(accounts.InUseError, match=r"helfy_api .* sessions from 127.0.0.1"):
            run(on(server, locked=["helfy_api"]))
        assert accepts(server, "helfy_api", "api-password-1")
        # Restarts that check mode does not make would end them.
        assert run(on(server, locked=["helfy_api"]), check_mode=True) != []


def test_account_that_is_not_there_needs_no_lock(server: MariaDB) -> None:
    assert run(on(server, API, locked=["helfy_api_2"]))[0] == "account helfy_api@127.0.0.1"
    assert run(on(server, API, locked=["helfy_api_2"])) == []


def test_tls_is_demanded_and_demanded_no_more(server: MariaDB) -> None:
    run(on(server, API))
    change = ["TLS demanded of helfy_api@127.0.0.1"]
    assert run(on(server, API, tls=True), check_mode=True) == change
    assert accepts(server, "helfy_api", "api-password-1")
    assert run(on(server, API, tls=True)) == change
    assert run(on(server, API, tls=True)) == run(on(server, API)) == []
    assert not accepts(server, "helfy_api", "api-password-1")
    # A new password demands no less, nor does the twin.
    assert run(on(server, API | {"password": "api-password-2"})) == [
        "password of helfy_api@127.0.0.1"
    ]
    assert change[0].replace("api@", "api_2@") in run(on(server, SECOND))
    assert run(on(server, SECOND, tls=False)) == ["TLS not demanded of helfy_api_2@127.0.0.1"]
    assert run(on(server, SECOND, tls=False)) == []


def test_accounts_at_former_addresses_are_dropped(server: MariaDB) -> None:
    both = ["127.0.0.1", "192.0.2.7"]
    run(on(server, API | {"addresses": both}, SECOND | {"addresses": both}))
    assert run(on(server, API)) == [], "until it is asked for"
    changes = ["account helfy_api@192.0.2.7: none", "account helfy_api_2@192.0.2.7: none"]
    assert run(on(server, API, drop_others=True), check_mode=True) == changes
    assert run(on(server, API, drop_others=True)) == changes
    assert run(on(server, API, drop_others=True)) == []
    assert accepts(server, "helfy_api", "api-password-1")


def test_session_stays_when_the_password_changes(server: MariaDB) -> None:
    run(on(server, API))
    with log_in(server, "helfy_api", "api-password-1") as link, link.cursor() as cursor:
        run(on(server, API | {"password": "api-password-9"}))
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_rejection_names_the_change_and_no_secret(server: MariaDB) -> None:
    given = UNSET | on(server, API | {"priv": "helfy.*:SELECT,PST_SECRET"})
    database = accounts.Database(given, check_mode=False)
    with database.connection, pytest.raises(pymysql.err.MySQLError) as error:
        accounts.apply(database, given)
    said = accounts.rejection(error.value, given, database.changes)
    assert "rejects a statement or the login (error 1064) at: privileges of helfy_api" in said
    assert "api-password-1" not in said


@pytest.fixture
def tidb(server: MariaDB, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A server as TiDB is after its first start: one root, from anywhere, without a password."""
    every = "GRANT ALL PRIVILEGES ON *.* TO {} WITH GRANT OPTION"
    server.execute("CREATE USER restorer@127.0.0.1 IDENTIFIED BY 'restorer'")
    server.execute(every.format("restorer@127.0.0.1"))
    roots = [row[0] for row in server.execute("SELECT Host FROM mysql.user WHERE User = 'root'")]
    with log_in(server, "restorer", "restorer") as link, link.cursor() as cursor:
        cursor.execute("SET GLOBAL time_zone = 'SYSTEM'")
        cursor.execute("CREATE USER 'root'@'%'")
        cursor.execute(every.format("'root'@'%'"))
        for host in roots:
            cursor.execute(f"DROP USER root@'{host}'")
        yield {
            "host": server.host,
            "port": server.port,
            "client_file": str(tmp_path / ".my.cnf"),
            "root_password": "root-password-1",
            "globals": {"time_zone": "+00:00"},
            "accounts": [API],
        }
        for host in roots:
            cursor.execute(f"CREATE USER root@'{host}'")
            cursor.execute(every.format(f"root@'{host}'"))
        cursor.execute("DROP USER 'root'@'%'")
    server.execute("DROP USER restorer@127.0.0.1")


def test_tidb_begins_with_root_globals_and_accounts(server: MariaDB, tidb: dict[str, Any]) -> None:
    file = Path(tidb["client_file"])
    first = [
        "password of root",
        str(file),
        "time_zone",
        "account helfy_api@127.0.0.1",
        "privileges of helfy_api@127.0.0.1 on helfy.*: DELETE, INSERT, SELECT, UPDATE",
    ]
    assert run(tidb, check_mode=True) == first
    assert not file.exists()
    # The file is written before the password is set, so it is no change of its own.
    assert run(tidb) == [each for each in first if each != str(file)]
    assert run(tidb) == []
    assert file.stat().st_mode & 0o777 == 0o600
    assert "password = root-password-1\n" in file.read_text()
    assert list(file.parent.iterdir()) == [file]
    assert accepts(server, "helfy_api", "api-password-1")


def test_root_password_of_tidb_is_rotated(tidb: dict[str, Any]) -> None:
    run(tidb)
    assert run(tidb | {"root_password": "root-password-2"}) == ["password of root"]
    assert run(tidb | {"root_password": "root-password-2"}) == []
    assert "password = root-password-2\n" in Path(tidb["client_file"]).read_text()


def test_run_cut_off_before_the_root_password_was_set_goes_on(tidb: dict[str, Any]) -> None:
    run(tidb)
    file = Path(tidb["client_file"])
    before = file.with_name(".my.cnf.before")
    before.write_text(file.read_text())
    file.write_text(file.read_text().replace("root-password-1", "root-password-3"))
    assert run(tidb | {"root_password": "root-password-3"}) == ["password of root"]
    assert not before.exists()


def test_wrong_root_password_is_told_without_showing_it(tidb: dict[str, Any]) -> None:
    run(tidb)
    Path(tidb["client_file"]).unlink()
    given = UNSET | tidb | {"root_password": "pst-wrong-one"}
    with pytest.raises(pymysql.err.OperationalError) as error:
        run(given)
    said = accounts.rejection(error.value, given, [])
    assert "tidb_tiup_root_password is not root's password at 127.0.0.1:" in said
    assert "pst-wrong-one" not in said
