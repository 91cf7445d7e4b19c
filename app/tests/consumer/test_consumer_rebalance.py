"""What is kept and what is forgotten when partitions come and go."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest
from consumer_support import SETTINGS, change, record
from kafka import TopicPartition  # type: ignore[import-untyped]  # ships no types
from kafka.errors import KafkaError  # type: ignore[import-untyped]  # as above

from helfy.consumer.lost import Losses, Lost
from helfy.consumer.rebalance import Listener
from helfy.consumer.recorder import Recorder
from helfy.consumer.replay import Replays


class Group:
    """A recorder, what it committed in rebalances, and a Kafka that has dropped all up to 50."""

    def __init__(self) -> None:
        settings = replace(SETTINGS, sync_interval_seconds=0.01)
        self.now = 100.0
        self.recorder = Recorder(settings, lambda _: self.now, Replays(), lambda: self.now)
        self.losses = Losses(lambda _: 7, lambda parts: dict.fromkeys(parts, 50))
        self.listener = Listener(self.commit, self.recorder, self.losses)
        self.commits: list[dict[int, int]] = []
        self.fault: Exception | None = None

    async def commit(self, offsets: Mapping[int, int]) -> None:
        if self.fault:
            raise self.fault
        self.commits.append(dict(offsets))

    def write(self, partition: int) -> None:
        made = record(change(), {"id": 1})
        self.recorder.record([replace(made, partition=partition)])

    def revoked(self, *partitions: int) -> None:
        parts = [TopicPartition("t", number) for number in partitions]
        asyncio.run(self.listener.on_partitions_revoked(parts))

    def assigned(self, *partitions: int) -> None:
        parts = [TopicPartition("t", number) for number in partitions]
        asyncio.run(self.listener.on_partitions_assigned(parts))


@pytest.fixture
def group() -> Group:
    made = Group()
    made.revoked()
    made.assigned(0, 1)
    made.losses.check()
    made.write(0)
    made.write(1)
    return made


def test_what_comes_back_is_committed_later(group: Group) -> None:
    group.revoked(0, 1)
    assert group.commits == [{}, {}]
    group.assigned(1)
    group.now += 1
    assert group.recorder.committable() == {1: 8}
    assert group.losses.check() == []


def test_what_is_durable_is_committed_before_it_goes(group: Group) -> None:
    group.now += 1
    group.revoked(0)
    group.assigned(1)
    assert group.commits[-1] == {0: 8}
    assert group.recorder.committable() == {1: 8}


def test_a_commit_that_fails_is_left_to_the_next_owner(group: Group) -> None:
    group.now += 1
    group.fault = KafkaError("rebalance")
    group.revoked(0, 1)
    group.assigned()
    assert group.recorder.committable() == {}


def test_what_was_lost_is_forgotten_at_once(group: Group) -> None:
    lost = [TopicPartition("t", 0)]
    asyncio.run(group.listener.on_partitions_lost(lost))
    group.now += 1
    assert group.recorder.committable() == {1: 8}


def test_only_what_is_new_is_looked_up(group: Group) -> None:
    group.revoked(0, 1)
    group.assigned(0, 1, 2)
    assert group.losses.check() == [Lost(2, 7, 49)]
