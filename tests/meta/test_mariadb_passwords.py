"""Passwords of MariaDB's accounts, several for one, against a real server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import module_paths
import pymysql
import pytest
import role_docs

sys.path.insert(0, str(role_docs.ROOT / "app/tests"))

from mariadb_server import MariaDB

passwords = module_paths.module("mariadb_passwords")

OLD, NEW, OTHER = "old-password-1234", "new-password-1234", "no-password-at-all"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    made = MariaDB(tmp_path_factory.mktemp("passwords"))
    made.install()
    made.start()
    yield made
    made.stop()


def bring(server: MariaDB, *accepted: str, only_plan: bool = False, name: str = "api") -> list[str]:
    account = {"name": name, "host": "127.0.0.1", "passwords": list(accepted)}
    link = pymysql.connect(unix_socket=server.socket, user="root", autocommit=True)
    with link, link.cursor() as cursor:
        done: list[str] = passwords.bring(cursor, [account], only_plan=only_plan)
    return done


def let_in(server: MariaDB) -> list[str]:
    """Give which of the passwords are accepted."""
    found = []
    for password in (OLD, NEW, OTHER):
        given: dict[str, Any] = {"user": "api", "password": password}
        try:
            pymysql.connect(host=server.host, port=server.port, **given).close()
        except pymysql.err.OperationalError as error:
            if error.args[0] != 1045:
                raise
        else:
            found.append(password)
    return found


def test_the_old_and_the_new_one_are_accepted_until_the_old_one_goes(server: MariaDB) -> None:
    server.execute(f"CREATE OR REPLACE USER api@'127.0.0.1' IDENTIFIED BY '{OLD}'")
    assert bring(server, OLD) == [], "as the deployment made it"
    assert bring(server, NEW, OLD, only_plan=True) == ["api@127.0.0.1"]
    assert let_in(server) == [OLD]
    assert bring(server, NEW, OLD) == ["api@127.0.0.1"]
    assert bring(server, NEW, OLD) == []
    assert let_in(server) == [OLD, NEW]
    assert bring(server, NEW) == ["api@127.0.0.1"]
    assert bring(server, NEW) == []
    assert bring(server, NEW, NEW) == [], "the same one twice is one"
    assert let_in(server) == [NEW]


def test_who_is_logged_in_stays_so(server: MariaDB) -> None:
    server.execute(f"CREATE OR REPLACE USER api@'127.0.0.1' IDENTIFIED BY '{OLD}'")
    link = pymysql.connect(host=server.host, port=server.port, user="api", password=OLD)
    with link, link.cursor() as cursor:
        bring(server, NEW)
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_a_rehearsal_names_an_account_that_is_not_there_yet(server: MariaDB) -> None:
    assert bring(server, NEW, only_plan=True, name="nobody") == ["nobody@127.0.0.1"]
    with pytest.raises(pymysql.err.MySQLError):
        bring(server, NEW, name="nobody")
