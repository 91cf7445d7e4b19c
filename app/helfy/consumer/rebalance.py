"""What a rebalance does: partitions come and go, on a thread of the library.

What was found out about kafka-python 3.0.12: with its eager assignors, which are its default,
all partitions are revoked before each rebalance, of which the first comes within a second of the
start; one that is assigned again at once keeps its position and is not read from the committed
offset. So what is revoked is forgotten only where it does not come back: else its last lines
would not be committed before the next record comes.
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from kafka.consumer.subscription_state import (  # type: ignore[import-untyped]  # no types shipped
    AsyncConsumerRebalanceListener,
)
from kafka.errors import KafkaError  # type: ignore[import-untyped]  # as above

from helfy.consumer.recorder import Recorder


class Assignments(Protocol):
    """Who decides where to go on with partitions."""

    def assigned(self, partitions: Iterable[int]) -> None:
        """Partitions came."""

    def gone(self, partitions: Iterable[int]) -> None:
        """Partitions went."""


class Listener:
    """Commits what is durable before partitions go to another member, and forgets them then."""

    def __init__(
        self,
        commit: Callable[[Mapping[int, int]], Awaitable[None]],
        recorder: Recorder,
        assignments: Assignments,
    ) -> None:
        self._commit = commit
        self._recorder = recorder
        self._assignments = assignments
        self._revoked: set[int] = set()

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Partitions may go, and may be committed still."""
        gone = {part.partition for part in revoked}
        durable = self._recorder.committable()
        # What cannot be committed is read again by whoever gets the partition.
        with contextlib.suppress(KafkaError):
            await self._commit({p: o for p, o in durable.items() if p in gone})
        self._revoked |= gone

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Reading goes on, or starts at what was committed, if that is there still."""
        owned, revoked = {part.partition for part in assigned}, self._revoked
        self._revoked = set()
        self._forget(revoked - owned)
        self._assignments.assigned(owned - revoked)

    async def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        """Partitions are another's already."""
        gone = {part.partition for part in lost}
        self._revoked -= gone
        self._forget(gone)

    def _forget(self, gone: set[int]) -> None:
        self._recorder.forget(gone)
        self._assignments.gone(gone)


# The library asks for its base class, which has no types to inherit from.
AsyncConsumerRebalanceListener.register(Listener)
