"""What happened within the last hour, by minute, in little memory."""

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from typing import Final

MINUTES: Final = 60
SECONDS: Final = 60
LAG: Final = "lag"
# Upper bounds in milliseconds of the classes that latencies are counted in.
BOUNDS_MS: Final = (
    *(10, 20, 50, 100, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000),
    *(10_000, 30_000, 60_000, 300_000, 3_600_000),
)


class Minutes:
    """Counts by name, by minute (Unix seconds // 60), for the last hour. For all threads."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._minutes: dict[int, Counter[str]] = {}

    def note(self, name: str, at: float | None = None, count: int = 1) -> None:
        """Count something, now or at a time in Unix seconds; older than an hour does not count."""
        with self._lock:
            counts = self._of(at)
            if counts is not None:
                counts[name] += count

    def note_most(self, name: str, value: int) -> None:
        """Note a value of now, of which a minute keeps the highest; nought is not kept."""
        if value > 0:
            with self._lock:
                counts = self._of(None)
                if counts is not None:
                    counts[name] = max(counts[name], value)

    def by_minute(self) -> dict[int, dict[str, int]]:
        """Give the counts of the last hour, by minute; minutes without any are left out."""
        oldest = int(self._wall()) // SECONDS - MINUTES
        with self._lock:
            return {
                minute: dict(counts)
                for minute, counts in sorted(self._minutes.items())
                if minute > oldest
            }

    def _of(self, at: float | None) -> Counter[str] | None:
        now = self._wall()
        minute = int(now if at is None else at) // SECONDS
        oldest = int(now) // SECONDS - MINUTES
        if not oldest < minute <= int(now) // SECONDS + 1:
            return None
        for old in [each for each in self._minutes if each <= oldest]:
            del self._minutes[old]
        return self._minutes.setdefault(minute, Counter())


class Latencies:
    """How long changes took from their commit to Kafka, by minute of the last hour."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self.minutes = Minutes(wall)

    def note(self, lag_ms: int | None, at: float) -> None:
        """Note one; None, where the source does not tell, is not counted."""
        if lag_ms is not None:
            index = bisect_left(BOUNDS_MS, lag_ms)
            self.minutes.note(str(BOUNDS_MS[min(index, len(BOUNDS_MS) - 1)]), at)


def quantile(counts: dict[str, int], share: float) -> int | None:
    """Give, in ms, the upper bound of the class that this share of latencies is not beyond."""
    total = sum(counts.values())
    reached = 0
    for bound in sorted(int(bound) for bound in counts):
        reached += counts[str(bound)]
        if reached >= share * total:
            return bound
    return None
