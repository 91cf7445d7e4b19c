"""Read lines that are no longer in memory out of Kafka, for one request at a time."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from kafka import TopicPartition  # type: ignore[import-untyped]  # kafka-python ships no types

from helfy.feed import client
from helfy.feed.entry import Decoder, Entry, Span
from helfy.feed.settings import Stream

# One request reads and one waits; a third is told to come again, or all threads would wait.
ADMITTED: Final = 2
WAIT_SECONDS: Final = 1.5
# What one request may take of Kafka.
MOST_SECONDS: Final = 1.0
MOST_RECORDS: Final = 10_000
SPAN_RECORDS: Final = 1000
SPAN_BYTES: Final = 2 * 1024**2
ASK_MS: Final = 1500
POLL_MS: Final = 250
IDLE_SECONDS: Final = 60.0


class KafkaAwayError(Exception):
    """Kafka does not answer, or not in time."""


class BusyError(Exception):
    """Others are reading already."""


class Pager:
    """A consumer that is there while somebody needs it, for one request at a time."""

    def __init__(self, settings: Stream, connect: Callable[[Stream], Any] | None = None) -> None:
        self._settings = settings
        self._connect = connect or client.connect
        self._decoder = Decoder(settings.lines())
        self._admitted = threading.Semaphore(ADMITTED)
        self._lock = threading.Lock()
        self._consumer: Any = None
        self._used_at = 0.0

    @contextlib.contextmanager
    def turn(self) -> Iterator["Turn"]:
        """Give what a request reads with; Kafka is first asked by the first thing read.

        Reading raises KafkaAwayError or BusyError.
        """
        turn = Turn(self)
        try:
            yield turn
        finally:
            turn.end()

    def tidy(self) -> None:
        """Close a connection that nobody has needed for a while."""
        if self._lock.acquire(blocking=False):
            try:
                if time.monotonic() - self._used_at > IDLE_SECONDS:
                    self._drop()
            finally:
                self._lock.release()

    def close(self) -> None:
        """Close the connection, if there is one."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with contextlib.suppress(*client.FAULTS):
                consumer.close()

    def _enter(self) -> None:
        if not self._admitted.acquire(blocking=False):
            raise BusyError
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            self._admitted.release()
            raise BusyError

    def _leave(self) -> None:
        self._used_at = time.monotonic()
        self._lock.release()
        self._admitted.release()


class Turn:
    """One request's reading."""

    def __init__(self, pager: Pager) -> None:
        self._pager = pager
        self._entered = False
        self._deadline = 0.0
        self._records = 0
        self._bounds: dict[int, tuple[int, int]] = {}

    @property
    def spent(self) -> bool:
        """Whether the request has taken what it may take."""
        late = self._entered and time.monotonic() > self._deadline
        return late or self._records >= MOST_RECORDS

    def bounds(self) -> dict[int, tuple[int, int]]:
        """Give, by partition, the first offset that Kafka has and the next one it will give."""
        if not self._bounds:
            consumer, parts = self._ready()
            with self._faults():
                beginnings = consumer.beginning_offsets(parts, timeout_ms=ASK_MS)
                ends = consumer.end_offsets(parts, timeout_ms=ASK_MS)
            self._bounds = {part.partition: (beginnings[part], ends[part]) for part in parts}
        return self._bounds

    def since(self, moment: float) -> dict[int, int]:
        """Give, by partition, the first offset from a moment (Unix seconds) on."""
        bounds = self.bounds()
        consumer, parts = self._ready()
        with self._faults():
            found = consumer.offsets_for_times(
                {part: int(moment * 1000) for part in parts}, timeout_ms=ASK_MS
            )
        return {
            part.partition: found[part].offset if found.get(part) else bounds[part.partition][1]
            for part in parts
        }

    def span(self, partition: int, first: int, stop: int, *, keep_first: bool) -> Span:
        """Read the records from ``first`` up to ``stop``, which Kafka must have.

        Where they are too many for memory, those at the beginning are kept or those at the end:
        the span says what it holds.
        """
        consumer, _ = self._ready()
        part = TopicPartition(self._pager._settings.topic, partition)
        entries: deque[Entry] = deque()
        reached, size, began = first, 0, first
        with self._faults():
            consumer.assign([part])
            consumer.seek(part, first)
            while reached < stop:
                polled = consumer.poll(timeout_ms=POLL_MS).get(part, [])
                for record in polled:
                    if record.offset >= stop:
                        reached = stop
                        break
                    reached = record.offset + 1
                    self._records += 1
                    entry = self._pager._decoder.entry(client.record_of(record))
                    if entry is not None:
                        entries.append(entry)
                        size += len(entry.text)
                while not keep_first and size > SPAN_BYTES and len(entries) > 1:
                    dropped = entries.popleft()
                    size -= len(dropped.text)
                    began = dropped.offset + 1
                if keep_first and (size > SPAN_BYTES or (self.spent and reached > first)):
                    break
                # What is at the end is worth nothing until it is reached.
                if not polled and time.monotonic() > self._deadline + POLL_MS / 1000:
                    raise KafkaAwayError
        return Span(began, reached, tuple(entries))

    def end(self) -> None:
        """Let the next request read."""
        if self._entered:
            self._entered = False
            self._pager._leave()

    def _ready(self) -> tuple[Any, list[Any]]:
        pager = self._pager
        if not self._entered:
            pager._enter()
            self._entered = True
            self._deadline = time.monotonic() + MOST_SECONDS
        with self._faults():
            if pager._consumer is None:
                pager._consumer = pager._connect(pager._settings)
                self._deadline = time.monotonic() + MOST_SECONDS
            numbers = pager._consumer.partitions_for_topic(pager._settings.topic)
            if not numbers:
                raise LookupError(f"topic {pager._settings.topic} does not exist")
        topic = pager._settings.topic
        return pager._consumer, [TopicPartition(topic, number) for number in sorted(numbers)]

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except client.FAULTS as fault:
            self._pager._drop()
            raise KafkaAwayError(f"{type(fault).__name__}: {fault}") from fault
