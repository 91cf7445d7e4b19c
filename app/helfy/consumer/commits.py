"""Which offsets may be committed: those whose lines were read back from the persistent journal.

journald tells a writer nothing: not whether it has read a line, nor whether that went to disk, to
memory (``/run``, where the disk is full) or nowhere. So each line of this process waits here until
a reader has found it in the journal's files under ``/var/log/journal`` and synced them. A crash of
anything then replays lines, and loses none.

Without a reader (a pipe, a file, a terminal) a line counts as durable once it is written.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from helfy.consumer.identity import identity_of
from helfy.consumer.replay import Replays

# Reading waits where more lines than this are not confirmed: it bounds memory, and replays.
MAX_WAITING: Final = 5000
# A line is read back within a second; a disk may stall for a while.
PERSISTENT_WITHIN_SECONDS: Final = 5.0
# A line that the journal lacks although it has a later one is lost after this.
GRACE_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.02


class Reader(Protocol):
    """Reads the record back."""

    def read(self) -> list[bytes]:
        """Give the next lines of the record, in order; each is on disk when this returns.

        The first call begins with what was there before. Some at most: call it again until it
        gives none. Raises OSError where there is no persistent journal, or it cannot be read.
        """


@dataclass(slots=True)
class _Line:
    """A line that was written, and what may be committed once it is confirmed."""

    text: int  # its hash, within this process alone
    at: float
    confirmed: bool = False
    offsets: dict[int, int] = field(default_factory=dict)
    identity: bytes | None = None


class WrittenLines:
    """The lines of this process that are not confirmed, in the order in which they were written.

    Times are of one monotonic clock, in seconds. Offsets are those of Kafka: a committed offset
    is that of the next record to read. For any thread.
    """

    def __init__(
        self,
        replays: Replays,
        reader: Reader | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._replays = replays
        self._reader = reader
        self._clock = clock
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._lines: deque[_Line] = deque()
        self._texts: dict[int, deque[_Line]] = {}
        self._awaited: dict[bytes, int] = {}  # identities of lines that wait
        self._durable: dict[int, int] = {}
        self._lost_since: float | None = None

    def wrote(self, text: bytes) -> None:
        """Note a line, without its line break, which is written right after this."""
        if self._reader is not None:
            line = _Line(hash(text), self._clock())
            with self._lock:
                self._lines.append(line)
                self._texts.setdefault(line.text, deque()).append(line)

    def handled(
        self, partition: int, offset: int, text: bytes = b"", identity: bytes | None = None
    ) -> None:
        """Note a record as done: its line with this text and identity was written, or it has none.

        Records of a partition are noted in the order of their offsets. One that has no line
        waits for the lines before it: committing it commits all of them.
        """
        with self._lock:
            if self._lines:
                self._lines[-1].offsets[partition] = offset + 1
            else:
                self._durable[partition] = offset + 1
            if identity is None:
                return
            lines = self._texts.get(hash(text))
            if lines is not None:
                lines[-1].identity = identity
                self._awaited[identity] = self._awaited.get(identity, 0) + 1
                return
        self._replays.note([identity])

    def awaited(self, identity: bytes) -> bool:
        """Say whether a line of this identity was written, and can soon be confirmed."""
        return identity in self._awaited and not self.late

    def confirm(self) -> None:
        """Read on in the record, and note what is there. Raises OSError as the reader does."""
        if self._reader is None:
            return
        with self._reading:
            while texts := self._reader.read():
                self._note(texts)

    def settle(self, seconds: float) -> bool:
        """Wait until all lines are confirmed, some seconds at most; say whether they are."""
        until = time.monotonic() + seconds
        while self.waiting:
            try:
                self.confirm()
            except OSError:
                return False
            if time.monotonic() >= until:
                break
            if self.waiting:
                time.sleep(_PAUSE_SECONDS)
        return not self.waiting

    @property
    def waiting(self) -> int:
        """How many lines are not confirmed."""
        return len(self._lines)

    @property
    def late(self) -> bool:
        """Whether lines do not come to the persistent journal."""
        return self.waiting_seconds() > PERSISTENT_WITHIN_SECONDS

    def waiting_seconds(self) -> float:
        """Give for how long the oldest line that is not confirmed has waited; 0 without one."""
        with self._lock:
            return self._clock() - self._lines[0].at if self._lines else 0.0

    def missing(self) -> int:
        """Give how many lines the journal lacks for good: it has had later ones for a while."""
        with self._lock:
            if self._lost_since is None or self._clock() - self._lost_since < GRACE_SECONDS:
                return 0
            return sum(not line.confirmed for line in self._lines)

    def committable(self) -> dict[int, int]:
        """Give, by partition, the next offset after all that is durable, where there is news."""
        with self._lock:
            return dict(self._durable)

    def committed(self, offsets: Mapping[int, int]) -> None:
        """Note that Kafka took these offsets; what it did not take stays committable."""
        with self._lock:
            for partition, offset in offsets.items():
                if self._durable.get(partition, offset + 1) <= offset:
                    del self._durable[partition]

    def forget(self, partitions: Iterable[int] | None = None) -> None:
        """Drop the offsets of partitions, or of all, that are not committed: they are read again.

        Lines wait on: what is confirmed of them is known when it comes again.
        """
        with self._lock:
            for offsets in (self._durable, *(line.offsets for line in self._lines)):
                for partition in list(offsets) if partitions is None else partitions:
                    offsets.pop(partition, None)

    def give_up(self) -> None:
        """Wait for no line any more."""
        with self._lock:
            self._lines.clear()
            self._texts.clear()
            self._awaited.clear()
            self._lost_since = None

    def _note(self, texts: Iterable[bytes]) -> None:
        known: list[bytes] = []
        with self._lock:
            for text in texts:
                identity = (
                    self._confirm(hash(text)) if hash(text) in self._texts else identity_of(text)
                )
                if identity is not None:
                    known.append(identity)
            while self._lines and self._lines[0].confirmed:
                self._durable.update(self._lines.popleft().offsets)
            if not any(line.confirmed for line in self._lines):
                self._lost_since = None
            elif self._lost_since is None:
                self._lost_since = self._clock()
        self._replays.note(known)

    def _confirm(self, text: int) -> bytes | None:
        """Note that the oldest line of a text is there; give its identity, if it has one."""
        lines = self._texts[text]
        line = lines.popleft()
        if not lines:
            del self._texts[text]
        line.confirmed = True
        if line.identity is not None:
            self._awaited[line.identity] -= 1
            if not self._awaited[line.identity]:
                del self._awaited[line.identity]
        return line.identity
