"""Where a page of the feed ends: by partition, the offset of the next record.

Written as ``0.812_1.77``: partition and offset, joined by ``.``, partitions in order, joined by
``_``. It names places in Kafka and nothing of a process, so every process on every VM reads it.
"""

import re
from collections.abc import Mapping
from typing import Final

LONGEST: Final = 2048
_CURSOR: Final = re.compile(r"[0-9]{1,6}\.[0-9]{1,19}(?:_[0-9]{1,6}\.[0-9]{1,19})*", re.ASCII)


class CursorError(ValueError):
    """The text is no cursor; the message says what one is."""


def read(text: str) -> dict[int, int]:
    """Read a cursor. Raises CursorError."""
    if len(text) > LONGEST or not _CURSOR.fullmatch(text):
        raise CursorError("must be a cursor, as an answer before gave it")
    pairs = [pair.split(".") for pair in text.split("_")]
    cursor = {int(partition): int(offset) for partition, offset in pairs}
    if len(cursor) != len(pairs):
        raise CursorError("must be a cursor, which names a partition once")
    return cursor


def write(cursor: Mapping[int, int]) -> str:
    """Write a cursor; an empty one is an empty text."""
    return "_".join(f"{partition}.{offset}" for partition, offset in sorted(cursor.items()))
