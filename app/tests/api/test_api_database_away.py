"""The database away, silent or refusing: a 503 in time, and all well again afterwards."""

import time

from api_support import KEY, Log, assert_error, login, profile, services_of, token_of
from flask import Flask
from flask.testing import FlaskClient
from mariadb_server import MariaDB


def test_a_stopped_database_is_a_503_and_comes_back(
    client: FlaskClient, database: MariaDB, log: Log
) -> None:
    token = token_of(client)
    with database.stopped():
        started = time.monotonic()
        for response in (login(client), profile(client, token)):
            assert_error(response, 503, "the database is away, try again")
            assert response.headers["Retry-After"] == "5"
        ready = client.get("/health/ready")
        assert time.monotonic() - started < 3
        assert client.get("/health/live").status_code == 200
    assert ready.status_code == 503
    assert set(ready.json) == {"message", "requestId", "database", "changeStream"}
    assert ready.json["database"] == "down"
    assert {line["code"] for line in log.lines("database_unavailable")} <= {2003, 2006, 2013}
    assert len(log.lines("database_unavailable")) == 2
    assert profile(client, token).status_code == 200
    assert client.get("/health/ready").status_code == 200


def test_a_silent_database_is_a_503_in_time(client: FlaskClient, database: MariaDB) -> None:
    token = token_of(client)
    with database.frozen():
        started = time.monotonic()
        assert profile(client, token).status_code == 503
        assert time.monotonic() - started < 5
    assert profile(client, token).status_code == 200


def test_an_exhausted_pool_is_a_503_in_time(app: Flask) -> None:
    client = app.test_client()
    token = token_of(client)
    engine = services_of(app).engine
    held = [engine.connect() for _ in range(8)]
    try:
        started = time.monotonic()
        assert profile(client, token).status_code == 503
        assert time.monotonic() - started < 3
    finally:
        for connection in held:
            connection.close()
    assert profile(client, token).status_code == 200


def test_an_account_that_the_database_refuses_is_a_503(
    client: FlaskClient, database: MariaDB, log: Log
) -> None:
    database.execute("ALTER USER helfy_api@'127.0.0.1' ACCOUNT LOCK")
    try:
        assert_error(login(client), 503, "the database is away, try again")
    finally:
        database.execute("ALTER USER helfy_api@'127.0.0.1' ACCOUNT UNLOCK")
    assert "api-pw" not in log.text
    assert KEY not in log.text
