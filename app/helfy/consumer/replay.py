"""Remember the ids of the last changes, to tell a replay from a change."""

from typing import Final

CAPACITY: Final = 20_000


class SeenIds:
    """The last ``capacity`` ids; bounded, and empty after a restart.

    So a line without ``"replayed"`` may be a replay all the same: whoever counts changes counts
    distinct ids.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._ids: dict[bytes, None] = {}

    def seen(self, identity: str) -> bool:
        """Say whether this id (hexadecimal digits) was asked for before, and remember it."""
        key = bytes.fromhex(identity)
        known = self._ids.pop(key, self) is None
        self._ids[key] = None
        if len(self._ids) > self._capacity:
            del self._ids[next(iter(self._ids))]
        return known
