"""Turns for password hashes: a flood of logins leaves the other requests and the other users alone.

A hash takes a core for a fraction of a second. ``slots`` of them run at once; as many requests as
``waiting`` may wait for a slot. Whose turn is next is decided by what each party has had lately, so
whoever floods comes last, and when all places are taken, whoever would come last has to go.
"""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

RETRY_SECONDS = 1

# Half of the page's patience with a login.
_WAIT_SECONDS = 5.0
# For how long a hash counts against its party. A user who logs in every second is left alone; of
# an address that proved nothing, a minute is between two turns as good as anybody's.
_KNOWN_SECONDS = 1.0
_UNKNOWN_SECONDS = 60.0
# A known party is ahead of the others by so much.
_KNOWN_CREDIT_SECONDS = 30.0
_LONGEST_DEBT_SECONDS = 600.0
_PRUNE_AT = 1000
_arrivals = itertools.count()


class BusyError(Exception):
    """Others come first, and no more requests may wait for a hash."""


class CrowdedError(BusyError):
    """As many requests of the same party as may are waiting for a hash already."""


@dataclass(frozen=True)
class Party:
    """Who shares turns: an address, or a user who has ``known`` it as an address of his before."""

    name: str
    known: bool = False


@dataclass(eq=False)
class _Place:
    party: Party
    arrival: int = field(default_factory=lambda: next(_arrivals))
    hashing: bool = False
    lost: bool = False


class HashRoom:
    """Gives the requests of a process turns at hashing; one for a process, used by many threads."""

    def __init__(self, slots: int, waiting: int) -> None:
        self.slots = slots
        self.places = slots + waiting
        """Requests that may be in the room at once."""
        self.share = max(1, self.places - 1)
        """How many of them may be of one party."""
        self._changed = threading.Condition()
        self._inside: list[_Place] = []
        self._queue: list[_Place] = []
        self._debts: dict[str, float] = {}
        self._mine = threading.local()
        self._running = 0

    @property
    def running(self) -> int:
        """Hashes being made."""
        return self._running

    @property
    def waiting(self) -> int:
        """Requests that are in the room and do not hash: before, after, or for want of a slot."""
        return max(0, len(self._inside) - self._running)

    @contextmanager
    def place(self, party: Party) -> Iterator[None]:
        """Be in the room for a while, to enter :meth:`slot` from there.

        Raises:
            CrowdedError: the party has its share of the places.
            BusyError: the room is full, and nobody in it comes after this party.
        """
        mine = _Place(party)
        with self._changed:
            if sum(other.party == party for other in self._inside) >= self.share:
                raise CrowdedError
            if len(self._inside) >= self.places:
                self._displace_for(mine)
            self._inside.append(mine)
        self._mine.place = mine
        try:
            yield
        finally:
            self._mine.place = None
            with self._changed:
                if not mine.lost:
                    self._inside.remove(mine)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a slot and hold it; raise BusyError where the place is lost meanwhile."""
        mine = getattr(self._mine, "place", None) or _Place(Party("", known=True))
        with self._changed:
            self._queue.append(mine)
            in_time = self._changed.wait_for(
                lambda: mine.lost or self._is_next(mine), _WAIT_SECONDS
            )
            self._queue.remove(mine)
            # There may be a slot for another one too.
            self._changed.notify_all()
            if mine.lost or not in_time:
                raise BusyError
            self._running += 1
            mine.hashing = True
            self._charge(mine.party)
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                mine.hashing = False
                self._changed.notify_all()

    def _is_next(self, place: _Place) -> bool:
        return self._running < self.slots and min(self._queue, key=self._rank) is place

    def _displace_for(self, place: _Place) -> None:
        last = max((other for other in [*self._inside, place] if not other.hashing), key=self._rank)
        if last is place:
            raise BusyError
        last.lost = True
        self._inside.remove(last)
        self._changed.notify_all()

    def _rank(self, place: _Place) -> tuple[float, int]:
        """Order the places: lowest first."""
        debt = max(0.0, self._debts.get(place.party.name, 0.0) - time.monotonic())
        return debt - (_KNOWN_CREDIT_SECONDS if place.party.known else 0.0), place.arrival

    def _charge(self, party: Party) -> None:
        now = time.monotonic()
        if len(self._debts) > _PRUNE_AT:
            self._debts = {name: ends for name, ends in self._debts.items() if ends > now}
        ends = max(now, self._debts.get(party.name, now))
        ends += _KNOWN_SECONDS if party.known else _UNKNOWN_SECONDS
        self._debts[party.name] = min(ends, now + _LONGEST_DEBT_SECONDS)
