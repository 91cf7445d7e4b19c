"""The log of the lines that were written, one per partition, in the state directory.

An entry is a line of text: CRC-32 of the rest, epoch, begin, end, identities. Lines with these
identities (hexadecimal, one string) went, between the monotonic times begin and end in
milliseconds, to the journal that the epoch names. Entries without identities say that this
journal was still there. Nothing is ever synced: a crash of the consumer leaves the files in the
page cache, and after a crash of the VM an entry is believed or not by what it says itself.

An entry is believed where its lines cannot be lost any more:

- its epoch is that of now: the journal that took the lines still runs, and has them or still
  reads them; or
- another entry of its epoch began so much later that the journal had synced them to disk.

Entries go to the newest of two files. When it is full the older one is removed and a new one
begun: nothing is ever copied, and no line waits.
"""

import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

FILE_BYTES: Final = 2 * 1024**2
IDENTITY_BYTES: Final = 16
_DIGITS: Final = 2 * IDENTITY_BYTES
_ENTRY: Final = re.compile(rb"([0-9a-f]{8}) (([0-9a-f]*) ([0-9]+) ([0-9]+) ((?:[0-9a-f]{32})*))")


@dataclass(slots=True)
class Found:
    """What a log says: believed lines, oldest first, how many are not, and damaged entries."""

    lines: list[bytes] = field(default_factory=list)
    doubtful: int = 0
    damaged: int = 0


@dataclass(frozen=True, slots=True)
class _Entry:
    epoch: str
    begin: int
    end: int
    lines: str


class ReplayLog:
    """The log of one partition. Every method may raise OSError.

    Two processes may have it open at once, while a partition changes hands: each entry is one
    append, and true whoever made it.
    """

    def __init__(self, directory: Path, partition: int) -> None:
        self._directory = directory
        self._partition = partition
        self._descriptor: int | None = None
        self._generation = 0
        self._size = 0

    def read(self, epoch: str, age_seconds: float) -> Found:
        """Read what was written, with the name of the journal of now."""
        found = Found()
        entries: list[_Entry] = []
        for path in self._files()[-2:]:
            for line in path.read_bytes().splitlines():
                entry = _parse(line)
                if entry is not None:
                    entries.append(entry)
                elif line:
                    found.damaged += 1
        last: dict[str, int] = {}
        for entry in entries:
            last[entry.epoch] = max(entry.begin, last.get(entry.epoch, 0))
        for entry in entries:
            believed = entry.epoch == epoch or last[entry.epoch] >= entry.end + age_seconds * 1000
            if believed:
                found.lines += _split(entry.lines)
            else:
                found.doubtful += len(entry.lines) // _DIGITS
        return found

    def append(self, epoch: str, begin: float, end: float, lines: Sequence[bytes]) -> None:
        """Note lines that were written between two times."""
        if self._descriptor is None or self._size >= FILE_BYTES:
            self._open()
        # Rounded so that an entry claims too short a wait rather than too long a one.
        body = f"{epoch} {int(begin * 1000)} {int(end * 1000) + 1} {b''.join(lines).hex()}".encode()
        self._write(b"%08x %b\n" % (zlib.crc32(body), body))

    def close(self) -> None:
        """Close the file; the next ``append`` opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> None:
        full = self._descriptor is not None
        self.close()
        files = self._files()
        self._generation = _generation(files[-1]) if files else 0
        if full or (files and files[-1].stat().st_size >= FILE_BYTES):
            self._generation += 1
        path = self._directory / f"{self._partition}-{self._generation:010}.log"
        self._descriptor = os.open(
            path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        self._size = os.fstat(self._descriptor).st_size
        if self._size:  # the last entry may have been cut short
            self._write(b"\n")
        for old in files:
            if _generation(old) < self._generation - 1:
                old.unlink(missing_ok=True)

    def _write(self, entry: bytes) -> None:
        if self._descriptor is None:
            raise ValueError("the log is not open")
        written = os.write(self._descriptor, entry)
        if written < len(entry):
            raise OSError("an entry was cut short: is the file system full?")
        self._size += written

    def _files(self) -> list[Path]:
        """Give the files of the partition, oldest first."""
        return sorted(self._directory.glob(f"{self._partition}-{'[0-9]' * 10}.log"))


def _generation(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def _parse(line: bytes) -> _Entry | None:
    match = _ENTRY.fullmatch(line)
    if match is None or int(match[1], 16) != zlib.crc32(match[2]):
        return None
    return _Entry(match[3].decode(), int(match[4]), int(match[5]), match[6].decode())


def _split(lines: str) -> Iterator[bytes]:
    for start in range(0, len(lines), _DIGITS):
        yield bytes.fromhex(lines[start : start + _DIGITS])
