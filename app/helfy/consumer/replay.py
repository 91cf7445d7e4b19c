"""Which lines are known to be in the record, to tell a replay from a change.

A line is known by 16 bytes (see ``identity``) once it was read back from the persistent journal:
one of this process, of another worker, or of a process before it. A line that is only written is
not known, for it may be lost.
"""

import threading
from collections.abc import Iterable
from typing import Final

CAPACITY: Final = 65_536  # lines, some 8 MB


class Replays:
    """The last known lines; bounded, so a replay of an older one is not known. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[bytes, None] = {}

    def known(self, identity: bytes) -> bool:
        """Say whether this line is in the record."""
        return identity in self._lines

    def note(self, identities: Iterable[bytes]) -> None:
        """Add lines that are in the record, oldest first."""
        with self._lock:
            for identity in identities:
                self._lines.pop(identity, None)
                self._lines[identity] = None
                if len(self._lines) > CAPACITY:
                    del self._lines[next(iter(self._lines))]

    def forget(self) -> None:
        """Drop all: in a topic that was created anew the same offset is another record."""
        with self._lock:
            self._lines.clear()
