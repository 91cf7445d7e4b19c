"""Kafka as the loop needs it: with ``rebalance`` all that knows kafka-python.

What was found out about kafka-python 3.0.12: it does its I/O on a thread of its own, so a
record that arrives ends a running ``poll`` at once, whatever its time-out; ``fetch_min_bytes=1``
makes the broker answer as soon as there is one record. Callbacks of a rebalance run on that
thread while ``poll`` waits for them, so they share what the loop owns without a lock. It fetches
by a topic's name, so in one that was created anew it would go on at the old offset; the metadata
that it refreshes has the topic's id. It validates the epoch of a position (KIP-320), and without
a reset policy it raises what it finds: here it is decided where to go on.
"""

import base64
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

import kafka  # type: ignore[import-untyped]  # kafka-python ships no types
from kafka import errors

from helfy import jsonlog, sdnotify
from helfy.consumer.change import Record
from helfy.consumer.lost import MOST_LOSSES, Copies, Lost, Place, resume
from helfy.consumer.notices import PARTITIONS
from helfy.consumer.rebalance import Listener
from helfy.consumer.recorder import Recorder
from helfy.consumer.settings import Settings
from helfy.kafka_consumer import open_consumer

log = jsonlog.get(__name__)

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
        """Give what the last poll found to be gone unread; each loss once."""

    def pause(self, *, paused: bool) -> None:
        """Let ``poll`` give no records, or give them again; the group is not left."""

    def lag(self) -> int:
        """Give how many records are there that no poll has given yet; asks nobody."""

    def commit(
        self, offsets: Mapping[int, int], journal: Mapping[str, object] | None, timeout_ms: int
    ) -> None:
        """Commit, by partition, the offset of the next record to read.

        ``journal`` is what is wrong with that, if anything; where it or a loss is news, it is told
        by commits of the other partitions as well.
        """

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

    def __init__(
        self,
        settings: Settings,
        recorder: Recorder,
        member: str | None = None,
        copies: Copies | None = None,
    ) -> None:
        self._topic = settings.topic
        self._recorder = recorder
        self._copies = copies or Copies()
        self._copies_fault: str | None = None
        self._tell_at = 0.0
        self._assigned: set[int] = set()  # for which it is not decided where to go on
        self._gone: dict[int, int] = {}  # positions that Kafka has no record at
        self._cut: dict[int, int | None] = {}  # where logs were truncated, if that is known
        self._moved: set[int] = set()  # whose polled records are not to be used
        self._next: dict[int, int] = {}
        self._epochs: dict[int, list[tuple[int, int]]] = {}  # first offset of each epoch
        self._places: dict[int, Place] = {}  # what is committed, or where reading began
        self._lost: list[Lost] = []
        self._topic_id: str | None = None
        self._journal: Mapping[str, object] | None = None
        self._stale = False  # the places are news to Kafka
        self._consumer = open_consumer(
            settings.login,
            bootstrap_servers=list(settings.bootstrap_servers),
            group_id=settings.group_id,
            group_instance_id=member,
            client_id=settings.group_id,
            bootstrap_timeout_ms=BOOTSTRAP_MS,
            enable_auto_commit=False,
            auto_offset_reset="none",
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
            [self._topic], listener=Listener(self.commit_on_revoke, recorder, self)
        )

    def poll(self, timeout_ms: int) -> list[Record]:
        """See Source."""
        polled = self._polled(timeout_ms)
        self._tell_partitions()
        fault = None
        try:
            self._decide()
        except FAULTS as error:  # it must not keep what was polled
            fault = error
        unused, self._moved = self._moved | self._assigned, set()
        polled = {part: polled[part] for part in polled if part.partition not in unused}
        if fault is not None and not polled:
            raise fault
        for part, records in polled.items():
            self._next[part.partition] = records[-1].offset + 1
            epochs = self._epochs.setdefault(part.partition, [])
            for record in (records[0], records[-1]):
                if not epochs or epochs[-1][1] != record.leader_epoch:
                    epochs.append((record.offset, record.leader_epoch))
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

    def _polled(self, timeout_ms: int) -> dict[Any, list[Any]]:
        # Where a poll ends during a rebalance for added partitions, the library (3.0.12) takes
        # the group for joined from then on and never applies the assignment.
        coordinator = self._consumer._coordinator
        if coordinator.rejoining:
            coordinator.request_rejoin()
        try:
            polled: dict[Any, list[Any]] = self._consumer.poll(timeout_ms=timeout_ms)
        except errors.NoOffsetForPartitionError:
            return {}  # of those that came
        except errors.OffsetOutOfRangeError as error:
            self._gone |= {part.partition: at for part, at in error.args[0].items()}
            return {}
        except errors.LogTruncationError as error:
            for part, place in error.divergent_offsets.items():
                self._cut[part.partition] = None if place is None else place.offset
            return {}
        return polled

    def lost(self) -> list[Lost]:
        """See Source."""
        lost, self._lost = self._lost, []
        return lost

    def pause(self, *, paused: bool) -> None:
        """See Source."""
        parts = self._consumer.assignment()
        if paused:
            self._consumer.pause(*parts)
        elif self._consumer.paused():
            self._consumer.resume(*parts)

    def lag(self) -> int:
        """See Source."""
        return sum(
            max(0, end - self._next[partition])
            for partition in self._next
            if (end := self._end(partition)) is not None
        )

    def assigned(self, partitions: Iterable[int]) -> None:
        """Partitions came: where to go on is decided by the poll that is under way."""
        self._assigned.update(partitions)

    def gone(self, partitions: Iterable[int]) -> None:
        """Partitions went."""
        for partition in partitions:
            self._assigned.discard(partition)
            for known in (self._next, self._epochs, self._places, self._gone, self._cut):
                known.pop(partition, None)

    def commit(
        self, offsets: Mapping[int, int], journal: Mapping[str, object] | None, timeout_ms: int
    ) -> None:
        """See Source."""
        self._stale = self._stale or journal != self._journal
        self._journal = journal
        places = {p: self._place(p, offset) for p, offset in offsets.items() if p in self._places}
        if self._stale:
            places = self._places | places
        if not places:
            return
        self._consumer.commit(self._commits(places), timeout_ms=timeout_ms)
        self._committed(places)
        self._stale = False

    async def commit_on_revoke(self, offsets: Mapping[int, int]) -> None:
        """Commit within a rebalance, on the thread of the library."""
        places = {p: self._place(p, offset) for p, offset in offsets.items() if p in self._places}
        await self._consumer.commit_async(self._commits(places))
        self._committed(places)

    def probe(self) -> None:
        """See Source."""
        assigned = self._consumer.assignment()
        if not assigned:
            raise errors.KafkaTimeoutError("no partition is assigned")
        self._consumer.end_offsets(list(assigned), timeout_ms=PROBE_MS)

    def close(self, timeout_ms: int) -> None:
        """See Source."""
        self._consumer.close(autocommit=False, timeout_ms=timeout_ms)

    def _decide(self) -> None:
        """Decide where to go on, where that is open."""
        self._look_at_topic()
        for partition in tuple(self._assigned):
            self._begin(partition)
            self._assigned.discard(partition)
        for partition, offset in tuple(self._gone.items()):
            beginning = self._beginning(partition)
            if beginning > offset:
                lost = Lost(partition, offset, beginning - 1, "retention", self._topic_id)
                self._move(partition, beginning, lost)
            else:
                self._cut[partition] = None
            self._gone.pop(partition, None)
        for partition, divergent in tuple(self._cut.items()):
            start = self._beginning(partition) if divergent is None else divergent
            place = self._places[partition]
            first = self._next.get(partition, place.offset)
            last = place.end - 1 if place.end is not None and place.end > first else None
            lost = Lost(partition, first, last, "log_truncated", self._topic_id)
            self._move(partition, start, lost)

    def _begin(self, partition: int) -> None:
        """Decide where to go on with a partition that came."""
        self._recorder.read_back()
        told = self._consumer.committed(self._part(partition), metadata=True, timeout_ms=PROBE_MS)
        own = None if told is None else Place.read(told.offset, told.metadata)
        kept = own is not None
        offset = told.offset if told is not None and not kept else None
        if own is None:
            own = self._copies.read(partition)
        beginning = self._beginning(partition)
        start, lost = resume(partition, own, offset, self._topic_id, beginning)
        epoch = own.epoch if own is not None and own.offset == start else -1
        self._seek(partition, start, epoch)
        if own is not None and not kept and lost is None:
            fields = {"partition": partition, "offset": start, "committed": offset}
            log.warning("offset_restored", extra={"fields": fields})
        losses = own.lost if own is not None else ()
        self._start(partition, Place(start, self._topic_id, epoch, None, losses), lost)

    def _look_at_topic(self) -> None:
        """Begin anew where the topic was created anew."""
        found = self._consumer._cluster.topic_id(self._topic)
        topic_id = _text(found) or self._topic_id
        before, self._topic_id = self._topic_id, topic_id
        if before is None or before == topic_id:
            return
        for partition, place in tuple(self._places.items()):
            offset = self._next.get(partition, place.offset)
            own = replace(place, offset=offset, topic_id=before)
            # Where it begins beyond 0, the next poll says so.
            self._move(partition, *resume(partition, own, None, topic_id, 0))

    def _move(self, partition: int, start: int, lost: Lost | None) -> None:
        """Go on elsewhere; what was written and not committed is of records that are no more."""
        self._seek(partition, start, -1)
        self._recorder.forget([partition])
        place = replace(self._places[partition], offset=start, topic_id=self._topic_id, epoch=-1)
        self._start(partition, place, lost)

    def _seek(self, partition: int, offset: int, epoch: int) -> None:
        """Go on at an offset. The library validates it by the epoch, which its own seek drops."""
        position = kafka.OffsetAndMetadata(offset, "", epoch)
        self._consumer._subscription.seek(self._part(partition), position)
        for known in (self._next, self._epochs, self._gone, self._cut):
            known.pop(partition, None)

    def _start(self, partition: int, place: Place, lost: Lost | None) -> None:
        if lost is not None:
            lost = replace(lost, at=jsonlog.rfc3339(time.time()))
            self._lost.append(lost)
            place = replace(place, lost=(*place.lost, lost)[-MOST_LOSSES:])
        self._places[partition] = place
        self._moved.add(partition)
        self._stale = True

    def _place(self, partition: int, offset: int) -> Place:
        """Give what is known at an offset that is to be committed."""
        epochs = self._epochs.get(partition, [])
        while len(epochs) > 1 and epochs[1][0] < offset:
            del epochs[0]
        epoch = epochs[0][1] if epochs and epochs[0][0] < offset else -1
        end = self._end(partition)
        return replace(
            self._places[partition],
            offset=offset,
            topic_id=self._topic_id,
            epoch=epoch,
            end=offset if end is None else end,
        )

    def _commits(self, places: Mapping[int, Place]) -> dict[Any, Any]:
        return {
            self._part(partition): kafka.OffsetAndMetadata(
                place.offset, place.note(self._journal), place.epoch
            )
            for partition, place in places.items()
        }

    def _committed(self, places: Mapping[int, Place]) -> None:
        self._places |= places
        for partition, place in places.items():
            self._copies.write(partition, place.offset, place.note())
        fault = self._copies.fault
        if fault is not None and self._copies_fault is None:
            log.warning("state_write_failed", extra={"fields": {"reason": fault}})
        self._copies_fault = fault

    def _end(self, partition: int) -> int | None:
        part = self._part(partition)
        if part not in self._consumer.assignment():
            return None
        end: int | None = self._consumer.highwater(part)
        return end

    def _beginning(self, partition: int) -> int:
        part = self._part(partition)
        found = self._consumer.beginning_offsets([part], timeout_ms=PROBE_MS)
        return int(found[part])

    def _tell_partitions(self) -> None:
        """Tell the supervisor, if there is one, whether there is work for more workers."""
        if time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + METADATA_MS / 1000
            partitions = len(self._consumer.partitions_for_topic(self._topic))
            sdnotify.notify(f"{PARTITIONS}={partitions}")

    def _part(self, partition: int) -> Any:
        return kafka.TopicPartition(self._topic, partition)


def _text(topic_id: uuid.UUID | None) -> str | None:
    """Write a topic's id as Kafka's own tools do; None where there is none."""
    if topic_id is None or topic_id.int == 0:
        return None
    return base64.urlsafe_b64encode(topic_id.bytes).decode().rstrip("=")
