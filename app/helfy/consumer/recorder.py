"""From records to lines, and from lines to what may be committed and is known to be written."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from helfy import jsonlog
from helfy.consumer import metrics
from helfy.consumer.change import Record
from helfy.consumer.commits import DurableOffsets
from helfy.consumer.lost import Lost
from helfy.consumer.pipeline import Pipeline
from helfy.consumer.replay import Replays
from helfy.consumer.settings import Settings

log = jsonlog.get(__name__)


class Recorder:
    """Writes the lines of records, in the order in which they are given.

    ``write`` takes a line and gives the monotonic time when it was out; it may raise OSError,
    and then nothing of that line is remembered. ``unread`` gives how many bytes at most of what
    was written are not read yet, None where nobody can tell; it may raise OSError too. ``clock``
    is monotonic, ``wall`` in Unix seconds. For several threads: callbacks of a rebalance come on
    one of their own.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the world outside, which tests make up
        self,
        settings: Settings,
        write: Callable[[bytes], float],
        replays: Replays,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        unread: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._pipeline = Pipeline(settings, replays, wall)
        self._offsets = DurableOffsets(settings.sync_interval_seconds)
        self._write = write
        self._replays = replays
        self._clock = clock
        self._wall = wall
        self._unread = unread
        self._lock = threading.Lock()
        self.lines = 0

    def record(self, records: Iterable[Record]) -> None:
        """Write what there is to write."""
        with self._lock:
            self._replays.begin(self._offsets.vouched(*self._look()))
            try:
                for record in records:
                    self._record(record)
            finally:
                self._replays.flush()

    def committable(self) -> dict[int, int]:
        """Give, by partition, the next offset after all that is durable, where there is news."""
        with self._lock:
            now, unread = self._look()
            offsets = self._offsets.committable(now, unread)
            if offsets:
                self._replays.settled(offsets, self._offsets.vouched(now, unread))
            return offsets

    def committed(self, offsets: Mapping[int, int]) -> None:
        """Note that Kafka took these offsets; what it did not take stays committable."""
        with self._lock:
            self._offsets.committed(offsets)

    def lost(self, lost: Lost) -> None:
        """Say that records are gone that were never read; reading goes on after them."""
        fields = {
            "partition": lost.partition,
            "from": lost.first,
            "to": lost.last,
            "records": lost.last - lost.first + 1,
        }
        log.error("records_lost", extra={"fields": fields})
        metrics.lost.inc(lost.last - lost.first + 1)
        with self._lock:
            self._offsets.passed(lost.partition, lost.last + 1, self._clock())

    def forget(self, partitions: Iterable[int] | None = None) -> None:
        """Drop partitions that are another's now, or all: what is not committed is read again."""
        gone = None if partitions is None else set(partitions)
        with self._lock:
            self._offsets.forget(gone)
            self._replays.forget(gone)

    def settled_at(self) -> float | None:
        """Give when all that was written is durable, if it is read; None where it is already."""
        with self._lock:
            return self._offsets.settled_at(*self._look())

    def _look(self) -> tuple[float, int | None]:
        """Give the time and what is not read yet, which was asked before."""
        unread = self._unread()
        return self._clock(), unread

    def _record(self, record: Record) -> None:
        line = self._pipeline.line(record)
        metrics.records.inc()
        size = 0
        if line is None:
            written = self._clock()
        else:
            written = self._write(line.text)
            size = len(line.text) + 1  # its line break
            self._replays.written(record.partition, line.identity)
            self.lines += 1
            metrics.wrote(line.change, self._wall(), again=line.replayed)
        self._offsets.handled(record.partition, record.offset, written, size)
