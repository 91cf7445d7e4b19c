"""The record as the persistent journal has it: read from its files by libsystemd, and synced.

Only the files under ``/var/log/journal`` are read. What journald keeps in ``/run``, because the
disk is full, read-only or not there, is not the record: it ends with the VM. Nor is what lies on
a file system in memory.

``fsync`` on a file that another process writes through a mapping syncs what that wrote before, so
nobody has to ask journald to do it (its ``Synchronize`` is for root, makes a line of its own each
time, and does not tell where a line went).
"""

import ctypes
import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path("/var/log/journal")
MACHINE: Final = Path("/etc/machine-id")
# What is there before is read back so far: more than what can be unconfirmed of the process before.
HISTORY_LINES: Final = 6000
MOST_LINES: Final = 1000
_MESSAGE: Final = b"MESSAGE="
_IN_MEMORY: Final = frozenset({0x01021994, 0x858458F6})  # tmpfs, ramfs: linux/magic.h
_LITTLE_BYTES: Final = 64 * 1024**2
FLUSH: Final = "then run: journalctl --flush"


class JournalError(OSError):
    """There is no persistent journal, or it cannot be read."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why lines do not come to the persistent journal, as a code and in words, and the remedy."""

    cause: str
    message: str
    remedy: str


def own_unit() -> str | None:
    """Give the systemd unit of this process; None outside of one."""
    try:
        group = Path("/proc/self/cgroup").read_text(encoding="utf-8")
    except OSError:
        return None
    names = [name for name in group.strip().split("/") if name.endswith(".service")]
    return names[-1] if names else None


class JournalFiles:
    """Reads the lines that match fields of journald's (``_SYSTEMD_UNIT=…``), see commits.Reader.

    It begins with the last HISTORY_LINES, and is opened anew after each error. Not for several
    threads at once.
    """

    def __init__(self, matches: Sequence[str], root: Path = ROOT) -> None:
        self._matches = [match.encode() for match in matches]
        self._root = root
        self._directory = root / MACHINE.read_text(encoding="ascii").strip()
        self._journal: ctypes.c_void_p | None = None
        self._place: tuple[int, int] | None = None
        self._cursor: bytes | None = None
        self._current = False
        self._synced: set[int] = set()

    def read(self) -> list[bytes]:
        """See commits.Reader."""
        try:
            self._look()
            lines = self._read()
            if lines:
                self._sync()
        except OSError:
            self.close()
            raise
        return lines

    def fault(self) -> Fault:
        """Say why lines do not come."""
        try:
            if _file_system(self._directory) in _IN_MEMORY:
                return Fault(
                    "volatile",
                    f"{self._directory} is on a file system in memory",
                    f"mount one on a disk at {self._root}, {FLUSH}",
                )
            free = os.statvfs(self._directory)
            if not os.access(self._directory / "system.journal", os.R_OK):
                raise PermissionError(errno.EACCES, "system.journal is not there or not readable")
        except OSError as error:
            return Fault(
                "missing",
                f"{self._directory}: {error.strerror}",
                f"set Storage=persistent in journald.conf, check {self._root}, {FLUSH}",
            )
        available = free.f_bavail * free.f_frsize
        if available < _LITTLE_BYTES:
            return Fault(
                "full",
                f"the file system of {self._root} is full ({available // 1024**2} MiB available)",
                f"make room on it, {FLUSH}",
            )
        return Fault(
            "not_written",
            f"journald does not write to {self._directory}",
            f"see why by: journalctl -u systemd-journald; check Storage= and {self._root}, {FLUSH}",
        )

    def close(self) -> None:
        """Close the journal; the next ``read`` opens it where reading ended."""
        if self._journal is not None:
            _library().sd_journal_close(self._journal)
            self._journal = None

    def _look(self) -> None:
        """Open the journal, or open it anew where another directory is in its place."""
        if _file_system(self._directory) in _IN_MEMORY:
            raise JournalError(errno.EROFS, "is on a file system in memory", str(self._directory))
        status = self._directory.stat()
        if (status.st_dev, status.st_ino) != self._place:
            self.close()
            self._place = (status.st_dev, status.st_ino)
        if self._journal is None:
            self._open()
        # Files that were added or rotated since.
        self._call("process")

    def _open(self) -> None:
        library = _library()
        journal = ctypes.c_void_p()
        path = os.fsencode(self._directory)
        _check(library.sd_journal_open_directory(ctypes.byref(journal), path, 0), "open_directory")
        self._journal = journal
        self._call("set_data_threshold", ctypes.c_size_t(0))
        self._call("get_fd")  # from now on it notices new files
        for match in self._matches:
            self._call("add_match", match, ctypes.c_size_t(len(match)))
        if self._cursor is not None:
            self._call("seek_cursor", self._cursor)
            self._current = bool(self._call("next")) and not self._call("test_cursor", self._cursor)
            return
        self._call("seek_tail")
        self._current = bool(self._call("previous_skip", ctypes.c_uint64(HISTORY_LINES)))
        if not self._current:
            self._call("seek_head")

    def _read(self) -> list[bytes]:
        lines: list[bytes] = []
        data, length = ctypes.c_void_p(), ctypes.c_size_t()
        while len(lines) < MOST_LINES and (self._current or self._call("next")):
            self._current = False
            found = _library().sd_journal_get_data(
                self._journal, b"MESSAGE", ctypes.byref(data), ctypes.byref(length)
            )
            if found == -errno.ENOENT:  # an entry of other fields
                continue
            _check(found, "get_data")
            lines.append(ctypes.string_at(data, length.value)[len(_MESSAGE) :])
        if lines:
            cursor = ctypes.c_void_p()
            self._call("get_cursor", ctypes.byref(cursor))
            self._cursor = ctypes.string_at(cursor)
            _library().free(cursor)
        return lines

    def _sync(self) -> None:
        """Sync the files that may hold what was read, whatever their names are by now."""
        names, before = set(self._directory.glob("*.journal*")), set[Path]()
        while names != before:
            self._synced = {number for path in names if (number := self._sync_file(path))}
            names, before = set(self._directory.glob("*.journal*")), names

    def _sync_file(self, path: Path) -> int | None:
        """Sync a file; give its number where it is archived and changes no more."""
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # rotated or vacuumed since
            return None
        try:
            number = os.fstat(file).st_ino
            if number not in self._synced:
                os.fsync(file)
        finally:
            os.close(file)
        return number if "@" in path.name else None

    def _call(self, name: str, *arguments: Any) -> int:
        return _check(getattr(_library(), f"sd_journal_{name}")(self._journal, *arguments), name)


def _file_system(path: Path) -> int:
    """Give the type of the file system of a path, by its magic number."""
    answer = ctypes.create_string_buffer(256)
    if _library().statfs(os.fsencode(path), answer):
        number = ctypes.get_errno()
        raise JournalError(number, os.strerror(number), str(path))
    return ctypes.c_long.from_buffer(answer).value


def _check(result: int, name: str) -> int:
    if result < 0:
        raise JournalError(-result, f"sd_journal_{name}: {os.strerror(-result)}")
    return result


@lru_cache
def _library() -> Any:
    """Give libsystemd, which is part of systemd itself; through it, the C library."""
    return ctypes.CDLL("libsystemd.so.0", use_errno=True)
