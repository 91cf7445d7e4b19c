"""How far the consumers are, and what they note in their commits, as Kafka knows it."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Engine

from helfy import gaps, jsonlog
from helfy.consumer.lost import Lost, Place, journal_fault
from helfy.database import transaction
from helfy.feed import client
from helfy.feed.reader import StreamReader
from helfy.feed.settings import Stream

log = jsonlog.get(__name__)

FRESH_SECONDS: Final = 2.0
# A consumer commits about a second after a record came; see also stream_health.
STALL_SECONDS: Final = 15.0
_SOURCE_LENGTH: Final = 190


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer's group: records without a committed line, and the age of the oldest.

    Both are None where Kafka does not tell: it is away, or the group never committed.
    ``journal_fault`` says why lines do not come to the persistent journal, with the remedy.
    """

    name: str
    lag: int | None
    behind_seconds: float | None
    journal_fault: str | None = None
    lost: tuple[Lost, ...] = ()

    @property
    def well(self) -> bool:
        """Whether the oldest record without a committed line is younger than it may be."""
        if self.journal_fault is not None:
            return False
        return self.behind_seconds is not None and self.behind_seconds <= STALL_SECONDS

    @property
    def said(self) -> str | None:
        """How it is, in words; None where Kafka does not tell."""
        if self.journal_fault is not None:
            return self.journal_fault
        if self.lag is None or self.behind_seconds is None:
            return None
        if self.lag == 0:
            return "every record has its line"
        count = "1 record has" if self.lag == 1 else f"{self.lag} records have"
        return f"{count} no line yet, the oldest for {self.behind_seconds:.0f} s"


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
        places = {
            part.partition: place
            for part, place in told.items()
            if part.topic == self._settings.topic and place.offset >= 0
        }
        committed = {partition: place.offset for partition, place in places.items()}
        if not committed:
            return Group(name, None, None)
        now, lag, behind = time.time(), 0, 0.0
        for partition, following in self._reader.ring.following().items():
            done = committed.get(partition, self._reader.begins_with(partition) or 0)
            lag += max(0, following - done)
            behind = max(behind, self._reader.marks.age(partition, done, now))
        faults = [journal_fault(place.metadata) for place in places.values()]
        notes = [Place.read(place.offset, place.metadata) for place in places.values()]
        lost = tuple(each for note in notes if note is not None for each in note.lost)
        return Group(name, lag, behind, next(filter(None, faults), None), lost)


def announce_losses(engine: Engine, groups: Iterable[Group]) -> None:
    """Announce a gap of the record for each loss that a consumer notes. Raises as SQLAlchemy."""
    for group in groups:
        for lost in group.lost:
            place = f"{lost.topic_id}:{lost.partition}:{lost.first}"
            new = gaps.NewGap(
                cause="records_lost",
                source_id=f"records_lost:{place}:{group.name}"[:_SOURCE_LENGTH],
                ends_at=datetime.fromisoformat(lost.at) if lost.at else None,
                detail=f"{group.name}: {lost.words}",
            )
            gap = transaction(engine, lambda connection, new=new: gaps.announce(connection, new))  # type: ignore[misc]
            if gap is not None:
                log.error("gap_announced", extra={"fields": gaps.log_fields(gap)})
