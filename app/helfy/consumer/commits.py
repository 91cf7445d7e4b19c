"""Which offsets may be committed: those whose lines are on disk.

journald keeps a line in memory until its next sync, ``SyncIntervalSec`` after the first line
that is not synced yet. An offset is committed only when its line was seen to be read longer ago
than that and a margin, for journald to have written it to disk. A crash of anything then replays
lines, and loses none.

A stream to journald holds what was not read yet, some megabytes where a disk stalls, so the time
since a line was written says nothing of it: the kernel is asked how much that is. Where it cannot
tell (a file, a pipe), a line counts as read when it is written. How long the sync itself takes
nobody tells: the margin is for that.
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
    end: int  # how many bytes were written with its last line
    read: float | None = None  # when it was seen to be read


@dataclass(slots=True)
class _Partition:
    batches: deque[_Batch] = field(default_factory=deque)
    following: int = 0  # the next offset after all that is noted
    durable: int | None = None  # the next offset after the durable ones, until it is committed


class DurableOffsets:
    """The written and not yet committed offsets of each partition.

    Times are of one monotonic clock, in seconds. Offsets are those of Kafka: a committed offset
    is that of the next record to read. ``unread`` is how many bytes at most of what was written are
    not read yet: too many, by what others wrote to the same stream and by the kernel's own share,
    never too few; None where nobody can tell. Not for several threads at once.
    """

    def __init__(self, sync_seconds: float, margin_seconds: float = MARGIN_SECONDS) -> None:
        self._age = sync_seconds + margin_seconds
        self._partitions: dict[int, _Partition] = {}
        self._written = 0  # bytes

    def handled(self, partition: int, offset: int, at: float, size: int = 0) -> None:
        """Note a record as done at a time: its line of ``size`` bytes was written, or it has none.

        Records of a partition are noted in the order of their offsets. One that has no line
        waits as others do: committing it commits all before it.
        """
        state = self._partitions.setdefault(partition, _Partition())
        state.following = offset + 1
        self._written += size
        newest = state.batches[-1] if state.batches else None
        if newest is not None and newest.read is None and at - newest.first < GRAIN_SECONDS:
            newest.last = max(at, newest.last)
            newest.next_offset = offset + 1
            newest.end = self._written
        else:
            state.batches.append(_Batch(at, at, offset + 1, self._written))

    def passed(self, partition: int, following: int, at: float) -> None:
        """Note that all before an offset is gone and was told of, unless more is noted already."""
        if following > self._partitions.setdefault(partition, _Partition()).following:
            self.handled(partition, following - 1, at)

    def committable(self, now: float, unread: int | None = None) -> dict[int, int]:
        """Give, by partition, the next offset after all that is durable, where there is news."""
        self._seen(now, unread)
        for state in self._partitions.values():
            while state.batches and self._durable(state.batches[0], now):
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

    def settled_at(self, now: float, unread: int | None = None) -> float | None:
        """Give when all that was handled is durable; None where it is already waiting or gone.

        What is not read yet counts as if it were read now: it may take longer.
        """
        self._seen(now, unread)
        newest = [state.batches[-1] for state in self._partitions.values() if state.batches]
        reads = [now if batch.read is None else batch.read for batch in newest]
        return max(reads) + self._age if reads else None

    def vouched(self, now: float, unread: int | None = None) -> float:
        """Give the latest time, up to now, at which all is durable that is older by the age."""
        self._seen(now, unread)
        waiting = (
            batch.first + self._age
            for state in self._partitions.values()
            for batch in state.batches
            if not self._durable(batch, now)
        )
        return min([now, *waiting])

    def _seen(self, now: float, unread: int | None) -> None:
        for state in self._partitions.values():
            for batch in state.batches:
                if batch.read is not None:
                    continue
                if unread is None:
                    batch.read = batch.last
                elif batch.end <= self._written - unread:
                    batch.read = now
                else:
                    break

    def _durable(self, batch: _Batch, now: float) -> bool:
        return batch.read is not None and now - batch.read >= self._age
