"""Kafka as the loop needs it: with ``rebalance`` all that knows kafka-python.

What was found out about kafka-python 3.0.12: it does its I/O on a thread of its own, so a
record that arrives ends a running ``poll`` at once, whatever its time-out; ``fetch_min_bytes=1``
makes the broker answer as soon as there is one record. Callbacks of a rebalance run on that
thread while ``poll`` waits for them, so they share what the loop owns without a lock.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import kafka  # type: ignore[import-untyped]  # kafka-python ships no types
from kafka import errors

from helfy import sdnotify
from helfy.consumer.change import Record
from helfy.consumer.lost import Losses, Lost
from helfy.consumer.notices import PARTITIONS
from helfy.consumer.rebalance import Listener
from helfy.consumer.recorder import Recorder
from helfy.consumer.settings import Settings
from helfy.kafka_consumer import open_consumer

KafkaError: Final[type[Exception]] = errors.KafkaError
# What the library raises where Kafka or the way to it is at fault (a name that does not resolve,
# a loop of its own that stopped): all of it is no reason to give up.
FAULTS: Final[tuple[type[Exception], ...]] = (KafkaError, OSError, RuntimeError)

BOOTSTRAP_MS: Final = 1500
PROBE_MS: Final = 1000
# A process that is gone and not started again is out of its group after this.
SESSION_MS: Final = 6000
HEARTBEAT_MS: Final = 1500
METADATA_MS: Final = 10_000
MAX_RECORDS: Final = 500
# A larger record still comes, alone. What is fetched ahead stays within a small VM's memory.
FETCH_BYTES: Final = 8 * 1024**2
PARTITION_FETCH_BYTES: Final = 2 * 1024**2


class Source(Protocol):
    """A subscription to the topic. Every method may raise one of FAULTS."""

    def poll(self, timeout_ms: int) -> list[Record]:
        """Wait for records until one is there or the time is up; give them in order."""

    def lost(self) -> list[Lost]:
        """Give what Kafka dropped unread, as far as the last poll can tell; each loss once."""

    def lag(self) -> int:
        """Give how many records are there that no poll has given yet; asks nobody."""

    def commit(self, offsets: Mapping[int, int], timeout_ms: int) -> None:
        """Commit, by partition, the offset of the next record to read."""

    def probe(self) -> None:
        """Ask Kafka something; raises where it does not answer."""

    def close(self, timeout_ms: int) -> None:
        """Leave the group, commit nothing."""


class KafkaSource:
    """A Source on kafka-python. Raises one of FAULTS where no broker answers in time.

    ``member`` is this process's name in the group, the same after a restart: Kafka then gives
    the new process the partitions of the dead one at once, rather than after SESSION_MS. No two
    processes that run at once may have the same one. None for none.
    """

    def __init__(self, settings: Settings, recorder: Recorder, member: str | None = None) -> None:
        self._topic = settings.topic
        self._tell_at = 0.0
        self._next: dict[int, int] = {}
        self._losses = Losses(self._committed, self._beginnings)
        self._consumer = open_consumer(
            settings.login,
            bootstrap_servers=list(settings.bootstrap_servers),
            group_id=settings.group_id,
            group_instance_id=member,
            client_id=settings.group_id,
            bootstrap_timeout_ms=BOOTSTRAP_MS,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            metadata_max_age_ms=METADATA_MS,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            reconnect_backoff_max_ms=1000,
            max_poll_records=MAX_RECORDS,
            fetch_min_bytes=1,
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
            metrics_enabled=False,
        )
        # Known before the group is joined, else the first assignment is empty.
        self._consumer.partitions_for_topic(self._topic)
        self._consumer.subscribe(
            [self._topic], listener=Listener(self.commit_on_revoke, recorder, self._losses)
        )

    def poll(self, timeout_ms: int) -> list[Record]:
        """See Source."""
        polled = self._consumer.poll(timeout_ms=timeout_ms)
        self._tell_partitions()
        for part, records in polled.items():
            self._next[part.partition] = records[-1].offset + 1
            self._losses.polled(part.partition, records[0].offset, records[-1].offset)
        return [
            Record(
                record.topic,
                record.partition,
                record.offset,
                record.key,
                record.value,
                record.timestamp,
            )
            for records in polled.values()
            for record in records
        ]

    def lost(self) -> list[Lost]:
        """See Source."""
        return self._losses.check()

    def lag(self) -> int:
        """See Source."""
        ends = {
            part.partition: self._consumer.highwater(part) for part in self._consumer.assignment()
        }
        return sum(
            max(0, end - self._next[partition])
            for partition, end in ends.items()
            if end is not None and partition in self._next
        )

    def _committed(self, partition: int) -> int | None:
        part = kafka.TopicPartition(self._topic, partition)
        offset: int | None = self._consumer.committed(part, timeout_ms=PROBE_MS)
        return offset

    def _beginnings(self, partitions: Iterable[int]) -> dict[int, int]:
        parts = [kafka.TopicPartition(self._topic, partition) for partition in partitions]
        found = self._consumer.beginning_offsets(parts, timeout_ms=PROBE_MS)
        return {part.partition: offset for part, offset in found.items()}

    def _tell_partitions(self) -> None:
        """Tell the supervisor, if there is one, whether there is work for more workers."""
        if time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + METADATA_MS / 1000
            partitions = len(self._consumer.partitions_for_topic(self._topic))
            sdnotify.notify(f"{PARTITIONS}={partitions}")

    def commit(self, offsets: Mapping[int, int], timeout_ms: int) -> None:
        """See Source."""
        self._consumer.commit(self._offsets(offsets), timeout_ms=timeout_ms)

    async def commit_on_revoke(self, offsets: Mapping[int, int]) -> None:
        """Commit within a rebalance, on the thread of the library."""
        await self._consumer.commit_async(self._offsets(offsets))

    def probe(self) -> None:
        """See Source."""
        assigned = self._consumer.assignment()
        if not assigned:
            raise errors.KafkaTimeoutError("no partition is assigned")
        self._consumer.end_offsets(list(assigned), timeout_ms=PROBE_MS)

    def close(self, timeout_ms: int) -> None:
        """See Source."""
        self._consumer.close(autocommit=False, timeout_ms=timeout_ms)

    def _offsets(self, offsets: Mapping[int, int]) -> dict[Any, Any]:
        return {
            kafka.TopicPartition(self._topic, partition): kafka.OffsetAndMetadata(offset, "", -1)
            for partition, offset in offsets.items()
        }
