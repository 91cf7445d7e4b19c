"""A broker, a journal and a clock in memory, around the real recorder, replays and rebalances."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from consumer_support import NOW, SETTINGS, change
from kafka import TopicPartition  # type: ignore[import-untyped]  # ships no types

from helfy.consumer.change import Record
from helfy.consumer.commits import WrittenLines
from helfy.consumer.rebalance import Listener
from helfy.consumer.recorder import Recorder
from helfy.consumer.replay import Replays

PARTITIONS = 2


class KilledError(Exception):
    """The process that was to write is no more."""


@dataclass
class World:
    """What outlives a consumer. ``disk`` is the persistent journal, ``memory`` that of ``/run``."""

    now: float = 1000.0
    made: int = 0
    log: dict[int, list[Record]] = field(default_factory=lambda: {p: [] for p in range(PARTITIONS)})
    commits: dict[int, int] = field(default_factory=dict)
    disk: list[bytes] = field(default_factory=list)
    synced: int = 0  # how many of them
    memory: list[bytes] = field(default_factory=list)
    full: bool = False
    kill_after: int | None = None  # lines until the writer is killed

    def clock(self) -> float:
        return self.now

    def write(self, line: bytes) -> None:
        if self.kill_after is not None:
            self.kill_after -= 1
            if self.kill_after < 0:
                raise KilledError
        self.now += 0.001
        (self.memory if self.full else self.disk).append(line)

    def room(self) -> None:
        """Let there be room again: journald copies what it kept in memory."""
        self.full = False
        self.disk += self.memory
        self.memory = []

    def produce(self, partition: int, kind: int) -> None:
        """Add a change; or for some kinds one that was there before, rubbish or a tombstone."""
        log = self.log[partition]
        self.made += 1
        told = change("u", source={"gtid": f"0-1-{self.made}"})
        value: bytes | None = json.dumps(told).encode()
        if kind == 1 and log:
            value = log[self.made % len(log)].value
        elif kind == 2:
            value = b"{"
        elif kind == 3:
            value = None
        log.append(Record("t", partition, len(log), b'{"id":1}', value, self.made))

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Take a commit, which must not be of what could still be lost."""
        durable = {place(json.loads(line)) for line in self.disk[: self.synced]}
        for partition, offset in offsets.items():
            for record in self.log[partition][:offset]:
                assert record.value is None or (partition, record.offset) in durable
            self.commits[partition] = offset

    def crash(self, share: float) -> None:
        """Crash the VM: what was in memory goes, and of what was not synced some."""
        del self.disk[self.synced + int((len(self.disk) - self.synced) * share) :]
        self.memory = []
        self.now += 100

    def lose(self, count: int) -> None:
        """Let journald lose lines: some of those in memory, to make room, or that it had read."""
        if self.memory:
            del self.memory[:count]
        else:
            del self.disk[max(self.synced, len(self.disk) - count) :]


class Journal:
    """A reader of the persistent journal; what it gave is synced."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._at = 0

    def read(self) -> list[bytes]:
        world = self._world
        # What was lost behind what it has read was never given to it.
        lines, self._at = world.disk[self._at :], len(world.disk)
        world.synced = len(world.disk)
        return lines


class Member:
    """A consumer process, with what kafka-python would do for it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.positions: dict[int, int] = {}
        replays = Replays()
        self.written = WrittenLines(replays, Journal(world), world.clock)
        self.recorder = Recorder(SETTINGS, self._write, self.written, replays, lambda: NOW)
        self.listener = Listener(self._commit, self.recorder, self)

    def _write(self, line: bytes) -> None:
        self.written.wrote(line)
        self.world.write(line)

    async def _commit(self, offsets: Mapping[int, int]) -> None:
        self.world.commit(offsets)

    def poll(self, most: int) -> list[Record]:
        records: list[Record] = []
        for partition, position in self.positions.items():
            records += self.world.log[partition][position : position + most]
            self.positions[partition] = min(position + most, len(self.world.log[partition]))
        return records

    def commit(self) -> bool:
        """Confirm and commit, as the loop does; say whether there is more to do."""
        self.written.confirm()
        if self.written.late:
            self._write(b'{"action":"journal_not_persistent"}')
        missing = bool(self.written.missing())
        if missing:
            self.written.give_up()
            self.recorder.forget()
            for partition in self.positions:
                self.positions[partition] = self.world.commits.get(partition, 0)
        offsets = self.recorder.committable()
        self.world.commit(offsets)
        self.recorder.committed(offsets)
        return missing or self.written.waiting > 0

    def assigned(self, partitions: Iterable[int]) -> None:
        """What the library and the source do: kept partitions keep their position."""
        owned = set(partitions)
        if owned - self.positions.keys():
            self.recorder.read_back()
        for partition in owned - self.positions.keys():
            self.positions[partition] = self.world.commits.get(partition, 0)

    def gone(self, partitions: Iterable[int]) -> None:
        for partition in partitions:
            self.positions.pop(partition, None)

    def revoked(self) -> None:
        asyncio.run(self.listener.on_partitions_revoked(_parts(self.positions)))

    def lost(self) -> None:
        asyncio.run(self.listener.on_partitions_lost(_parts(self.positions)))

    def owns(self, partitions: Iterable[int]) -> None:
        asyncio.run(self.listener.on_partitions_assigned(_parts(partitions)))


def place(line: dict[str, Any]) -> tuple[int, int] | None:
    """Where the record of a line stands; None for a line of no record."""
    source = line.get("source")
    return (source["partition"], source["offset"]) if source else None


def identity(line: dict[str, Any]) -> object:
    """What a line is a replay by: the id of its change, or the place of a record."""
    return line["change"]["id"] if line["action"] == "db_change" else place(line)


def rebalance(members: list[Member], owners: list[int]) -> None:
    """Let each partition be owned by one of the members."""
    for member in members:
        member.revoked()
    for number, member in enumerate(members):
        member.owns(p for p, owner in enumerate(owners) if owner % len(members) == number)


def _parts(partitions: Iterable[int]) -> list[Any]:
    return [TopicPartition("t", partition) for partition in partitions]
