"""Standard output as a stream of whole lines, each written when ``write`` returns."""

import fcntl
import logging
import os
import select
import stat
import struct
import termios
import threading
import time
from typing import Final

STDOUT: Final = 1
_INT: Final = struct.Struct("i")


class Output:
    """Writes lines straight to a file descriptor: nothing waits in a buffer of this process.

    One lock for all threads, since a line may take several writes. An error of the descriptor
    (OSError) is the caller's: a line that could not be written must not be committed.
    """

    def __init__(self, descriptor: int = STDOUT) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, line: bytes) -> float:
        """Write a line, given without its line break; give the monotonic time when it was out."""
        rest = memoryview(line + b"\n")
        with self._lock:
            while rest:
                try:
                    rest = rest[os.write(self._descriptor, rest) :]
                except BlockingIOError:  # someone made the descriptor non-blocking
                    select.select([], [self._descriptor], [])
        return time.monotonic()

    def unread(self) -> int | None:
        """Give how many bytes at most the reader of a socket has not read; None without a socket.

        Raises BrokenPipeError where the reader is gone, and what it had not read with it.
        """
        if not stat.S_ISSOCK(os.fstat(self._descriptor).st_mode):
            return None
        # SIOCOUTQ by its other name. For a Unix socket: what is queued for the peer, with the
        # kernel's own share, and nothing once it is read.
        answer = fcntl.ioctl(self._descriptor, termios.TIOCOUTQ, bytes(_INT.size))
        # After it: what the peer leaves behind goes when it does, which looks as if it was read.
        poll = select.poll()
        poll.register(self._descriptor, 0)
        if any(event & select.POLLHUP for _, event in poll.poll(0)):
            raise BrokenPipeError("who read the lines is gone")
        return int(_INT.unpack(answer)[0])


class OutputHandler(logging.Handler):
    """Sends log records through an Output, so that no line lands within another."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; what fails is reported as logging does, on stderr."""
        try:
            self._output.write(self.format(record).encode())
        except Exception:  # noqa: BLE001 - the contract of logging.Handler.emit
            self.handleError(record)
