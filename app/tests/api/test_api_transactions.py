"""Transactions that lose to one another, and the housekeeping that nobody waits for."""

import threading
import time

import pytest
import sqlalchemy as sa
from api_support import Log, services_of, token_of
from flask import Flask
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
