"""Where reading goes on, and which records are gone that were never read.

Each commit has a note of this consumer's in its metadata: the topic's id, the epoch of the record
before it, the end of the partition as far as it was known. A copy of it stays in the state
directory, since Kafka drops a group's offsets with their topic, and after a time without a member.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

Cause = Literal["retention", "topic_recreated", "log_truncated"]
_WHY: Final[Mapping[Cause, str]] = {
    "retention": "Kafka had deleted them",
    "topic_recreated": "the topic was deleted and created anew",
    "log_truncated": "Kafka's log was truncated",
}
MOST_LOSSES: Final = 5  # that a note has; the API reads it every few seconds


@dataclass(frozen=True, slots=True)
class Lost:
    """Records of a partition that were never read and are gone: the first offset and the last.

    ``last`` is None where nobody knows how many there were; where the cause is not ``retention``
    there may have been more than is known. ``at`` is RFC 3339.
    """

    partition: int
    first: int
    last: int | None
    cause: Cause = "retention"
    topic_id: str | None = None
    at: str | None = None

    @property
    def records(self) -> int | None:
        """How many, as far as known."""
        return None if self.last is None else self.last - self.first + 1

    @property
    def words(self) -> str:
        """What happened, for people."""
        many = "an unknown number of records" if self.records is None else f"{self.records} records"
        return (
            f"{many} of partition {self.partition} from offset {self.first} on "
            f"were lost before they were read: {_WHY[self.cause]}"
        )

    def fields(self) -> dict[str, object]:
        """Give it as a line says it."""
        return {
            "partition": self.partition,
            "from": self.first,
            "to": self.last,
            "records": self.records,
            "cause": self.cause,
            "topicId": self.topic_id,
        }


@dataclass(frozen=True, slots=True)
class Place:
    """The offset of the next record to read, with what was known when it was committed.

    ``epoch`` is that of the leader that stored the record before it, -1 where it is not known.
    """

    offset: int
    topic_id: str | None = None
    epoch: int = -1
    end: int | None = None
    lost: tuple[Lost, ...] = ()

    def note(self, journal: Mapping[str, object] | None = None) -> str:
        """Write the metadata of the commit; ``journal`` is what is wrong with that, if anything."""
        note: dict[str, object] = {"topicId": self.topic_id, "epoch": self.epoch, "end": self.end}
        if journal:
            note["journal"] = journal
        if self.lost:
            note["lost"] = [{**lost.fields(), "at": lost.at} for lost in self.lost[-MOST_LOSSES:]]
        return json.dumps(note, separators=(",", ":"))

    @classmethod
    def read(cls, offset: int, metadata: str) -> Self | None:
        """Read a commit; None where it is not this consumer's own."""
        note = read_note(metadata)
        if note is None:
            return None
        lost = tuple(
            Lost(*(item[name] for name in ("partition", "from", "to", "cause", "topicId", "at")))
            for item in note.get("lost", ())
        )
        return cls(offset, note["topicId"], note["epoch"], note["end"], lost)


def read_note(metadata: str) -> dict[str, Any] | None:
    """Read the metadata of a commit; None where the consumer did not write it."""
    with contextlib.suppress(ValueError):
        note = json.loads(metadata)
        if isinstance(note, dict) and "topicId" in note:
            return note
    return None


def journal_fault(metadata: str) -> str | None:
    """Say, by the metadata of a commit, why lines do not come to the journal, and the remedy."""
    journal = (read_note(metadata) or {}).get("journal")
    if not isinstance(journal, dict):
        return None
    return (
        f"nothing is committed since {journal.get('since')}: the journal is not persistent: "
        f"{journal.get('message')}; {journal.get('remedy')}"
    )


def resume(
    partition: int, own: Place | None, told: int | None, topic_id: str | None, beginning: int
) -> tuple[int, Lost | None]:
    """Give where to go on, and what is lost.

    ``own`` is what this consumer committed last; ``told`` what Kafka has, where that is not its
    own. Reading never begins beyond ``own``: an offset that somebody else moved forward would
    take records out of the record. Without ``own`` this is a first start, which loses nothing.
    """
    if own is not None and own.topic_id and topic_id and own.topic_id != topic_id:
        last = own.end - 1 if own.end is not None and own.end > own.offset else None
        return beginning, Lost(partition, own.offset, last, "topic_recreated", own.topic_id)
    known = [offset for offset in (own.offset if own else None, told) if offset is not None]
    start = min(known, default=beginning)
    if start < beginning:
        return beginning, Lost(partition, start, beginning - 1, "retention", topic_id)
    return start, None


@dataclass
class Copies:
    """Copies of what was committed, a file for each partition; without a directory, none."""

    directory: Path | None = None
    fault: str | None = field(default=None, init=False)

    def read(self, partition: int) -> Place | None:
        """Give the copy; None where there is none that can be read."""
        if self.directory is None:
            return None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            copy = json.loads(self._path(self.directory, partition).read_bytes())
            return Place.read(copy["offset"], copy["metadata"])
        return None

    def write(self, partition: int, offset: int, metadata: str) -> None:
        """Replace the copy; ``fault`` says why it cannot be."""
        if self.directory is None:
            return
        path = self._path(self.directory, partition)
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            new.write_text(json.dumps({"offset": offset, "metadata": metadata}), encoding="utf-8")
            new.replace(path)
            self.fault = None
        except OSError as error:
            self.fault = f"{path}: {error.strerror}"

    @staticmethod
    def _path(directory: Path, partition: int) -> Path:
        return directory / f"{partition}.json"
