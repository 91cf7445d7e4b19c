"""How far the consumers are: what Kafka itself knows of their groups."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from helfy.feed import client
from helfy.feed.reader import StreamReader
from helfy.feed.settings import Stream

FRESH_SECONDS: Final = 2.0
# A consumer commits about two seconds after a record came; see also stream_health.
STALL_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer's group: records without a committed line, and the age of the oldest.

    Both are None where Kafka does not tell: it is away, or the group never committed.
    """

    name: str
    lag: int | None
    behind_seconds: float | None

    @property
    def well(self) -> bool:
        """Whether the oldest record without a committed line is younger than it may be."""
        return self.behind_seconds is not None and self.behind_seconds <= STALL_SECONDS


class Groups:
    """Asks Kafka every other second at most, whoever wants to know."""

    def __init__(
        self,
        settings: Stream,
        reader: StreamReader,
        connect: Callable[[Stream], Any] | None = None,
    ) -> None:
        self._settings = settings
        self._reader = reader
        self._connect = connect or client.administrate
        self._lock = threading.Lock()
        self._admin: Any = None
        self._asked_at = float("-inf")
        self._known: list[Group] = []

    def look(self) -> list[Group]:
        """Give the groups of the settings."""
        with self._lock:
            if time.monotonic() - self._asked_at > FRESH_SECONDS:
                self._known = self._ask()
                self._asked_at = time.monotonic()
            return list(self._known)

    def close(self) -> None:
        """Close the connection, if there is one."""
        admin, self._admin = self._admin, None
        if admin is not None:
            with contextlib.suppress(*client.FAULTS):
                admin.close()

    def _ask(self) -> list[Group]:
        names = self._settings.consumer_groups
        # Where the reader is cut off there is nobody to ask, and asking would take seconds.
        if not names or self._reader.pulse.feed() == "cutOff":
            return [Group(name, None, None) for name in names]
        try:
            if self._admin is None:
                self._admin = self._connect(self._settings)
            told = self._admin.list_group_offsets(dict.fromkeys(names))
        except client.FAULTS:
            self.close()
            return [Group(name, None, None) for name in names]
        return [self._group(name, told.get(name, {})) for name in names]

    def _group(self, name: str, told: Mapping[Any, Any]) -> Group:
        committed = {
            part.partition: place.offset
            for part, place in told.items()
            if part.topic == self._settings.topic and place.offset >= 0
        }
        if not committed:
            return Group(name, None, None)
        now, lag, behind = time.time(), 0, 0.0
        for partition, following in self._reader.ring.following().items():
            done = committed.get(partition, self._reader.begins_with(partition) or 0)
            lag += max(0, following - done)
            behind = max(behind, self._reader.marks.age(partition, done, now))
        return Group(name, lag, behind)
