"""What is kept and what is forgotten when partitions come and go."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from consumer_support import SETTINGS, change, record
from kafka import TopicPartition  # type: ignore[import-untyped]  # ships no types
from kafka.errors import KafkaError  # type: ignore[import-untyped]  # as above

from helfy.consumer.commits import WrittenLines
from helfy.consumer.rebalance import Listener
from helfy.consumer.recorder import Recorder
from helfy.consumer.replay import Replays


class Group:
    """A recorder, what it committed in rebalances, and which partitions came and went."""

    def __init__(self) -> None:
        self.journal: list[bytes] = []
        replays = Replays()
        self.written = WrittenLines(replays, self)
        self.recorder = Recorder(SETTINGS, self.out, self.written, replays)
        self.listener = Listener(self.commit, self.recorder, self)
        self.owned: list[int] = []
        self.commits: list[dict[int, int]] = []
        self.fault: Exception | None = None

    def out(self, line: bytes) -> None:
        self.written.wrote(line)
        self.journal.append(line)

    def read(self) -> list[bytes]:
        found, self.journal = self.journal, []
        return found

    def assigned(self, partitions: Iterable[int]) -> None:
        self.owned += partitions

    def gone(self, partitions: Iterable[int]) -> None:
        self.owned = [number for number in self.owned if number not in partitions]

    async def commit(self, offsets: Mapping[int, int]) -> None:
        if self.fault:
            raise self.fault
        self.commits.append(dict(offsets))

    def write(self, partition: int) -> None:
        made = record(change(), {"id": 1})
        self.recorder.record([replace(made, partition=partition)])

    def revoke(self, *partitions: int) -> None:
        parts = [TopicPartition("t", number) for number in partitions]
        asyncio.run(self.listener.on_partitions_revoked(parts))

    def assign(self, *partitions: int) -> None:
        parts = [TopicPartition("t", number) for number in partitions]
        asyncio.run(self.listener.on_partitions_assigned(parts))


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Group:
    monkeypatch.setattr("helfy.consumer.recorder.SETTLE_SECONDS", 0.0)
    made = Group()
    made.revoke()
    made.assign(0, 1)
    made.write(0)
    made.write(1)
    return made


def test_what_comes_back_is_committed_later(group: Group) -> None:
    group.written.confirm()
    group.recorder.committed({0: 8})
    group.write(0)
    group.revoke(0, 1)
    assert group.commits == [{}, {1: 8}]
    group.assign(0, 1)
    group.written.confirm()
    assert group.recorder.committable() == {0: 8, 1: 8}
    assert group.owned == [0, 1]


def test_what_is_durable_is_committed_before_it_goes(group: Group) -> None:
    group.written.confirm()
    group.revoke(0, 1)
    group.assign(1)
    assert group.commits[-1] == {0: 8, 1: 8}
    assert group.recorder.committable() == {1: 8}
    assert group.owned == [1]


def test_a_commit_that_fails_is_left_to_the_next_owner(group: Group) -> None:
    group.written.confirm()
    group.fault = KafkaError("rebalance")
    group.revoke(0, 1)
    group.assign()
    assert group.recorder.committable() == {}


def test_what_was_lost_is_forgotten_at_once(group: Group) -> None:
    lost = [TopicPartition("t", 0)]
    asyncio.run(group.listener.on_partitions_lost(lost))
    group.written.confirm()
    assert group.recorder.committable() == {1: 8}
    assert group.owned == [1]


def test_only_what_is_new_is_placed(group: Group) -> None:
    group.revoke(0, 1)
    group.assign(0, 1, 2)
    assert group.owned == [0, 1, 2]
