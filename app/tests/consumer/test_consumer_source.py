"""What a real Kafka may do to a topic and to a group, and that no record is missed in silence."""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from consumer_support import SETTINGS, recorder
from feed_topic import Topic
from kafka import OffsetAndMetadata, TopicPartition  # type: ignore[import-untyped]
from kafka_server import Kafka

from helfy.consumer.change import Record
from helfy.consumer.lost import Copies, Lost, Place, read_note
from helfy.consumer.source import FAULTS, KafkaSource

WAIT_SECONDS = 40.0


class Reading:
    """A subscription that writes and commits all that it reads, as the loop does."""

    def __init__(self, topic: Topic, copies: Path | None = None) -> None:
        self.topic = topic
        self.copies = copies
        self.poll_ms = 100
        self.lines: list[bytes] = []
        self.recorder = recorder(self.lines.append)
        self.records: list[Record] = []
        self.lost: list[Lost] = []
        self.journal: dict[str, object] | None = None
        settings = replace(
            SETTINGS,
            bootstrap_servers=(topic.kafka.server,),
            topic=topic.name,
            group_id=topic.name,
        )
        self.source = KafkaSource(settings, self.recorder, None, Copies(copies))

    def until(self, true: Callable[[], Any], what: str) -> None:
        """Go round until something is so."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not true():
            assert time.monotonic() < deadline, what
            self.go_round()

    def go_round(self) -> None:
        try:
            records = self.source.poll(self.poll_ms)
        except FAULTS:  # a topic that is not there for a while
            return
        for lost in self.source.lost():
            self.lost.append(lost)
            self.recorder.lost(lost)
        self.recorder.record(records)
        self.records += records
        offsets = self.recorder.committable()
        try:
            self.source.commit(offsets, self.journal, 2000)
        except FAULTS:
            return
        self.recorder.committed(offsets)

    def read(self, count: int) -> list[tuple[int, int]]:
        """Read so many records more, and commit them; give their places."""
        before = len(self.records)
        self.until(lambda: len(self.records) >= before + count, f"{count} records")
        self.go_round()
        self.until(lambda: not self.recorder.committable(), "all is committed")
        return [(record.partition, record.offset) for record in self.records[before:]]

    def told(self) -> list[tuple[int, int, int | None, str]]:
        return [(lost.partition, lost.first, lost.last, lost.cause) for lost in self.lost]

    def ended(self) -> None:
        self.source.close(2000)


class World:
    """A topic, and the state directory of who reads it."""

    def __init__(self, kafka: Kafka, home: Path, partitions: int = 1) -> None:
        self.topic = Topic(kafka, partitions)
        self.home = home
        self.running: list[Reading] = []

    def reading(self, *, copies: bool = True) -> Reading:
        self.running.append(Reading(self.topic, self.home if copies else None))
        return self.running[-1]

    def write(self, count: int, partition: int = 0) -> None:
        self.topic.write(*(self.topic.change(row) for row in range(count)), partition=partition)

    def recreate(self) -> None:
        self.topic.kafka.delete_topic(self.topic.name)
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                self.topic.make()
            except FAULTS:  # it is being deleted
                assert time.monotonic() < deadline
                time.sleep(0.2)
            else:
                return

    def committed(self, partition: int = 0) -> Any:
        admin = self.topic.kafka.admin()
        try:
            group = self.topic.name
            told = admin.list_group_offsets({group: None})[group]
            return told.get(TopicPartition(self.topic.name, partition))
        finally:
            admin.close()

    def move(self, offset: int | None) -> None:
        """Commit an offset as an operator would, or delete it."""
        admin = self.topic.kafka.admin()
        part, group = TopicPartition(self.topic.name, 0), self.topic.name
        try:
            if offset is None:
                admin.delete_group_offsets(group, [part])
            else:
                admin.alter_group_offsets(group, {part: OffsetAndMetadata(offset, "", -1)})
        finally:
            admin.close()


@pytest.fixture(name="world")
def _world(kafka: Kafka, tmp_path: Path) -> Iterator[World]:
    made = World(kafka, tmp_path / "copies")
    yield made
    for reading in made.running:
        reading.ended()


def test_a_first_start_and_a_restart_lose_nothing(world: World) -> None:
    world.write(3)
    world.topic.kafka.delete_records(world.topic.name, 0, 1)
    first = world.reading()
    assert first.read(2) == [(0, 1), (0, 2)]
    committed = world.committed()
    assert committed.offset == 3
    assert committed.leader_epoch == 0
    note = read_note(committed.metadata)
    assert note is not None
    assert (note["epoch"], note["end"], "lost" in note) == (0, 3, False)
    first.ended()
    world.write(1)
    second = world.reading()
    assert second.read(1) == [(0, 3)]
    assert first.told() + second.told() == []


def test_a_topic_created_anew_while_it_is_read_is_read_from_its_beginning(world: World) -> None:
    reading = world.reading()
    world.write(5)
    reading.read(5)
    world.recreate()
    # More than there were before: at the old offset reading would go on as if nothing was.
    world.write(8)
    reading.until(lambda: reading.lost, "the loss")
    reading.until(lambda: len(reading.records) >= 13, "all of them")
    assert [record.offset for record in reading.records][-8:] == list(range(8))
    [(partition, first, last, cause)] = reading.told()
    assert (partition, last, cause) == (0, None, "topic_recreated")
    # Until the new id is known, records may come from the new topic at the old offsets.
    assert first in {5, 8}
    reading.until(lambda: world.committed().offset == 8, "the commit")
    [loss] = (read_note(world.committed().metadata) or {})["lost"]
    assert (loss["from"], loss["records"], loss["cause"]) == (first, None, "topic_recreated")


@pytest.mark.parametrize("more", [2, 150])
def test_a_topic_created_anew_with_unread_records_is_a_loss_that_is_said(
    world: World, more: int
) -> None:
    before = world.reading()
    world.write(50)
    before.read(50)
    before.ended()
    world.write(100)
    world.recreate()  # Kafka drops the group's offsets with the topic
    assert world.committed() is None
    world.write(more)
    after = world.reading()
    assert after.read(more) == [(0, offset) for offset in range(more)]
    assert after.told() == [(0, 50, None, "topic_recreated")]
    after.ended()
    # It is said once, and stays in what is committed.
    again = world.reading()
    world.write(1)
    again.read(1)
    assert again.told() == []
    assert len((read_note(world.committed().metadata) or {})["lost"]) == 1


def test_a_loss_says_how_many_records_were_known_to_wait(world: World) -> None:
    world.write(600)
    reading = world.reading()
    # One poll gives 500 records at most; the others are known to be there.
    reading.until(lambda: reading.records, "the first records")
    reading.go_round = lambda: None  # type: ignore[method-assign]  # nothing more is read
    known = len(reading.records)
    world.recreate()
    del reading.go_round
    reading.until(lambda: reading.lost, "the loss")
    [(partition, first, last, cause)] = reading.told()
    assert (partition, cause) == (0, "topic_recreated")
    assert known <= first <= 600
    assert last in {599, None}
    assert (last is None) == (first == 600)


def test_offsets_that_were_deleted_are_restored(world: World) -> None:
    before = world.reading()
    world.write(5)
    before.read(5)
    before.ended()
    world.write(3)
    world.move(None)
    assert world.committed() is None
    after = world.reading()
    assert after.read(3) == [(0, 5), (0, 6), (0, 7)]
    assert after.told() == []
    assert world.committed().offset == 8


def test_offsets_and_records_that_are_gone_are_a_loss(world: World) -> None:
    before = world.reading()
    world.write(5)
    before.read(5)
    before.ended()
    world.write(5)
    world.move(None)
    world.topic.kafka.delete_records(world.topic.name, 0, 8)
    after = world.reading()
    assert after.read(2) == [(0, 8), (0, 9)]
    assert after.told() == [(0, 5, 7, "retention")]


@pytest.mark.parametrize(("offset", "begins"), [(2, 2), (9, 5), (10, 5)])
def test_an_offset_moved_by_somebody_skips_no_record(
    world: World, offset: int, begins: int
) -> None:
    before = world.reading()
    world.write(5)
    before.read(5)
    before.ended()
    world.write(5)
    world.move(offset)
    after = world.reading()
    assert after.read(10 - begins)[0] == (0, begins)
    assert after.told() == []


def test_without_a_copy_a_moved_offset_is_where_reading_goes_on(world: World) -> None:
    world.write(5)
    world.reading(copies=False).ended()
    world.move(3)
    assert world.reading(copies=False).read(2) == [(0, 3), (0, 4)]


def test_records_deleted_while_reading_waits_are_a_loss(world: World) -> None:
    reading = world.reading()
    world.write(5)
    reading.read(5)
    reading.source.pause(paused=True)
    world.write(10)
    for _ in range(5):
        reading.go_round()
    assert len(reading.records) == 5
    world.topic.kafka.delete_records(world.topic.name, 0, 12)
    reading.source.pause(paused=False)
    reading.read(3)
    # What was fetched before it was deleted is read; all else is told.
    got = {record.offset for record in reading.records}
    for _, first, last, cause in reading.told():
        assert cause == "retention"
        got |= set(range(first, (last or 0) + 1))
    assert got == set(range(15))


def test_partitions_that_are_added_are_read_from_their_beginning(world: World) -> None:
    reading = world.reading()
    world.write(2)
    reading.read(2)
    reading.poll_ms = 1  # a poll is over long before the rebalance is
    world.topic.kafka.more_partitions(world.topic.name, 3)
    world.write(2, partition=1)
    world.write(1, partition=2)
    assert sorted(reading.read(3)) == [(1, 0), (1, 1), (2, 0)]
    assert reading.told() == []
    assert [world.committed(partition).offset for partition in range(3)] == [2, 2, 1]


def test_what_is_wrong_with_the_journal_is_told_without_a_commit_of_more(world: World) -> None:
    reading = world.reading()
    world.write(2)
    reading.read(2)
    for journal in ({"cause": "full", "remedy": "make room"}, None):
        reading.journal = journal
        reading.go_round()
        committed = world.committed()
        assert committed.offset == 2
        assert (read_note(committed.metadata) or {}).get("journal") == journal


@pytest.fixture(name="own_kafka")
def _own_kafka() -> Iterator[Kafka]:
    """A Kafka whose files a test may change."""
    with tempfile.TemporaryDirectory(prefix="helfy-kafka-") as home:
        server = Kafka(Path(home))
        server.start()
        yield server
        server.stop()


@pytest.mark.slow
@pytest.mark.parametrize("grown", [0, 20])
def test_a_log_that_was_cut_off_is_read_from_where_it_was(
    own_kafka: Kafka, tmp_path: Path, grown: int
) -> None:
    """A broker that came back without its last records, and took others at their offsets."""
    world = World(own_kafka, tmp_path / "copies")
    reading = world.reading()
    world.write(5)
    reading.read(5)
    kept = own_kafka.log_bytes(world.topic.name)
    world.write(5)
    reading.read(5)
    reading.ended()
    own_kafka.stop()
    own_kafka.cut_log(world.topic.name, kept)
    own_kafka.start()
    world.write(grown)
    after = world.reading()
    after.until(lambda: after.lost, "the loss")
    assert [(lost.first, lost.last, lost.cause) for lost in after.lost] == [
        (10, None, "log_truncated")
    ]
    if grown:
        after.until(lambda: len(after.records) >= grown, "the records that came since")
        offsets = [record.offset for record in after.records]
        assert offsets[-grown:] == list(range(5, 5 + grown))
    after.ended()


def test_a_place_is_kept_with_its_epoch(world: World) -> None:
    reading = world.reading()
    world.write(1)
    reading.read(1)
    place = Copies(world.home).read(0)
    assert place == Place(1, place.topic_id if place else None, 0, 1)
