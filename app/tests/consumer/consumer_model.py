"""A broker, a journal and a clock in memory, around the real recorder, replays and rebalances."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consumer_support import NOW, SETTINGS, change
from kafka import TopicPartition  # type: ignore[import-untyped]  # ships no types

from helfy.consumer.change import Record
from helfy.consumer.lost import Losses
from helfy.consumer.rebalance import Listener
from helfy.consumer.recorder import Recorder
from helfy.consumer.replay import Replays

SYNC = SETTINGS.sync_interval_seconds
PARTITIONS = 2


class KilledError(Exception):
    """The process that was to write is no more."""


@dataclass
class World:
    """What outlives a consumer. Of the journal a crash of the VM takes only what is young."""

    directory: Path
    now: float = 1000.0
    boots: int = 0
    made: int = 0
    log: dict[int, list[Record]] = field(default_factory=lambda: {p: [] for p in range(PARTITIONS)})
    commits: dict[int, int] = field(default_factory=dict)
    journal: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    kill_after: int | None = None  # lines until the writer is killed

    def clock(self) -> float:
        return self.now

    def name(self) -> str:
        return f"{self.boots:04x}"

    def write(self, line: bytes) -> float:
        if self.kill_after is not None:
            self.kill_after -= 1
            if self.kill_after < 0:
                raise KilledError
        self.now += 0.001
        self.journal.append((self.now, json.loads(line)))
        return self.now

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
        durable = {place(line) for at, line in self.journal if self.now - at >= SYNC}
        for partition, offset in offsets.items():
            for record in self.log[partition][:offset]:
                assert record.value is None or (partition, record.offset) in durable
            self.commits[partition] = offset

    def crash(self, share: float, cut: int) -> None:
        """Crash the VM: young lines go from some point on, and so do the files of state."""
        young = [at for at, _ in self.journal if self.now - at < SYNC]
        del self.journal[len(self.journal) - int(len(young) * share) :]
        self.boots += 1
        self.now += 100
        for index, path in enumerate(sorted(self.directory.rglob("*.log"))):
            raw = path.read_bytes()
            if cut % 3 == index % 3:
                path.write_bytes(raw[: len(raw) * cut // 100] + b"\0" * (cut % 7))


class Mortal(Replays):
    """A memory whose process may be dead when its time to write comes."""

    dead = False

    def flush(self) -> None:
        if not self.dead:
            super().flush()


class Member:
    """A consumer process, with what kafka-python would do for it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.positions: dict[int, int] = {}
        self.replays = Mortal(world.directory / "replay", world.name, SYNC, world.clock)
        self.recorder = Recorder(SETTINGS, world.write, self.replays, world.clock, lambda: NOW)
        losses = Losses(world.commits.get, lambda parts: dict.fromkeys(parts, 0))
        self.listener = Listener(self._commit, self.recorder, losses)

    async def _commit(self, offsets: Mapping[int, int]) -> None:
        self.world.commit(offsets)

    def poll(self, most: int) -> list[Record]:
        records: list[Record] = []
        for partition, position in self.positions.items():
            records += self.world.log[partition][position : position + most]
            self.positions[partition] = min(position + most, len(self.world.log[partition]))
        return records

    def commit(self) -> None:
        offsets = self.recorder.committable()
        self.world.commit(offsets)
        self.recorder.committed(offsets)

    def revoked(self) -> None:
        asyncio.run(self.listener.on_partitions_revoked(_parts(self.positions)))

    def lost(self) -> None:
        asyncio.run(self.listener.on_partitions_lost(_parts(self.positions)))
        self.positions = {}

    def assigned(self, partitions: Iterable[int]) -> None:
        """Kept partitions keep their position, others are read from what was committed."""
        owned = set(partitions)
        asyncio.run(self.listener.on_partitions_assigned(_parts(owned)))
        self.positions = {
            partition: self.positions.get(partition, self.world.commits.get(partition, 0))
            for partition in owned
        }


def place(line: dict[str, Any]) -> tuple[int, int]:
    return line["source"]["partition"], line["source"]["offset"]


def identity(line: dict[str, Any]) -> object:
    """What a line is a replay by: the id of its change, or the place of a record."""
    return line["change"]["id"] if line["action"] == "db_change" else place(line)


def rebalance(members: list[Member], owners: list[int]) -> None:
    """Let each partition be owned by one of the members."""
    for member in members:
        member.revoked()
    for number, member in enumerate(members):
        member.assigned(p for p, owner in enumerate(owners) if owner % len(members) == number)


def _parts(partitions: Iterable[int]) -> list[Any]:
    return [TopicPartition("t", partition) for partition in partitions]
