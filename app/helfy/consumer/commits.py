"""Which offsets may be committed: those whose lines are on disk.

journald keeps a line in memory until its next sync, ``SyncIntervalSec`` after the first line
that is not synced yet. An offset is committed only when its line was written longer ago than
that and a margin, for journald to have read the line and to have written it to disk. A crash of
anything then replays lines, and loses none.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

MARGIN_SECONDS: Final = 0.5
# Lines written within this time become durable together, which bounds what is remembered.
GRAIN_SECONDS: Final = 0.05


@dataclass(slots=True)
class _Batch:
    first: float
    last: float
    next_offset: int


@dataclass(slots=True)
class _Partition:
    batches: deque[_Batch] = field(default_factory=deque)
    following: int = 0  # the next offset after all that is noted
    durable: int | None = None  # the next offset after the durable ones, until it is committed


class DurableOffsets:
    """The written and not yet committed offsets of each partition.

    Times are of one monotonic clock, in seconds. Offsets are those of Kafka: a committed offset
    is that of the next record to read. Not for several threads at once.
    """

    def __init__(self, sync_seconds: float, margin_seconds: float = MARGIN_SECONDS) -> None:
        self._age = sync_seconds + margin_seconds
        self._partitions: dict[int, _Partition] = {}

    def handled(self, partition: int, offset: int, at: float) -> None:
        """Note a record as done at a time: its line was written, or it has none.

        Records of a partition are noted in the order of their offsets. One that has no line
        waits as others do: committing it commits all before it.
        """
        state = self._partitions.setdefault(partition, _Partition())
        state.following = offset + 1
        batches = state.batches
        if batches and at - batches[-1].first < GRAIN_SECONDS:
            batches[-1].last = max(at, batches[-1].last)
            batches[-1].next_offset = offset + 1
        else:
            batches.append(_Batch(at, at, offset + 1))

    def passed(self, partition: int, following: int, at: float) -> None:
        """Note that all before an offset is gone and was told of, unless more is noted already."""
        if following > self._partitions.setdefault(partition, _Partition()).following:
            self.handled(partition, following - 1, at)

    def committable(self, now: float) -> dict[int, int]:
        """Give, by partition, the next offset after all that is durable, where there is news."""
        for state in self._partitions.values():
            while state.batches and now - state.batches[0].last >= self._age:
                state.durable = state.batches.popleft().next_offset
        return {
            partition: state.durable
            for partition, state in self._partitions.items()
            if state.durable is not None
        }

    def committed(self, offsets: Mapping[int, int]) -> None:
        """Note that Kafka took these offsets; what it did not take stays committable."""
        for partition, offset in offsets.items():
            state = self._partitions.get(partition)
            if state is not None and state.durable is not None and state.durable <= offset:
                state.durable = None

    def forget(self, partitions: Iterable[int] | None = None) -> None:
        """Drop partitions that are another's now, or all: what is not committed is read again."""
        for partition in list(self._partitions) if partitions is None else partitions:
            self._partitions.pop(partition, None)

    def settled_at(self) -> float | None:
        """Give when all that was handled is durable; None where it is already waiting or gone."""
        lasts = [state.batches[-1].last for state in self._partitions.values() if state.batches]
        return max(lasts) + self._age if lasts else None
