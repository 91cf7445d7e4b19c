"""Announces a gap for each snapshot that change capture took after the record had begun.

Change capture reads all rows anew where it has lost its position. What changed between the last
record before and the snapshot is then on record only as the rows stood at the end of it. Such a
snapshot is recognised on the topic alone, so it is found although nobody looked while it was taken:
each round reads what came since the last one, whichever process of whichever VM that was. How far
that is, is kept in Kafka (the offsets of GROUP); a gap's ``source_id`` makes it one row.

The first snapshot on the topic is no gap: nothing was on record before it.
"""

import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from kafka import TopicPartition  # type: ignore[import-untyped]  # kafka-python ships no types
from kafka.structs import OffsetAndMetadata  # type: ignore[import-untyped]  # as above
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from helfy import gaps, jsonlog
from helfy.consumer.change import UndecodableError
from helfy.consumer.decode import decode, snapshot_place
from helfy.database import error_code, transaction
from helfy.feed import client
from helfy.feed.settings import Stream

log = jsonlog.get(__name__)

GROUP: Final = "helfy-gaps"
CAUSE: Final = "snapshot"
EVERY_SECONDS: Final = 15.0
# Between two batches of a backlog: logins need the processor more.
PAUSE_SECONDS: Final = 0.05
POLL_MS: Final = 500
STALLED_SECONDS: Final = 10.0
BACK_RECORDS: Final = 200
# How far back the last change before a snapshot is looked for, behind heartbeats.
MOST_BACK: Final = 2000
# A heartbeat so soon after a change may have been as late as the change.
LATE_MS: Final = 60_000


@dataclass(slots=True)
class _Snapshot:
    """Records of one snapshot: the binlog position, Kafka's times in ms, where they begin."""

    place: str
    first_ms: int
    last_ms: int
    begins: dict[Any, int] = field(default_factory=dict)

    def note(self, part: Any, offset: int, at: int) -> None:
        self.first_ms = min(self.first_ms, at)
        self.last_ms = max(self.last_ms, at)
        self.begins.setdefault(part, offset)


@dataclass(frozen=True, slots=True)
class _Before:
    """What the topic has before a snapshot.

    ``record`` is the partition and the offset of the last record that belongs to no snapshot, None
    where there is none; ``expired`` whether Kafka has dropped records of before. ``until_ms`` is
    up to when changes are surely on record, ``place`` where the last change stands in the binlog.
    """

    record: tuple[int, int] | None = None
    expired: bool = False
    until_ms: int | None = None
    place: str | None = None


class _StoppedError(Exception):
    """The process ends, in the middle of a round: what was read is not all."""


class SnapshotWatch:
    """Looks every EVERY_SECONDS, in a thread of its own, from :meth:`start` to :meth:`stop`."""

    def __init__(self, settings: Stream, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine
        self._stopping = threading.Event()
        self._ends: Mapping[Any, int] = {}
        self._failed: str | None = None
        self._thread = threading.Thread(target=self._run, name="snapshot-watch", daemon=True)

    def start(self) -> None:
        """Begin to look; returns at once."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End, waiting up to ``timeout`` seconds for the round at hand."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        # Not at the same moment as the other processes: each reads on where another one ended.
        while not self._stopping.wait(EVERY_SECONDS * random.uniform(0.5, 1.5)):  # noqa: S311
            try:
                with closing(client.connect(self._settings, group_id=GROUP)) as consumer:
                    self.look(consumer)
                self._report(None)
            except _StoppedError:
                return
            except SQLAlchemyError as error:
                self._report(f"{type(error).__name__} {error_code(error) or ''}".strip())
            except Exception as error:
                # Nothing that kafka-python may raise is worth the loss of this thread.
                self._report(type(error).__name__)
                log.debug("snapshot_watch_failed", exc_info=True)

    def _report(self, reason: str | None) -> None:
        """Log once that rounds fail, and once that they succeed again."""
        if reason == self._failed:
            return
        self._failed = reason
        if reason is not None:
            log.warning("snapshots_not_watched", extra={"fields": {"reason": reason}})
        else:
            log.info("snapshots_watched")

    def look(self, consumer: Any) -> None:
        """Read what came since the last round, announce what is to be, and keep how far it was.

        ``consumer`` is one of ``client.connect`` with ``group_id=GROUP``. Raises what kafka-python
        and SQLAlchemy raise; then the next round reads the same again.
        """
        topic = self._settings.topic
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            raise LookupError(f"topic {topic} does not exist")
        parts = [TopicPartition(topic, number) for number in sorted(numbers)]
        begins = consumer.beginning_offsets(parts, timeout_ms=client.CONNECT_MS)
        ends = consumer.end_offsets(parts, timeout_ms=client.CONNECT_MS)
        if ends == self._ends:
            return
        places = {part: _goes_on(consumer, part, begins[part], ends[part]) for part in parts}
        snapshots, other_ms = self._read(consumer, places, ends)
        done = [each for each in snapshots if each.last_ms < other_ms]
        for snapshot, before in self._separate(consumer, done, begins, ends):
            self._announce(snapshot, before)
        # A snapshot that may still go on is read again as a whole.
        going_on = [each for each in snapshots if each.last_ms >= other_ms]
        reached = {
            part: min(each.begins.get(part, end) for each in going_on) if going_on else end
            for part, end in ends.items()
        }
        if reached != places:
            consumer.commit(
                {part: OffsetAndMetadata(place, "", -1) for part, place in reached.items()},
                timeout_ms=client.CONNECT_MS,
            )
        self._ends = ends

    def _read(
        self, consumer: Any, places: Mapping[Any, int], ends: Mapping[Any, int]
    ) -> tuple[list[_Snapshot], int]:
        """Give the snapshots, oldest first, and the time of the newest record of none, in ms."""
        found: dict[str, _Snapshot] = {}
        other_ms = -1
        for part, record in self._records(consumer, places, ends):
            place = snapshot_place(record.value)
            if place is None:
                other_ms = max(other_ms, record.timestamp)
            elif place:
                each = found.setdefault(place, _Snapshot(place, record.timestamp, record.timestamp))
                each.note(part, record.offset, record.timestamp)
        return sorted(found.values(), key=lambda each: each.first_ms), other_ms

    def _records(
        self, consumer: Any, places: Mapping[Any, int], ends: Mapping[Any, int]
    ) -> Iterator[tuple[Any, Any]]:
        """Give the records of partitions from some places up to, not including, others."""
        left = {part for part, place in places.items() if place < ends[part]}
        if not left:
            return
        consumer.assign(sorted(left))
        consumer.resume(*left)
        for part in left:
            consumer.seek(part, places[part])
        came_at = time.monotonic()
        while left:
            polled = consumer.poll(timeout_ms=POLL_MS)
            if polled:
                came_at = time.monotonic()
            elif time.monotonic() - came_at > STALLED_SECONDS:
                raise TimeoutError("no record came")
            for part, records in polled.items():
                yield from ((part, each) for each in records if each.offset < ends[part])
                if consumer.position(part) >= ends[part]:
                    left.discard(part)
                    consumer.pause(part)
            if left and self._stopping.wait(PAUSE_SECONDS if polled else 0):
                raise _StoppedError

    def _separate(
        self,
        consumer: Any,
        snapshots: list[_Snapshot],
        begins: Mapping[Any, int],
        ends: Mapping[Any, int],
    ) -> list[tuple[_Snapshot, _Before]]:
        """Give the snapshots with what is before each.

        Those that were broken off, and followed by another one at once, are part of it.
        """
        kept: list[tuple[_Snapshot, _Before]] = []
        for snapshot in snapshots:
            before = self._before(consumer, snapshot.first_ms, begins, ends)
            if kept and kept[-1][1].record == before.record:
                kept.pop()
            kept.append((snapshot, before))
        return kept

    def _before(
        self, consumer: Any, at_ms: int, begins: Mapping[Any, int], ends: Mapping[Any, int]
    ) -> _Before:
        since = consumer.offsets_for_times(
            dict.fromkeys(begins, at_ms), timeout_ms=client.CONNECT_MS
        )
        last: tuple[int, Any] | None = None
        change: tuple[int, int, str | None] | None = None  # in Kafka, committed, place
        for part, first in begins.items():
            stop = since[part].offset if since.get(part) else ends[part]
            for record, told in self._backwards(consumer, part, first, stop):
                if last is None or record.timestamp > last[0]:
                    last = (record.timestamp, record)
                if told is not None and (change is None or record.timestamp > change[0]):
                    committed = record.timestamp if told.committed_ms is None else told.committed_ms
                    change = (record.timestamp, committed, told.place)
        if last is None:
            return _Before(expired=any(first > 0 for first in begins.values()))
        late = 0
        if change is not None and last[0] - change[0] < LATE_MS:
            late = max(0, change[0] - change[1])
        record = last[1]
        return _Before(
            record=(record.partition, record.offset),
            until_ms=last[0] - late,
            place=None if change is None else change[2],
        )

    def _backwards(
        self, consumer: Any, part: Any, first: int, stop: int
    ) -> Iterator[tuple[Any, Any]]:
        """Give a partition's records of no snapshot, newest first, each with its change or None.

        They end with the first one that is a change, or a good many before.
        """
        seen = 0
        while stop > first and seen < MOST_BACK:
            begin = max(first, stop - BACK_RECORDS)
            records = [each for _, each in self._records(consumer, {part: begin}, {part: stop})]
            for record in reversed(records):
                if snapshot_place(record.value) is not None:
                    continue
                seen += 1
                try:
                    told = decode(client.record_of(record))
                except UndecodableError:
                    told = None
                yield record, told
                if told is not None:
                    return
            stop = begin

    def _announce(self, snapshot: _Snapshot, before: _Before) -> None:
        if before.record is None and not before.expired:
            log.info("first_snapshot", extra={"fields": {"position": snapshot.place}})
            return
        known = before.place or "a position that the topic does not tell"
        new = gaps.NewGap(
            cause=CAUSE,
            source_id=f"{CAUSE}:{snapshot.place}",
            starts_at=_moment(before.until_ms),
            ends_at=_moment(snapshot.last_ms),
            detail=(
                f"Change capture lost its position and read all rows anew at {snapshot.place}; the "
                f"last change before it is at {known}. Of what changed in between, the record has "
                "the rows as they were then, and not those that were deleted."
            ),
        )
        gap = transaction(self._engine, lambda connection: gaps.announce(connection, new))
        if gap is not None:
            log.error("gap_announced", extra={"fields": gaps.log_fields(gap)})


def _goes_on(consumer: Any, part: Any, first: int, end: int) -> int:
    """Give where the last round ended; the beginning where the topic was made anew since."""
    place = consumer.committed(part, timeout_ms=client.CONNECT_MS)
    return place if place is not None and first <= place <= end else first


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
