"""Another transaction in the way: a 503 of its own, which is not "the database is away"."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

import pymysql
import pytest
from api_support import PASSWORD, Log, MakeApp, assert_error, login, profile, token_of
from flask.testing import FlaskClient
from mariadb_server import MariaDB

from helfy.throttle import Limits

BUSY = "the account is busy, try again"
# What TiDB adds to MariaDB's lock wait timeout, deadlock and changed record.
TIDB = (9004, 9007, 8005, 8002, 8022, 8028)

Held = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def held(database: MariaDB) -> Held:
    """Hold what a statement locks, in a transaction of somebody else's."""

    @contextmanager
    def hold(statement: str) -> Iterator[None]:
        with closing(database.connect("helfy")) as other, other.cursor() as cursor:
            other.begin()
            cursor.execute(statement)
            yield
            other.rollback()
            cursor.execute("UNLOCK TABLES")

    return hold


def test_login_to_a_locked_account_is_busy_and_then_works(
    client: FlaskClient, held: Held, log: Log
) -> None:
    with held("SELECT * FROM users WHERE username = 'alice' FOR UPDATE"):
        began = time.monotonic()
        response = login(client)
        took = time.monotonic() - began
        # Who tries somebody else's account, or a wrong password, is not held up.
        assert login(client, "root").status_code == 200
        assert login(client, "alice", "wrong").status_code == 401
    assert_error(response, 503, BUSY)
    assert response.headers["Retry-After"] == "1"
    assert took < 2
    assert login(client).status_code == 200
    assert log.lines("database_unavailable") == []
    [line] = log.lines("account_busy")
    assert (line["outcome"], line["code"]) == ("account_busy", 1205)
    assert [line["outcome"] for line in log.lines("login")] == [
        "account_busy",
        "ok",
        "invalid_credentials",
        "ok",
    ]
    [request, *_] = log.lines("request")
    assert (request["outcome"], request["status"]) == ("account_busy", 503)
    metrics = client.get("/metrics").text
    assert 'helfy_api_logins_total{outcome="account_busy"} 1.0' in metrics
    assert 'helfy_api_logins_total{outcome="unavailable"}' not in metrics


def test_owner_who_tries_again_is_not_throttled(make_app: MakeApp, held: Held) -> None:
    client = make_app(throttle=Limits(pair_attempts=2, pair_seconds=3600)).test_client()
    with held("SELECT * FROM users WHERE username = 'alice' FOR UPDATE"):
        for _ in range(3):
            assert_error(login(client), 503, BUSY)
    assert login(client).status_code == 200


USERS = "SELECT * FROM users FOR UPDATE"
SESSIONS = "SELECT * FROM sessions FOR UPDATE"
OWN_PASSWORD = {"currentPassword": PASSWORD, "newPassword": "quite another one"}


INSERT = (
    "INSERT INTO users (username, email, password_hash) VALUES ('dora', 'dora@example.com', 'x')"
)
DORA = {"username": "dora", "email": "dora@example.com", "password": "a good password"}


@pytest.mark.parametrize(
    ("lock", "asked", "body"),
    [
        (USERS, "PUT /profile/password", OWN_PASSWORD),
        (USERS, "PATCH /users/{alice}", {"status": "disabled"}),
        (USERS, "PUT /users/{alice}/password", {"password": "quite another one"}),
        (USERS, "DELETE /users/{alice}", None),
        (SESSIONS, "DELETE /sessions", None),
        (SESSIONS, "DELETE /users/{alice}/sessions", None),
        (SESSIONS, "POST /logout", None),
        (INSERT, "POST /users", DORA),
        ("LOCK TABLES users WRITE", "GET /users", None),
        ("LOCK TABLES users WRITE, sessions WRITE", "GET /profile", None),
    ],
)
def test_request_that_meets_a_lock_is_busy_and_then_works(
    client: FlaskClient, held: Held, lock: str, asked: str, body: dict[str, str] | None
) -> None:
    headers = {"x-auth-token": token_of(client, "root")}
    alice = login(client).json["user"]["id"]
    method, path = asked.format(alice=alice).split()

    def ask() -> Any:
        return client.open(path, method=method, json=body, headers=headers)

    with held(lock):
        began = time.monotonic()
        response = ask()
        took = time.monotonic() - began
    assert_error(response, 503, BUSY)
    assert response.headers["Retry-After"] == "1"
    assert took < 3
    assert ask().status_code < 300


@pytest.mark.parametrize("code", [1205, 1213, 1020, *TIDB])
def test_conflict_of_either_database_is_busy(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, log: Log, code: int
) -> None:
    token = token_of(client)

    def commit(_: Any) -> None:
        raise pymysql.OperationalError(code, "the database's words")

    with monkeypatch.context() as patched:
        patched.setattr(pymysql.Connection, "commit", commit)
        assert_error(login(client), 503, BUSY)
    assert [line["code"] for line in log.lines("account_busy")] == [code]
    assert "the database's words" not in log.text
    assert profile(client, token).status_code == 200


@pytest.mark.parametrize("code", [1040, 1045, 2003, 2013, 4151, 9001, 9002, 9005])
def test_database_that_is_away_is_not_busy(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def commit(_: Any) -> None:
        raise pymysql.OperationalError(code, "the database's words")

    with monkeypatch.context() as patched:
        patched.setattr(pymysql.Connection, "commit", commit)
        assert_error(login(client), 503, "the database is away, try again")
