"""How a process is told to stop: a flag, looked at in every round of its loop."""

import os
import signal
from types import FrameType


class StopFlag:
    """Set by SIGTERM and SIGINT, and nothing else happens in their handler."""

    def __init__(self) -> None:
        self.is_set = False

    def install(self) -> None:
        """Take over the signals."""
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, self._handle)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.is_set = True


class WorkerStop(StopFlag):
    """A worker's flag, which is set as well where its supervisor is no more."""

    def __init__(self) -> None:
        self._told = False
        self._parent = os.getppid()

    @property
    def is_set(self) -> bool:
        """Whether to stop."""
        return self._told or os.getppid() != self._parent

    @is_set.setter
    def is_set(self, value: bool) -> None:
        self._told = value
