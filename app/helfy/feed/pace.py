"""When viewers are to ask again: soon where they are few, and evenly spread where they are many."""

import threading
import time
from collections.abc import Callable
from typing import Final

SOONEST_SECONDS: Final = 0.3
LATEST_SECONDS: Final = 1.0
# What a process answers without anybody's log-in noticing. Beyond it, the latest moment holds, and
# for so long after viewers have left.
PER_SECOND: Final = 20.0
BACKLOG_SECONDS: Final = 2.0


class Pace:
    """Gives each request a turn of its own. For all threads of a process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._given = float("-inf")

    def next_ms(self) -> int:
        """Say after how many milliseconds whoever asks now is to ask again."""
        with self._lock:
            now = self._clock()
            turn = max(now + SOONEST_SECONDS, self._given + 1 / PER_SECOND)
            self._given = min(turn, now + BACKLOG_SECONDS)
            return round(min(turn - now, LATEST_SECONDS) * 1000)
