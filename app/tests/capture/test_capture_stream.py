"""Kafka Connect with Debezium as a VM runs it: snapshot, stream, kill, failure."""

import signal
import time

import pytest
from connect_server import Connect, ConnectorFailedError

from helfy.consumer.change import Record
from helfy.consumer.decode import decode


def kinds(records: list[Record]) -> list[tuple[str, object]]:
    """Give type and id of each change of a row."""
    changes = filter(None, map(decode, records))
    return [(each.type, each.data["id"]) for each in changes if each.sql is None]


def test_rows_before_and_during_capture_are_on_the_topic(connect: Connect) -> None:
    connect.mariadb.execute("CREATE DATABASE stream")
    connect.mariadb.execute("CREATE TABLE stream.t (id INT PRIMARY KEY, a INT)")
    connect.mariadb.execute("INSERT INTO stream.t VALUES (1, 1)")
    with connect.connector("stream", {"t": ["id", "a"]}) as connector:
        connect.mariadb.execute("INSERT INTO stream.t VALUES (2, 2)")
        connect.mariadb.execute("DELETE FROM stream.t")
        assert kinds(connector.records()) == [
            *(("SNAPSHOT", 1), ("INSERT", 2)),
            *(("DELETE", 1), ("DELETE", 2)),
        ]
        assert connector.states() == ["RUNNING", "RUNNING"]


def test_kill_of_the_process_loses_no_change(connect: Connect) -> None:
    connect.mariadb.execute("CREATE DATABASE killed")
    connect.mariadb.execute("CREATE TABLE killed.t (id INT PRIMARY KEY)")
    with connect.connector("killed", {"t": ["id"]}) as connector:
        connect.mariadb.execute("INSERT INTO killed.t VALUES (1)")
        connector.settle()
        # Else it has no position of the stream yet, and begins with a snapshot again.
        deadline = time.monotonic() + 10
        while "gtids" not in str(connect.ask("GET", f"/connectors/{connector.name}/offsets")):
            assert time.monotonic() < deadline, "no position is stored"
            time.sleep(0.2)
        connect.stop(signal.SIGKILL)
        connect.mariadb.execute("INSERT INTO killed.t VALUES (2)")
        connect.start()
        assert {("INSERT", 1), ("INSERT", 2)} == set(kinds(connector.records()))


def test_connector_that_fails_says_why(connect: Connect) -> None:
    connect.mariadb.execute("CREATE DATABASE minimal")
    connect.mariadb.execute("CREATE TABLE minimal.t (id INT PRIMARY KEY, a INT, b INT)")
    with connect.connector("minimal", {"t": ["id", "a", "b"]}) as connector:
        connect.mariadb.execute("INSERT INTO minimal.t VALUES (1, 1, 1)")
        with connect.mariadb.connect("minimal") as session, session.cursor() as cursor:
            cursor.execute("SET SESSION binlog_row_image = MINIMAL")
            cursor.execute("UPDATE t SET b = 2")
        with pytest.raises(ConnectorFailedError, match="row size"):
            connector.settle()
        assert connector.wait_for("FAILED")["connector"]["state"] == "RUNNING"
        assert kinds(connector.records(settle=False)) == [("INSERT", 1)]
