"""Transactions that lose to one another, and the housekeeping that nobody waits for."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa
from api_support import Log, assert_error, profile, services_of, token_of
from flask import Flask
from flask.testing import FlaskClient
from mariadb_server import MariaDB

from helfy.database import error_code, transaction
from helfy.housekeeping import Housekeeper

LOCK = sa.text("SELECT id FROM users WHERE id = :id FOR UPDATE")
DEADLINE_SECONDS = 30


def test_a_transaction_that_lost_is_run_again(app: Flask) -> None:
    """Two lock the same two rows in opposite order: the database ends one of them."""
    engine = services_of(app).engine
    both_hold_one = threading.Barrier(2)
    runs: list[int] = []
    results: list[str] = []

    def lock(first: int, second: int) -> None:
        def work(connection: sa.Connection) -> str:
            again = first in runs
            runs.append(first)
            connection.execute(LOCK, {"id": first})
            if not again:
                both_hold_one.wait(DEADLINE_SECONDS)
            connection.execute(LOCK, {"id": second})
            return "done"

        results.append(transaction(engine, work))

    threads = [threading.Thread(target=lock, args=rows) for rows in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["done", "done"]
    assert len(runs) == 3


def test_what_is_no_conflict_is_not_tried_again(app: Flask) -> None:
    runs: list[int] = []

    def work(connection: sa.Connection) -> None:
        runs.append(1)
        connection.execute(sa.text("SELECT * FROM nowhere"))

    with pytest.raises(sa.exc.ProgrammingError) as error:
        transaction(services_of(app).engine, work)
    assert error_code(error.value) == 1146
    assert len(runs) == 1


Refuse = Callable[[str, int], list[int]]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Have the database refuse the next statement of a kind, or COMMIT, once, with an error.

    Those of TiDB too, which MariaDB does not have. Gives the list of the errors that were told.
    """

    def once(kind: str, code: int) -> list[int]:
        told: list[int] = []

        def answer(statement: str) -> None:
            if statement.startswith(kind) and not told:
                told.append(code)
                raise pymysql.OperationalError(code, "the database's words")

        execute, commit = pymysql.cursors.Cursor.execute, pymysql.Connection.commit

        def executed(cursor: Any, statement: str, values: Any = None) -> int:
            answer(statement)
            return execute(cursor, statement, values)

        def committed(connection: Any) -> None:
            answer("COMMIT")
            commit(connection)

        monkeypatch.setattr(pymysql.cursors.Cursor, "execute", executed)
        monkeypatch.setattr(pymysql.Connection, "commit", committed)
        return told

    return once


DEADLOCK, WRITE_CONFLICT, LOCK_TIMEOUT, CUT_OFF = 1213, 9007, 1205, 2013


@pytest.mark.parametrize("path", ["/sessions", "/sessions/{}"])
@pytest.mark.parametrize(("kind", "code"), [("UPDATE", DEADLOCK), ("COMMIT", WRITE_CONFLICT)])
def test_an_end_of_sessions_that_lost_is_tried_again(
    client: FlaskClient, refuse: Refuse, path: str, kind: str, code: int
) -> None:
    other, here = token_of(client), token_of(client)
    number = profile(client, other).json["session"]["id"]
    told = refuse(kind, code)
    response = client.delete(path.format(number), headers={"x-auth-token": here})
    assert response.status_code == 200, response.text
    assert told == [code]
    assert profile(client, other).status_code == 401
    assert profile(client, here).status_code == 200


@pytest.fixture
def unnoted(client: FlaskClient, database: MariaDB) -> str:
    """Give the token of a session whose use the next request notes."""
    token = token_of(client)
    database.execute(
        "UPDATE sessions SET created_at = created_at - INTERVAL 2 MINUTE", database="helfy"
    )
    return token


NOTE = "INSERT INTO session_activity"
NOTED = "SELECT session_id FROM session_activity"


@pytest.mark.parametrize(
    "lost", [(NOTE, DEADLOCK), (NOTE, LOCK_TIMEOUT), ("COMMIT", WRITE_CONFLICT)]
)
def test_a_note_of_use_that_lost_is_left_to_the_next_request(
    client: FlaskClient, database: MariaDB, unnoted: str, refuse: Refuse, lost: tuple[str, int]
) -> None:
    told = refuse(*lost)
    response = profile(client, unnoted)
    assert response.status_code == 200, response.text
    assert told == [lost[1]]
    assert database.execute(NOTED, database="helfy") == []
    assert profile(client, unnoted).status_code == 200
    assert len(database.execute(NOTED, database="helfy")) == 1


def test_a_note_of_use_to_a_database_that_is_away_is_a_503(
    client: FlaskClient, unnoted: str, refuse: Refuse
) -> None:
    refuse(NOTE, CUT_OFF)
    assert_error(profile(client, unnoted), 503, "the database is away, try again")


def test_the_housekeeper_goes_on_when_the_database_was_away(
    app: Flask, database: MariaDB, log: Log
) -> None:
    token_of(app.test_client())
    housekeeper = Housekeeper(services_of(app).engine, every_seconds=0.05)

    def until(what: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not (log.lines("not_tidied") if what == "failure" else tidied()):
            assert time.monotonic() < deadline, what
            time.sleep(0.05)

    def tidied() -> bool:
        query = "SELECT * FROM login_throttle WHERE bucket = 'old'"
        return database.execute(query, database="helfy") == []

    with database.stopped():
        housekeeper.start()
        until("failure")
    database.execute(
        "INSERT INTO login_throttle VALUES ('old', NOW(6) - INTERVAL 1 DAY)", database="helfy"
    )
    until("tidied")
    housekeeper.stop(timeout=DEADLINE_SECONDS)
    [line, *_] = log.lines("not_tidied")
    assert line["level"] == "warning"
