"""What the application sends where the database gives TiDB's version: nothing that TiDB lacks.

SQLAlchemy and Alembic write some statements by the server's version. The server here is MariaDB all
the same, so this tells nothing of what TiDB does with a statement.
"""

import io
import json
import re
import sys
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from api_support import MakeApp, login, profile, run_migrate, services_of, token_of
from mariadb_server import MariaDB
from sqlalchemy.dialects.mysql.base import MySQLDialect

from helfy import housekeeping

VERSION = "8.0.11-TiDB-v8.5.7"
# In MariaDB's grammar, or newer MySQL's, and not in TiDB's, or without effect there.
UNKNOWN = re.compile(
    r"\bRETURNING\b|\bSKIP LOCKED\b|\bAS new\b|\bOR REPLACE TABLE\b|uca1400|nopad",
    re.IGNORECASE,
)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let engines made from now on take the server for TiDB; gives what they send."""
    read = MySQLDialect._parse_server_version
    monkeypatch.setattr(
        MySQLDialect, "_parse_server_version", lambda self, _val: read(self, VERSION)
    )
    # TiDB has the variable by the name that MySQL 8 gave it, MariaDB 10.11 by the older one.
    monkeypatch.setattr(MySQLDialect, "get_isolation_level", lambda *_: "REPEATABLE READ")
    sent: list[str] = []

    def note(*arguments: object) -> None:
        sent.append(str(arguments[2]))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield sent
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


def test_tidb_is_taken_for_the_mysql_that_it_says_it_is(
    statements: list[str], engine: sa.Engine
) -> None:
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1
    version = engine.dialect.server_version_info
    assert version is not None
    assert version[:3] == (8, 0, 11)
    assert not engine.dialect.is_mariadb  # type: ignore[attr-defined]
    assert statements


def test_migrations_and_seed_send_what_tidb_takes(
    statements: list[str],
    options: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    mariadb: MariaDB,
) -> None:
    upgraded = run_migrate(capsys, *options, "upgrade")
    assert upgraded["changed"]
    assert not run_migrate(capsys, *options, "upgrade")["changed"]
    account = {"username": "a", "email": "a@example.com", "password": "password", "role": "admin"}
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps([account])))
    run_migrate(capsys, *options, "seed", "--bcrypt-cost", "4")
    assert mariadb.execute("SELECT username FROM users", database="fresh") == [("a",)]
    assert [sent for sent in statements if UNKNOWN.search(sent)] == []
    assert any("INSERT INTO alembic_version" in sent for sent in statements)


def test_the_api_sends_what_tidb_takes(statements: list[str], make_app: MakeApp) -> None:
    client = make_app().test_client()
    token = token_of(client)
    assert profile(client, token).status_code == 200
    assert login(client, "alice", "wrong").status_code == 401
    assert client.post("/logout", headers={"x-auth-token": token}).status_code == 200
    assert client.get("/health/ready").status_code == 200
    admin = {"x-auth-token": token_of(client, "root")}
    new = {"username": "dora", "email": "dora@example.com", "password": "a good password"}
    made = client.post("/users", json=new, headers=admin)
    assert made.status_code == 201
    for method, path, body in (
        ("GET", "/users?search=dora", None),
        ("PATCH", made.headers["Location"], {"role": "admin"}),
        ("DELETE", made.headers["Location"], None),
        ("GET", "/sessions", None),
        ("DELETE", "/sessions", None),
    ):
        assert client.open(path, method=method, json=body, headers=admin).status_code == 200
    housekeeping.tidy(services_of(client.application).engine)
    assert [sent for sent in statements if UNKNOWN.search(sent)] == []
    assert any(sent.startswith("INSERT INTO sessions") for sent in statements)
