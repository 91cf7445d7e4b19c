"""Tell which records Kafka dropped, by its retention, before they were read."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lost:
    """Offsets of a partition that were never read and are gone: the first and the last."""

    partition: int
    first: int
    last: int


class Losses:
    """Compares where reading was to go on with where the partition now begins.

    ``committed`` gives the committed offset of a partition, None where there is none;
    ``beginnings`` the first offset that each of some partitions has. Both ask Kafka and may
    raise: what they would have told is asked again by the next ``check``.
    """

    def __init__(
        self,
        committed: Callable[[int], int | None],
        beginnings: Callable[[Iterable[int]], Mapping[int, int]],
    ) -> None:
        self._committed = committed
        self._beginnings = beginnings
        self._assigned: set[int] = set()
        self._next: dict[int, int] = {}
        self._doubts: dict[int, int] = {}  # where reading was to go on, by partition

    def assigned(self, partitions: Iterable[int]) -> None:
        """Partitions came; reading them goes on at what was committed."""
        self._assigned.update(partitions)

    def gone(self, partitions: Iterable[int]) -> None:
        """Partitions went."""
        for partition in partitions:
            self._assigned.discard(partition)
            self._next.pop(partition, None)
            self._doubts.pop(partition, None)

    def polled(self, partition: int, first: int, last: int) -> None:
        """Note the first and last offset that a poll gave; a gap before them is a doubt.

        Offsets that a transaction or compaction left out are gaps as well, which ``check`` sees.
        """
        following = self._next.get(partition)
        if following is not None and first > following:
            self._doubts.setdefault(partition, following)
        self._next[partition] = last + 1

    def check(self) -> list[Lost]:
        """Ask Kafka about what is new or in doubt; give what is lost, each loss once."""
        for partition in tuple(self._assigned):
            committed = self._committed(partition)
            self._assigned.discard(partition)
            if committed is not None:
                self._doubts[partition] = committed
        doubts = dict(self._doubts)
        if not doubts:
            return []
        beginnings = self._beginnings(doubts)
        for partition in doubts:
            self._doubts.pop(partition, None)
        return [
            Lost(partition, following, beginnings[partition] - 1)
            for partition, following in sorted(doubts.items())
            if beginnings.get(partition, 0) > following
        ]
