"""TiDB's accounts, database and settings, against a real server that keeps them as TiDB does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest
import role_docs

sys.path.insert(0, str(role_docs.ROOT / "app/tests"))

from mariadb_server import MariaDB

PROGRAM = role_docs.ROOT / "roles/tidb_tiup/files/database_accounts.py"
ROWS = ["SELECT", "INSERT", "UPDATE", "DELETE"]
API = {"name": "helfy_api", "host": "127.0.0.1", "password": "api-password-1", "privileges": ROWS}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    made = MariaDB(tmp_path_factory.mktemp("accounts"))
    made.install()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def wish(server: MariaDB, tmp_path: Path) -> dict[str, Any]:
    """A wish for a server as it is after its first start: root without a password."""
    with log_in(server, "root", known_root(server)) as connection:
        for statement in (
            "DROP DATABASE IF EXISTS helfy",
            "DROP USER IF EXISTS helfy_api@127.0.0.1, helfy_api@192.0.2.7",
            "CREATE USER IF NOT EXISTS 'root'@'%'",
            "GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' WITH GRANT OPTION",
            "ALTER USER 'root'@'%' IDENTIFIED BY ''",
            "DROP USER IF EXISTS root@localhost, root@127.0.0.1",
            "SET GLOBAL time_zone = 'SYSTEM'",
        ):
            connection.cursor().execute(statement)
    PASSWORDS[server.port] = ""
    return {
        "host": server.host,
        "port": server.port,
        "client_file": str(tmp_path / ".my.cnf"),
        "root_password": "root-password-1",
        "database": "helfy",
        "collation": "utf8mb4_general_ci",
        "globals": {"time_zone": "+00:00"},
        "accounts": [API],
        "tls": None,
        "drop_others": False,
        "dry_run": False,
    }


PASSWORDS: dict[int, str] = {}


def known_root(server: MariaDB) -> str:
    return PASSWORDS.get(server.port, "")


def log_in(
    server: MariaDB, user: str, password: str, database: str | None = None
) -> pymysql.Connection[Any]:
    return pymysql.connect(
        host=server.host, port=server.port, user=user, password=password, database=database
    )


def bring(server: MariaDB, wish: dict[str, Any]) -> list[str]:
    """Run the program, and give what it says that it changed."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        input=json.dumps(wish),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if not wish["dry_run"]:
        PASSWORDS[server.port] = wish["root_password"]
    return list(json.loads(done.stdout)["changed"])


def test_what_is_missing_is_made_once(server: MariaDB, wish: dict[str, Any]) -> None:
    changed = bring(server, wish)
    assert changed == [
        "password of root",
        "time_zone",
        "database helfy",
        "account helfy_api@127.0.0.1",
        "rights of helfy_api@127.0.0.1: DELETE, INSERT, SELECT, UPDATE",
    ]
    assert bring(server, wish) == []
    log_in(server, "helfy_api", "api-password-1", "helfy").close()
    with pytest.raises(pymysql.err.OperationalError):
        log_in(server, "root", "")


def test_the_clients_file_is_roots_alone(server: MariaDB, wish: dict[str, Any]) -> None:
    bring(server, wish)
    file = Path(wish["client_file"])
    assert file.stat().st_mode & 0o777 == 0o600
    assert "password = root-password-1\n" in file.read_text()
    assert list(file.parent.iterdir()) == [file]


def test_a_new_password_takes_the_place_of_the_old(server: MariaDB, wish: dict[str, Any]) -> None:
    bring(server, wish)
    new = wish | {
        "root_password": "root-password-2",
        "accounts": [API | {"password": "api-password-2"}],
    }
    assert bring(server, new) == ["password of root", "password of helfy_api@127.0.0.1"]
    log_in(server, "helfy_api", "api-password-2", "helfy").close()


def test_a_run_that_was_cut_off_before_the_password_was_set_goes_on(
    server: MariaDB, wish: dict[str, Any]
) -> None:
    bring(server, wish)
    file = Path(wish["client_file"])
    before = file.with_name(".my.cnf.before")
    before.write_text(file.read_text())
    file.write_text(file.read_text().replace("root-password-1", "root-password-3"))
    assert bring(server, wish | {"root_password": "root-password-3"}) == ["password of root"]
    assert not before.exists()


def test_rights_that_are_too_many_go(server: MariaDB, wish: dict[str, Any]) -> None:
    bring(server, wish)
    with log_in(server, "root", "root-password-1") as connection:
        connection.cursor().execute("GRANT DROP ON helfy.* TO helfy_api@127.0.0.1")
        connection.cursor().execute("GRANT SELECT ON mysql.* TO helfy_api@127.0.0.1")
        connection.cursor().execute("GRANT PROCESS ON *.* TO helfy_api@127.0.0.1")
    assert sorted(bring(server, wish)) == [
        "rights of helfy_api@127.0.0.1 everywhere",
        "rights of helfy_api@127.0.0.1 on mysql",
        "rights of helfy_api@127.0.0.1: no DROP",
    ]
    assert bring(server, wish) == []


def test_tls_is_demanded_and_demanded_no_more(server: MariaDB, wish: dict[str, Any]) -> None:
    bring(server, wish)
    demanded = wish | {"tls": True}
    change = ["TLS demanded of helfy_api@127.0.0.1"]
    assert bring(server, demanded | {"dry_run": True}) == change
    log_in(server, "helfy_api", "api-password-1", "helfy").close()
    assert bring(server, demanded) == change
    assert bring(server, demanded) == bring(server, wish) == []
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        log_in(server, "helfy_api", "api-password-1", "helfy")
    # A new password asks no less.
    other = wish | {"accounts": [API | {"password": "api-password-2"}]}
    assert bring(server, other) == ["password of helfy_api@127.0.0.1"]
    off = other | {"tls": False}
    assert bring(server, off) == ["TLS not demanded of helfy_api@127.0.0.1"]
    assert bring(server, off) == []
    log_in(server, "helfy_api", "api-password-2", "helfy").close()


def test_accounts_for_former_hosts_go(server: MariaDB, wish: dict[str, Any]) -> None:
    both = wish | {"accounts": [API, API | {"host": "192.0.2.7"}]}
    bring(server, both)
    assert bring(server, wish) == [], "until it is asked for"
    only = wish | {"drop_others": True}
    change = ["account helfy_api@192.0.2.7: none"]
    assert bring(server, only | {"dry_run": True}) == change
    assert bring(server, only) == change
    assert bring(server, only) == []
    log_in(server, "helfy_api", "api-password-1", "helfy").close()


def test_a_rehearsal_says_it_all_and_changes_nothing(server: MariaDB, wish: dict[str, Any]) -> None:
    changed = bring(server, wish | {"dry_run": True})
    assert "database helfy" in changed
    assert "password of root" in changed
    assert not Path(wish["client_file"]).exists()
    log_in(server, "root", "").close()


def test_a_password_that_is_not_roots_is_told_without_showing_it(
    server: MariaDB, wish: dict[str, Any]
) -> None:
    bring(server, wish)
    Path(wish["client_file"]).unlink()
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        input=json.dumps(wish | {"root_password": "pst-wrong-one"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "tidb_tiup_root_password is not root's password at" in done.stderr
    assert "pst-wrong-one" not in done.stderr
