"""Has Debezium go on at the beginning of the transaction that it was in, not within it.

    rewind_offsets.py FILE

What Debezium stores says which transactions it has read, and how many events of the binlog it
had handled since (``event``, ``row``): so many it skips when it starts. But it counts every event,
the server's heartbeats too, so after an idle minute it skips that many events of the *next*
transactions, and their changes are lost. Set to nothing, it reads the last transaction again, and
what it had sent of it is sent once more: the same changes, which the consumer knows by their ids.

FILE is Kafka Connect's (``offset.storage.file.filename``), Java's serialised form of a map of
JSON. Numbers are overwritten in place and filled up with blanks, so no length in it changes. It is
run before each start of Kafka Connect; without a file there is nothing to do.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

COUNT = re.compile(rb'("(?:event|row)":)(\d+)')


def rewound(content: bytes) -> bytes:
    """Give the content with nothing to skip; as long as before."""
    return COUNT.sub(lambda found: found[1] + b"0".ljust(len(found[2])), content)


def main(path: Path) -> None:
    """Rewrite the file, as a whole or not at all, where there is something to skip."""
    try:
        before = path.read_bytes()
    except FileNotFoundError:
        return
    after = rewound(before)
    if after == before:
        return
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        file.write(after)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
