"""The topic's last lines, in memory: as many as fit a number and a size, of all partitions."""

import threading
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from helfy.feed.entry import Entry, Span

LINES: Final = 1000
BYTES: Final = 4 * 1024**2
# What an entry takes besides its text, about.
_ENTRY_BYTES: Final = 300


class Ring:
    """Lines by partition, each partition without a gap up to its next offset. For all threads."""

    def __init__(self, most_lines: int = LINES, most_bytes: int = BYTES) -> None:
        self._most = (most_lines, most_bytes)
        self._lock = threading.Lock()
        self._first: dict[int, int] = {}
        self._next: dict[int, int] = {}
        self._entries: dict[int, list[Entry]] = {}
        self._bytes = 0

    def restart(self, partition: int, first: int) -> None:
        """Forget a partition; its records come from ``first`` on."""
        with self._lock:
            for entry in self._entries.get(partition, ()):
                self._bytes -= _size(entry)
            self._entries[partition] = []
            self._first[partition] = self._next[partition] = first

    def keep_only(self, partitions: Iterable[int]) -> None:
        """Forget the partitions that the topic has no more."""
        gone = set(self._next) - set(partitions)
        for partition in gone:
            self.restart(partition, 0)
            with self._lock:
                del self._entries[partition], self._first[partition], self._next[partition]

    def add(self, partition: int, entries: Iterable[Entry], following: int) -> None:
        """Add a partition's next lines; ``following`` is the offset after their records."""
        with self._lock:
            kept = self._entries[partition]
            for entry in entries:
                kept.append(entry)
                self._bytes += _size(entry)
            self._next[partition] = following
            self._evict()

    def following(self) -> dict[int, int]:
        """Give the next offset of each partition."""
        with self._lock:
            return dict(self._next)

    def above(self, partition: int, offset: int) -> Span | None:
        """Give all from an offset on; None where that is not here."""
        with self._lock:
            first, following = self._first.get(partition), self._next.get(partition)
            if first is None or following is None or not first <= offset <= following:
                return None
            kept = self._entries[partition]
            return Span(offset, following, tuple(kept[_index(kept, offset) :]))

    def below(self, partition: int, offset: int) -> Span | None:
        """Give all that is here before an offset; None where nothing next to it is."""
        with self._lock:
            first, following = self._first.get(partition), self._next.get(partition)
            if first is None or following is None or not first < offset <= following:
                return None
            kept = self._entries[partition]
            return Span(first, offset, tuple(kept[: _index(kept, offset)]))

    def size(self) -> tuple[int, int]:
        """Give the lines that are here and their bytes."""
        with self._lock:
            return sum(map(len, self._entries.values())), self._bytes

    def _evict(self) -> None:
        lines = sum(map(len, self._entries.values()))
        while lines > self._most[0] or (self._bytes > self._most[1] and lines > 1):
            oldest = min((kept for kept in self._entries.values() if kept), key=lambda k: k[0].at)
            entry = oldest.pop(0)
            self._first[entry.partition] = entry.offset + 1
            self._bytes -= _size(entry)
            lines -= 1


def _index(kept: list[Entry], offset: int) -> int:
    return bisect_left(kept, offset, key=lambda entry: entry.offset)


def _size(entry: Entry) -> int:
    return len(entry.text) + _ENTRY_BYTES
