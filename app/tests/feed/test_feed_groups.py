"""What is told of the consumers, by what they note in their commits."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import OffsetAndMetadata, TopicPartition  # type: ignore[import-untyped]  # no types
from mariadb_server import API_LOGIN, MariaDB, migrate_options
from sqlalchemy import Engine

from helfy import gaps
from helfy.consumer.lost import Lost, Place
from helfy.database import Database, connect
from helfy.feed.groups import Group, Groups, announce_losses
from helfy.feed.settings import Stream
from helfy.migrations.__main__ import main as migrate

NAME = "helfy-consumer-one"
FULL = {
    "cause": "full",
    "message": "the file system is full",
    "remedy": "make room on it",
    "since": "2026-11-23T12:00:00.000Z",
}
LOST = Lost(0, 50, None, "topic_recreated", "id", "2026-11-23T12:00:00.000Z")


def looked_at(*metadata: str) -> Group:
    """Give the group whose partitions have these notes, each at offset 5 of 8."""
    told = {
        TopicPartition("changes", number): OffsetAndMetadata(5, each, 0)
        for number, each in enumerate(metadata)
    }
    reader: Any = SimpleNamespace(
        pulse=SimpleNamespace(feed=lambda: "live"),
        ring=SimpleNamespace(following=lambda: dict.fromkeys(range(len(metadata)), 8)),
        marks=SimpleNamespace(age=lambda *_: 1.0),
        begins_with=lambda _: 0,
    )
    admin = SimpleNamespace(list_group_offsets=lambda _: {NAME: told})
    settings = Stream(bootstrap_servers=("k:1",), topic="changes", consumer_groups=(NAME,))
    [group] = Groups(settings, reader, lambda _: admin).look()
    return group


def test_a_group_without_notes_is_judged_by_its_lag() -> None:
    group = looked_at("", "")
    assert (group.well, group.lag) == (True, 6)
    assert group.said == "6 records have no line yet, the oldest for 1 s"
    assert (group.journal_fault, group.lost) == (None, ())


def test_a_journal_that_is_not_persistent_makes_a_group_unhealthy_with_the_remedy() -> None:
    group = looked_at(Place(5, "id").note(), Place(5, "id").note(FULL))
    assert not group.well
    assert group.said is not None
    for word in ("the file system is full", "make room on it", "2026-11-23T12:00:00.000Z"):
        assert word in group.said


def test_losses_are_read_from_all_partitions() -> None:
    group = looked_at(Place(5, "id", lost=(LOST,)).note(), Place(5, "id").note())
    assert group.well
    assert group.lost == (LOST,)


@pytest.fixture
def engine(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    mariadb.create_database("losses")
    home = tmp_path_factory.mktemp("migrate")
    assert migrate([*migrate_options(home, mariadb, "losses"), "upgrade"]) == 0
    database = Database(host=mariadb.host, port=mariadb.port, name="losses")
    made = connect(database, API_LOGIN)
    yield made
    made.dispose()


def test_each_loss_is_one_gap_however_often_it_is_announced(engine: Engine) -> None:
    more = Lost(1, 5, 9, "retention", "id", "2026-11-23T12:00:00.000Z")
    for _ in range(2):
        announce_losses(engine, [Group(NAME, 0, 0.0, None, (LOST, more))])
    announce_losses(engine, [Group("x" * 249, 0, 0.0, None, (LOST,))])
    with engine.connect() as connection:
        found = gaps.newest(connection)
    assert [gap.cause for gap in found] == ["records_lost"] * 3
    assert len({gap.source_id for gap in found}) == 3
    first = found[-1]
    assert "unknown number of records of partition 0 from offset 50" in first.detail
    assert first.ends_at is not None
    assert "5 records of partition 1" in found[-2].detail
