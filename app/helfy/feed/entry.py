"""A line of the feed, with what it can be found by."""

import json
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from helfy.consumer.change import Change, Record
from helfy.consumer.pipeline import Pipeline
from helfy.consumer.settings import Settings
from helfy.consumer.wire import Json, compact

UNDECODABLE: Final = "UNDECODABLE"


class Entry(NamedTuple):
    """One line: ``text`` without its line break, ``at`` Kafka's timestamp in Unix milliseconds.

    ``lag_ms`` is from the commit to that timestamp, None where the source does not tell.
    """

    partition: int
    offset: int
    at: int
    text: bytes
    type: str
    table: str
    keys: frozenset[str]
    lag_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """All lines of a partition's records from offset ``first`` up to, not including, ``stop``."""

    first: int
    stop: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines are asked for; None asks for all.

    ``table`` is a table's name, with or without its database; ``type`` a type of change or
    UNDECODABLE; ``key`` the value of a key of one column, or a whole key as a JSON object.
    """

    table: str | None = None
    type: str | None = None
    key: str | None = None

    def takes(self, entry: Entry) -> bool:
        """Say whether a line is asked for."""
        if self.type is not None and entry.type != self.type:
            return False
        if self.table is not None and self.table.lower() not in _names(entry.table):
            return False
        return self.key is None or _canonical(self.key) in entry.keys


class Decoder:
    """Makes entries of records, by the consumer's own pipeline. Not for several threads at once.

    A line's ``timestamp`` is Kafka's and not the moment of reading, so that it is the same
    whoever reads it and whenever.
    """

    def __init__(self, settings: Settings) -> None:
        self._now = 0.0
        self._pipeline = Pipeline(settings, clock=lambda: self._now)

    def entry(self, record: Record) -> Entry | None:
        """Give the record's line; None where it is no change. Never raises."""
        at = record.timestamp if record.timestamp is not None else int(time.time() * 1000)
        self._now = max(0, at) / 1000
        line = self._pipeline.line(record)
        if line is None:
            return None
        place = (record.partition, record.offset, at, line.text)
        if line.change is None:
            return Entry(*place, UNDECODABLE, "", frozenset())
        return Entry(*place, *_marks(line.change, at))


def _marks(change: Change, at: int) -> tuple[str, str, frozenset[str], int | None]:
    lag = None if change.committed_ms is None else max(0, at - change.committed_ms)
    return change.type, change.table_name, _keys(change), lag


def _keys(change: Change) -> frozenset[str]:
    """Give the spellings by which a change's key may be asked for."""
    if not change.key:
        return frozenset()
    spellings = {json.dumps(change.key, sort_keys=True, ensure_ascii=False)}
    if len(change.key) == 1:
        spellings.add(_plain(next(iter(change.key.values()))))
    return frozenset(spellings)


def _plain(value: Json) -> str:
    return value if isinstance(value, str) else compact(value)


@lru_cache(maxsize=64)
def _canonical(key: str) -> str:
    if not key.startswith("{"):
        return key
    try:
        document: Any = json.loads(key)
    except (ValueError, RecursionError):
        return key
    return json.dumps(document, sort_keys=True, ensure_ascii=False)


def _names(table: str) -> tuple[str, str]:
    return table, table.rpartition(".")[2]
