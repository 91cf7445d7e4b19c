"""When a record stood in Kafka, by its offset: enough to say how old an offset is."""

import threading
from bisect import bisect_right
from typing import Final

MOST: Final = 600
GRAIN_SECONDS: Final = 0.5


class Marks:
    """Some of the last offsets of each partition, with their time in Unix seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._marks: dict[int, list[tuple[int, float]]] = {}

    def note(self, partition: int, offset: int, at: float) -> None:
        """Note when a record came."""
        with self._lock:
            marks = self._marks.setdefault(partition, [])
            if marks and offset <= marks[-1][0]:  # the topic was made anew
                marks.clear()
            if not marks or at - marks[-1][1] >= GRAIN_SECONDS:
                marks.append((offset, at))
                del marks[:-MOST]

    def age(self, partition: int, following: int, now: float) -> float:
        """Give the least age in seconds of the oldest record from an offset on; 0 for none."""
        with self._lock:
            marks = self._marks.get(partition, [])
            index = bisect_right(marks, following - 1, key=lambda mark: mark[0])
            return max(0.0, now - marks[index][1]) if index < len(marks) else 0.0
