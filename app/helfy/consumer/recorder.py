"""From records to lines, and from lines to what may be committed and is known to be on record."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from helfy import jsonlog
from helfy.consumer import metrics
from helfy.consumer.change import Record
from helfy.consumer.commits import WrittenLines
from helfy.consumer.lost import Lost
from helfy.consumer.pipeline import Pipeline
from helfy.consumer.replay import Replays
from helfy.consumer.settings import Settings

log = jsonlog.get(__name__)

# A line that was written and not confirmed, and comes again, is waited for: then it is known.
SETTLE_SECONDS: Final = 2.0


class Recorder:
    """Writes the lines of records, in the order in which they are given.

    ``write`` takes a line; it may raise OSError, and then nothing of that line is remembered.
    ``written`` gets each line of ``write``. ``wall`` is in Unix seconds. For several threads:
    callbacks of a rebalance come on one of their own.
    """

    def __init__(
        self,
        settings: Settings,
        write: Callable[[bytes], object],
        written: WrittenLines,
        replays: Replays,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._pipeline = Pipeline(settings, self._known, wall)
        self._write = write
        self._written = written
        self._replays = replays
        self._wall = wall
        self._lock = threading.Lock()
        self.lines = 0

    def record(self, records: Iterable[Record]) -> None:
        """Write what there is to write."""
        with self._lock:
            for record in records:
                self._record(record)

    def read_back(self) -> None:
        """Learn what is on record by now: before lines are written that others may have written."""
        with contextlib.suppress(OSError):  # without a journal nothing is
            self._written.confirm()

    def committable(self) -> dict[int, int]:
        """Give, by partition, the next offset after all that is durable, where there is news."""
        return self._written.committable()

    def committed(self, offsets: Mapping[int, int]) -> None:
        """Note that Kafka took these offsets; what it did not take stays committable."""
        self._written.committed(offsets)

    def lost(self, lost: Lost) -> None:
        """Say that records are gone that were never read."""
        log.error("records_lost", extra={"fields": lost.fields()})
        metrics.losses.labels(lost.cause).inc()
        metrics.lost.inc(lost.records or 0)
        if lost.cause == "topic_recreated":
            self._replays.forget()

    def forget(self, partitions: Iterable[int] | None = None) -> None:
        """Drop partitions that are another's now, or all: what is not committed is read again."""
        with self._lock:
            self._written.forget(partitions)

    def _known(self, identity: bytes) -> bool:
        if self._written.awaited(identity):
            self._written.settle(SETTLE_SECONDS)
        return self._replays.known(identity)

    def _record(self, record: Record) -> None:
        line = self._pipeline.line(record)
        metrics.records.inc()
        if line is None:
            self._written.handled(record.partition, record.offset)
            return
        self._write(line.text)
        self._written.handled(record.partition, record.offset, line.text, line.identity)
        self.lines += 1
        metrics.wrote(line.change, self._wall(), again=line.replayed)
