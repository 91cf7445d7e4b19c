"""Turns for password hashes: a flood of logins leaves the other requests and the other users alone.

A hash takes a core for a fraction of a second. ``slots`` of them run at once; as many requests as
``waiting`` may wait for a slot. Each request of a party moves the turn of its next one further back
(a virtual clock, as in fair queueing), so parties that ask less come first. When all places are
taken, the request with the latest turn is rejected.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

RETRY_SECONDS = 1

# Half of the page's patience with a login.
_WAIT_SECONDS = 5.0
# How much further back a request moves the next one of its party. A user who logs in every five
# seconds loses nothing; an address that proved nothing is as good as any other after a minute.
_KNOWN_SECONDS = 5.0
_UNKNOWN_SECONDS = 60.0
# A party this far back is rejected before the database is asked: it asked more than five times.
_HAMMERING_SECONDS = 5 * _UNKNOWN_SECONDS
# A known party is ahead of the others by so much, with one request at a time.
_AHEAD_SECONDS = 30.0
_LATEST_SECONDS = 600.0
_PRUNE_AT = 1000


class BusyError(Exception):
    """Others come first, and no more requests may wait for a hash."""


class CrowdedError(BusyError):
    """As many requests of the same party as may are waiting for a hash already."""


@dataclass(frozen=True)
class Party:
    """Who shares turns: an address, or a user at one that is ``known`` as his."""

    name: str
    known: bool = False


@dataclass(eq=False)
class _Place:
    party: Party
    turn: float
    """When its turn is; the lowest is next."""
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
        self._turns: dict[str, float] = {}
        self._mine = threading.local()
        self._running = 0
        self._prune_at = _PRUNE_AT

    @property
    def running(self) -> int:
        """Hashes being made."""
        return self._running

    @property
    def waiting(self) -> int:
        """Requests that are in the room and do not hash: before, after, or for want of a slot."""
        return max(0, len(self._inside) - self._running)

    def check(self, party: Party) -> None:
        """Raise BusyError where a party that asked too often would come last in a full room.

        Before anything costs time: what :meth:`place` would find for it as one that is not known.
        """
        with self._changed:
            turn = self._turns.get(party.name, 0.0)
            rest = [other for other in self._inside if not other.hashing]
            full = len(self._inside) >= self.places
            hammers = turn > time.monotonic() + _HAMMERING_SECONDS
            if full and hammers and all(other.turn <= turn for other in rest):
                self._next_turn(party)
                raise BusyError

    @contextmanager
    def place(self, party: Party) -> Iterator[None]:
        """Be in the room for a while, to enter :meth:`slot` from there.

        Raises:
            CrowdedError: the party has its share of the places.
            BusyError: the room is full, and nobody in it comes after this party.
        """
        with self._changed:
            mine = _Place(party, self._next_turn(party))
            others = sum(other.party == party for other in self._inside)
            if others >= self.share:
                raise CrowdedError
            if party.known and not others:
                mine.turn -= _AHEAD_SECONDS
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
        mine = getattr(self._mine, "place", None) or _Place(Party(""), 0.0)
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
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                mine.hashing = False
                self._changed.notify_all()

    def _is_next(self, place: _Place) -> bool:
        return self._running < self.slots and min(self._queue, key=_turn_of) is place

    def _displace_for(self, place: _Place) -> None:
        others = (other for other in self._inside if not other.hashing)
        last = max((*others, place), key=_turn_of)
        if last is place:
            raise BusyError
        last.lost = True
        self._inside.remove(last)
        self._changed.notify_all()

    def _next_turn(self, party: Party) -> float:
        now = time.monotonic()
        if len(self._turns) >= self._prune_at:
            self._turns = {name: turn for name, turn in self._turns.items() if turn > now}
            self._prune_at = 2 * len(self._turns) + _PRUNE_AT
        turn = max(now, self._turns.get(party.name, now))
        later = turn + (_KNOWN_SECONDS if party.known else _UNKNOWN_SECONDS)
        self._turns[party.name] = min(later, now + _LATEST_SECONDS)
        return turn


def _turn_of(place: _Place) -> float:
    return place.turn
