"""Snapshots on the topic become gaps: on a real Kafka and a real database."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from feed_topic import Topic
from kafka_server import Kafka
from mariadb_server import API_LOGIN, MariaDB, migrate_options
from sqlalchemy import Engine

from helfy import gaps
from helfy.database import Database, connect
from helfy.feed import client
from helfy.feed.snapshots import GROUP, SnapshotWatch
from helfy.migrations.__main__ import main as migrate

NOON = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp() * 1000)
SECOND = 1000
PARTITIONS = pytest.mark.parametrize("partitions", [1, 3])


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(NOON / 1000 + seconds, UTC)


@pytest.fixture(scope="module")
def _database(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Database:
    mariadb.create_database("snapshots")
    home = tmp_path_factory.mktemp("migrate")
    assert migrate([*migrate_options(home, mariadb, "snapshots"), "upgrade"]) == 0
    return Database(host=mariadb.host, port=mariadb.port, name="snapshots")


@pytest.fixture
def engine(_database: Database, mariadb: MariaDB) -> Iterator[Engine]:
    mariadb.execute("DELETE FROM record_gaps", database="snapshots")
    engine = connect(_database, API_LOGIN)
    yield engine
    engine.dispose()


class Capture:
    """Writes to a topic what Debezium does, at times of ours."""

    def __init__(self, kafka: Kafka, partitions: int = 1) -> None:
        # Its times are of long ago.
        self.topic = Topic(kafka, partitions, **{"retention.ms": "-1"})
        self._rows = 0

    def heartbeat(self, seconds: float) -> None:
        self._write(0, seconds, self.topic.heartbeat())

    def change(self, seconds: float, late: float = 0) -> None:
        key, value = self.topic.change(self._next())
        value["source"] |= {"file": "binlog.000007", "ts_us": int((NOON + seconds * 1e3) * 1e3)}
        value["source"]["pos"] = self._rows
        self._write(self._rows, seconds + late, (key, value))

    def snapshot(self, seconds: float, place: str, rows: int = 3) -> None:
        """The tables, and these rows, a second after another."""
        file, _, position = place.partition(":")
        source = {"snapshot": "true", "db": "helfy", "file": file, "pos": int(position), "row": 0}
        for table in (None, "users"):
            ddl = {"source": source | {"table": table}, "ddl": "CREATE", "databaseName": "helfy"}
            self._write(0, seconds, ({"databaseName": "helfy"}, ddl))
        for number in range(rows):
            key, value = self.topic.change(self._next())
            value |= {"op": "r", "source": value["source"] | source}
            self._write(self._rows, seconds + number, (key, value))

    def _next(self) -> int:
        self._rows += 1
        return self._rows

    def _write(self, row: int, seconds: float, record: tuple[Any, Any]) -> None:
        moment = NOON + int(seconds * SECOND)
        self.topic.write(record, partition=row % self.topic.partitions, first_ms=moment)


def look(watch: SnapshotWatch) -> None:
    with closing(client.connect(watch._settings, group_id=GROUP)) as consumer:
        watch.look(consumer)


def announced(capture: Capture, engine: Engine) -> list[gaps.Gap]:
    """Have a new process look, and give all gaps, oldest first."""
    look(SnapshotWatch(capture.topic.stream(), engine))
    with engine.connect() as connection:
        return list(gaps.newest(connection))[::-1]


@PARTITIONS
def test_first_snapshot_is_no_gap(kafka: Kafka, engine: Engine, partitions: int) -> None:
    capture = Capture(kafka, partitions)
    capture.snapshot(0, "binlog.000001:400")
    # It was broken off, and began again.
    capture.snapshot(4, "binlog.000001:500")
    capture.heartbeat(8)
    capture.change(9)
    assert announced(capture, engine) == []


@PARTITIONS
def test_later_snapshot_is_one_gap(kafka: Kafka, engine: Engine, partitions: int) -> None:
    capture = Capture(kafka, partitions)
    capture.change(0)
    capture.heartbeat(5)
    capture.snapshot(60, "binlog.000009:4711")
    capture.heartbeat(70)
    [gap] = announced(capture, engine)
    assert (gap.cause, gap.starts_at, gap.ends_at) == ("snapshot", at(5), at(62))
    assert "binlog.000009:4711" in gap.detail
    assert "binlog.000007:1" in gap.detail
    # Other processes, now and later.
    capture.heartbeat(75)
    assert announced(capture, engine) == [gap]


def test_process_that_was_not_there_finds_it(kafka: Kafka, engine: Engine) -> None:
    capture = Capture(kafka)
    capture.change(0)
    assert announced(capture, engine) == []
    capture.snapshot(60, "binlog.000009:4711", rows=2)
    capture.heartbeat(70)
    for number in range(50):
        capture.heartbeat(75 + number)
    [gap] = announced(capture, engine)
    assert (gap.starts_at, gap.ends_at) == (at(0), at(61))


def test_round_reads_on_where_another_process_ended(kafka: Kafka, engine: Engine) -> None:
    capture = Capture(kafka, 3)
    for number in range(6):
        capture.change(number)
    assert announced(capture, engine) == []
    watch = SnapshotWatch(capture.topic.stream(), engine)
    capture.change(10)
    read: list[int] = []
    with closing(client.connect(watch._settings, group_id=GROUP)) as consumer:
        poll = consumer.poll

        def counted(**options: Any) -> Any:
            polled = poll(**options)
            read.extend(each.offset for records in polled.values() for each in records)
            return polled

        consumer.poll = counted
        watch.look(consumer)
    assert read == [2]


def test_snapshot_that_goes_on_is_announced_at_its_end(kafka: Kafka, engine: Engine) -> None:
    capture = Capture(kafka, 3)
    capture.change(0)
    capture.snapshot(60, "binlog.000009:4711", rows=2)
    watch = SnapshotWatch(capture.topic.stream(), engine)
    look(watch)
    look(watch)
    assert announced(capture, engine) == []
    # Broken off, and taken anew.
    capture.snapshot(90, "binlog.000009:9000", rows=4)
    look(watch)
    assert announced(capture, engine) == []
    capture.heartbeat(100)
    look(watch)
    [gap] = announced(capture, engine)
    assert (gap.starts_at, gap.ends_at) == (at(0), at(93))
    assert gap.source_id == "snapshot:binlog.000009:9000"


def test_snapshot_of_empty_tables_is_a_gap(kafka: Kafka, engine: Engine) -> None:
    capture = Capture(kafka)
    capture.change(0)
    capture.snapshot(60, "binlog.000009:4711", rows=0)
    capture.heartbeat(70)
    [gap] = announced(capture, engine)
    assert (gap.starts_at, gap.ends_at) == (at(0), at(60))


def test_snapshot_without_tables_is_no_gap(kafka: Kafka, engine: Engine) -> None:
    """A first deployment that was cut off and run again: there is no table yet."""
    capture = Capture(kafka)
    capture.heartbeat(0)
    source = {"snapshot": "true", "db": "helfy", "table": None, "file": "b.1", "pos": 4, "row": 0}
    ddl = {"source": source, "ddl": "CREATE DATABASE helfy", "databaseName": "helfy"}
    capture._write(0, 60, ({"databaseName": "helfy"}, ddl))
    capture.heartbeat(70)
    assert announced(capture, engine) == []


@PARTITIONS
def test_each_snapshot_is_a_gap_of_its_own(kafka: Kafka, engine: Engine, partitions: int) -> None:
    capture = Capture(kafka, partitions)
    capture.change(0)
    for start in (60, 160, 260):
        capture.snapshot(start, f"binlog.000009:{start}")
        capture.heartbeat(start + 5)
    found = announced(capture, engine)
    assert [gap.starts_at for gap in found] == [at(0), at(65), at(165)]
    assert [gap.ends_at for gap in found] == [at(62), at(162), at(262)]


def test_changes_that_came_late_make_the_gap_longer(kafka: Kafka, engine: Engine) -> None:
    """Where the stream was behind before it broke, what was committed since is missing."""
    capture = Capture(kafka)
    capture.change(0, late=300)
    capture.heartbeat(301)
    capture.snapshot(400, "binlog.000009:4711")
    capture.heartbeat(410)
    [gap] = announced(capture, engine)
    assert gap.starts_at == at(1)


def test_last_change_is_found_behind_heartbeats(kafka: Kafka, engine: Engine) -> None:
    capture = Capture(kafka)
    capture.change(0)
    beats = [capture.topic.heartbeat() for _ in range(450)]
    capture.topic.write(*beats, first_ms=NOON + 100 * SECOND)
    capture.snapshot(160, "binlog.000009:4711")
    capture.heartbeat(170)
    [gap] = announced(capture, engine)
    assert gap.starts_at == at(100.449)
    assert "binlog.000007:1" in gap.detail


@PARTITIONS
def test_expired_records_leave_the_beginning_open(
    kafka: Kafka, engine: Engine, partitions: int
) -> None:
    capture = Capture(kafka, partitions)
    for number in range(6):
        capture.change(number)
    capture.snapshot(60, "binlog.000009:4711")
    capture.heartbeat(70)
    for partition in range(partitions):
        kafka.delete_records(capture.topic.name, partition, 6 // partitions)
    [gap] = announced(capture, engine)
    assert (gap.starts_at, gap.ends_at) == (None, at(62))


def test_what_nobody_understands_is_passed_over(kafka: Kafka, engine: Engine) -> None:
    capture = Capture(kafka)
    capture.change(0)
    for garbage in (b"\xff", b'{"snapshot":"first"', b'{"source":{"snapshot":"true"}}', b"[]"):
        capture.topic.write(({}, garbage), first_ms=NOON + 50 * SECOND)
    capture.snapshot(60, "binlog.000009:4711")
    capture.heartbeat(70)
    [gap] = announced(capture, engine)
    assert gap.starts_at == at(50)


def test_topic_made_anew_is_read_from_its_beginning(kafka: Kafka, engine: Engine) -> None:
    capture = Capture(kafka)
    for number in range(9):
        capture.change(number)
    assert announced(capture, engine) == []
    kafka.delete_topic(capture.topic.name)
    capture.topic.make()
    capture.heartbeat(50)
    capture.snapshot(60, "binlog.000009:4711")
    capture.heartbeat(70)
    [gap] = announced(capture, engine)
    assert gap.starts_at == at(50)


def test_announcement_that_failed_is_made_later(
    kafka: Kafka, engine: Engine, mariadb: MariaDB
) -> None:
    capture = Capture(kafka)
    capture.change(0)
    capture.snapshot(60, "binlog.000009:4711")
    capture.heartbeat(70)
    mariadb.execute("RENAME TABLE record_gaps TO elsewhere", database="snapshots")
    watch = SnapshotWatch(capture.topic.stream(), engine)
    try:
        with pytest.raises(Exception, match="record_gaps"):
            look(watch)
    finally:
        mariadb.execute("RENAME TABLE elsewhere TO record_gaps", database="snapshots")
    look(watch)
    assert len(announced(capture, engine)) == 1
