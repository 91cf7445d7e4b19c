"""Remember which lines were written, to tell a replay from a change: also after a restart.

A line is known by 16 bytes: the id of its change, or for what has no id of its own the place
and the content of its record. Each partition has a memory of its last lines, and where there is
a directory a log in it, which whoever gets the partition next reads first: this process after a
restart, or another worker. It is the memory of what was *written*: a line is noted when it is
out, in one append for all lines of a poll, so that a crash in between forgets a replay and never
invents one. What the log says is believed where the line cannot be lost any more; see
``replay_log``.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from helfy import jsonlog
from helfy.consumer.commits import MARGIN_SECONDS
from helfy.consumer.replay_log import ReplayLog

log = jsonlog.get(__name__)

CAPACITY: Final = 32_768  # lines per partition, some 4 MB
_DEFAULT_SYNC: Final = 1.0


class Replays:
    """The last lines of each partition; bounded, so a replay of what is older is not known.

    ``directory`` is made if need be; None keeps all in memory alone. ``epoch`` names the journal
    that lines go to, as it is now, in hexadecimal digits: another name where lines of before may
    have been lost with the old one, None where it is not known. ``clock`` is monotonic, in
    seconds. Not for several threads at once.
    """

    def __init__(
        self,
        directory: Path | None = None,
        epoch: Callable[[], str | None] | None = None,
        sync_seconds: float = _DEFAULT_SYNC,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._unknown = os.urandom(16).hex()  # the name of a journal that has none, for us alone
        self._journal = epoch
        self._directory = directory
        self._age = sync_seconds + MARGIN_SECONDS
        self._clock = clock
        self._memories: dict[int, _Memory] = {}
        self._begun = ("", 0.0)

    def begin(self, vouched: float | None = None) -> None:
        """Call it before the lines of a poll are written: they go to the journal of now.

        What was written longer before ``vouched``, by default now, than a sync takes is on disk.
        """
        self._begun = (self._epoch(), self._clock() if vouched is None else vouched)

    def known(self, partition: int, identity: bytes) -> bool:
        """Say whether this line was written before, and is not lost."""
        return identity in self._memory(partition).lines

    def written(self, partition: int, identity: bytes) -> None:
        """Note a line that is out."""
        memory = self._memory(partition)
        memory.note(identity)
        memory.pending.append(identity)

    def flush(self) -> None:
        """Note on disk what was written since ``begin``."""
        for partition, memory in self._memories.items():
            if memory.pending:
                self._append(partition, memory)

    def settled(self, partitions: Iterable[int], vouched: float | None = None) -> None:
        """Note on disk that the journal still is the same, when lines before are durable."""
        self.begin(vouched)
        for partition in partitions:
            self._append(partition, self._memory(partition))

    def forget(self, partitions: Iterable[int] | None = None) -> None:
        """Close partitions that are another's now, or all: what that one writes is on disk."""
        for partition in list(self._memories) if partitions is None else partitions:
            memory = self._memories.get(partition)
            if memory is not None and memory.log is not None:
                memory.log.close()
                del self._memories[partition]

    def _epoch(self) -> str:
        return (self._journal() if self._journal else None) or self._unknown

    def _memory(self, partition: int) -> "_Memory":
        memory = self._memories.get(partition)
        if memory is None:
            memory = self._memories[partition] = self._read(partition)
        return memory

    def _read(self, partition: int) -> "_Memory":
        memory = _Memory()
        if self._directory is None:
            return memory
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            memory.log = ReplayLog(self._directory, partition)
            found = memory.log.read(self._epoch(), self._age)
        except OSError as error:
            self._off(partition, memory, error)
            return memory
        for identity in found.lines:
            memory.note(identity)
        fields = {
            "partition": partition,
            "lines": len(memory.lines),
            "notBelieved": found.doubtful,
            "damaged": found.damaged,
        }
        (log.warning if found.damaged else log.info)("replay_state", extra={"fields": fields})
        return memory

    def _append(self, partition: int, memory: "_Memory") -> None:
        pending, memory.pending = memory.pending, []
        if memory.log is None:
            return
        epoch, begun = self._begun
        try:
            memory.log.append(epoch, begun, self._clock(), pending)
        except OSError as error:
            self._off(partition, memory, error)

    def _off(self, partition: int, memory: "_Memory", error: OSError) -> None:
        """Go on without the log, until the partition is assigned anew."""
        if memory.log is not None:
            with contextlib.suppress(OSError):
                memory.log.close()
        memory.log = None
        fields = {"partition": partition, "reason": f"{type(error).__name__}: {error}"}
        log.warning("replay_state_failed", extra={"fields": fields})


class _Memory:
    """The last lines of one partition, in the order in which they were written."""

    def __init__(self) -> None:
        self.lines: dict[bytes, None] = {}
        self.pending: list[bytes] = []
        self.log: ReplayLog | None = None

    def note(self, identity: bytes) -> None:
        self.lines.pop(identity, None)
        self.lines[identity] = None
        if len(self.lines) > CAPACITY:
            del self.lines[next(iter(self.lines))]
