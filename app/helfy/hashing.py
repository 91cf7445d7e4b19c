"""Room for a few password hashes at a time: a flood of logins leaves the other requests alone.

A hash takes a core for a fraction of a second. ``slots`` of them run at once; as many requests
as ``waiting`` may wait for a slot. Whoever comes then is told at once to come again, before any
work is done, so that a process keeps threads for everything else.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

RETRY_SECONDS = 1


class BusyError(Exception):
    """As many requests as may are waiting for a hash already."""


class HashRoom:
    """Counts the requests that hash passwords; one for a process, used by many threads."""

    def __init__(self, slots: int, waiting: int) -> None:
        self.slots = slots
        self.places = slots + waiting
        """Requests that may be in the room at once."""
        self._free_places = threading.Semaphore(self.places)
        self._free_slots = threading.Semaphore(slots)
        self._lock = threading.Lock()
        self._inside = 0
        self._running = 0

    @property
    def running(self) -> int:
        """Hashes being made."""
        return self._running

    @property
    def waiting(self) -> int:
        """Requests that are in the room and do not hash: before, after, or for want of a slot."""
        return max(0, self._inside - self._running)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Be in the room for the whole of a request; BusyError where it is full."""
        if not self._free_places.acquire(blocking=False):
            raise BusyError
        self._count(inside=1)
        try:
            yield
        finally:
            self._count(inside=-1)
            self._free_places.release()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a slot and hold it; only from inside a :meth:`place`."""
        with self._free_slots:
            self._count(running=1)
            try:
                yield
            finally:
                self._count(running=-1)

    def _count(self, inside: int = 0, running: int = 0) -> None:
        with self._lock:
            self._inside += inside
            self._running += running
