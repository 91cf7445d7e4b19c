"""Standard output as a stream of whole lines, each written when ``write`` returns."""

import logging
import os
import select
import threading
from collections.abc import Callable
from typing import Final

STDOUT: Final = 1


class Output:
    """Writes lines straight to a file descriptor: nothing waits in a buffer of this process.

    One lock for all threads, since a line may take several writes. ``note`` gets each line
    before it is written, in their order. An error of the descriptor (OSError) is the caller's: a
    line that could not be written must not be committed. ``fault`` keeps it: logging raises none.
    """

    def __init__(
        self, descriptor: int = STDOUT, note: Callable[[bytes], None] | None = None
    ) -> None:
        self._descriptor = descriptor
        self._note = note
        self._lock = threading.Lock()
        self.fault: OSError | None = None

    def write(self, line: bytes) -> None:
        """Write a line, given without its line break; it is out when this returns."""
        rest = memoryview(line + b"\n")
        with self._lock:
            if self._note is not None:
                self._note(line)
            while rest:
                try:
                    rest = rest[os.write(self._descriptor, rest) :]
                except BlockingIOError:  # someone made the descriptor non-blocking
                    select.select([], [self._descriptor], [])
                except OSError as fault:
                    self.fault = fault
                    raise


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
