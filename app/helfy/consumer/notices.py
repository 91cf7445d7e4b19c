"""What a worker tells its supervisor, in the words of sd_notify(3).

Besides systemd's own words there is ``X_PARTITIONS=n``: how many partitions the topic has.
"""

import contextlib
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Final, Self

PARTITIONS: Final = "X_PARTITIONS"
_DATAGRAM: Final = 4096


class Notices:
    """A socket that a worker notifies, as a service does systemd's, and that never blocks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def read(self) -> list[tuple[str, str]]:
        """Give the assignments that came since the last time, oldest first."""
        found: list[tuple[str, str]] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                text = self._socket.recv(_DATAGRAM).decode(errors="replace")
                for line in text.splitlines():
                    name, _, value = line.partition("=")
                    found.append((name, value))
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._socket.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)  # noqa: PTH108 - as it was bound
