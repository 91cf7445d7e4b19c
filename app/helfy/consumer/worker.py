"""One worker process, as its supervisor sees it."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import Final

from helfy import jsonlog
from helfy.consumer import metrics
from helfy.consumer.notices import PARTITIONS, Notices
from helfy.consumer.output import Output

log = jsonlog.get(__name__)

BACKOFF_SECONDS: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
# Who lived so long may fail anew as if for the first time.
HEALTHY_SECONDS: Final = 60.0


class Relay(threading.Thread):
    """Copies a worker's whole lines to an output; what a dying worker left of one is dropped."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: Output) -> None:
        super().__init__(name="relay", daemon=True)
        self._stream = process.stdout
        self._output = output
        self.fault: OSError | None = None

    def run(self) -> None:
        """Copy until the worker is gone, or the output is."""
        if self._stream is None:
            return
        with self._stream:
            for line in self._stream:
                if not line.endswith(b"\n"):
                    return
                try:
                    self._output.write(line[:-1])
                except OSError as fault:
                    self.fault = fault
                    return


class Worker:
    """Starts a process, again and again with a growing pause, and knows whether it is well.

    ``output`` is where its lines are relayed to; None where it opens a stream of its own.
    ``hung_seconds`` is the longest silence allowed, None for any.
    """

    def __init__(
        self,
        number: int,
        command: Sequence[str],
        notices: Notices,
        output: Output | None,
        hung_seconds: float | None,
    ) -> None:
        self.number = number
        self.ready = False
        self.partitions = 0
        self._command = [*command, "--worker", str(number)]
        self._notices = notices
        self._output = output
        self._hung_seconds = hung_seconds
        self._metrics = metrics.directory(notices.path.parent)
        self._process: subprocess.Popen[bytes] | None = None
        self._relay: Relay | None = None
        self._start_at = self._heard_at = time.monotonic()
        self._failures = 0

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    def tend(self) -> None:
        """Do what there is to do; raises OSError where its lines cannot be relayed."""
        now = time.monotonic()
        for name, value in self._notices.read():
            self._heard_at = now
            self.ready = self.ready or (name, value) == ("READY", "1")
            if name == PARTITIONS and value.isdecimal():
                self.partitions = int(value)
        if self._relay is not None and self._relay.fault is not None:
            raise self._relay.fault
        if self._process is None:
            if now >= self._start_at:
                self._start(now)
        elif self._process.poll() is not None:
            self._died(self._process.returncode, now)
        elif self._hung_seconds is not None and now - self._heard_at > self._hung_seconds:
            log.error("worker_hung", extra={"fields": {"worker": self.number}})
            self._heard_at = now
            self._process.kill()

    def signal(self, which: signal.Signals) -> None:
        """Send a signal, where there is someone to receive it."""
        if self._process is not None:
            self._process.send_signal(which)

    def ended(self) -> bool:
        """Say whether the process is gone, and with it all that it wrote is out."""
        if self._process is not None and self._process.poll() is None:
            return False
        return self._relay is None or not self._relay.is_alive()

    def _start(self, now: float) -> None:
        environment = {
            **os.environ,
            **metrics.environment(self._metrics),
            "NOTIFY_SOCKET": str(self._notices.path),
        }
        environment.pop("WATCHDOG_PID", None)
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            self._command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=None if self._output is None else subprocess.PIPE,
        )
        self._start_at = self._heard_at = now
        if self._output is not None:
            self._relay = Relay(self._process, self._output)
            self._relay.start()

    def _died(self, code: int, now: float) -> None:
        self._failures = 0 if now - self._start_at >= HEALTHY_SECONDS else self._failures
        pause = BACKOFF_SECONDS[min(self._failures, len(BACKOFF_SECONDS) - 1)]
        self._failures += 1
        if self._process is not None:
            metrics.forget(self._process.pid, self._metrics)
        self._process = None
        self.ready = False
        self._start_at = now + pause
        fields: dict[str, object] = {"worker": self.number, "restartInSeconds": pause}
        fields |= {"signal": -code} if code < 0 else {"exitStatus": code}
        log.error("worker_died", extra={"fields": fields})
