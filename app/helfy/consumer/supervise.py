"""Several workers under one unit: started, watched, started again and stopped.

Each worker is a member of the same consumer group, with a stream of its own to the journal: on
a shared one, long lines of several writers mix. There is one worker until it tells how many
partitions the topic has, and then no more than those. Where standard output is no journal, the
supervisor relays whole lines; a crash of it may then lose lines that it has not passed on.
"""

import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from helfy import __version__, jsonlog, sdnotify
from helfy.consumer import metrics
from helfy.consumer.notices import Notices
from helfy.consumer.output import Output
from helfy.consumer.state import Watchdog
from helfy.consumer.stop import StopFlag
from helfy.consumer.worker import Worker

log = jsonlog.get(__name__)

TICK_SECONDS: Final = 0.1
# Less than the unit's TimeoutStopSec, more than a worker's last lines take to be durable.
STOP_SECONDS: Final = 10.0


def worker_command(config: Path) -> list[str]:
    """Give the command of a worker, without its number."""
    flags = ["-s"] * sys.flags.no_user_site + ["-P"] * sys.flags.safe_path
    return [sys.executable, *flags, "-m", "helfy.consumer", "--config", str(config)]


class Supervisor:
    """Keeps at most ``count`` workers running. ``output`` is as Worker's: None with a journal."""

    def __init__(
        self,
        count: int,
        command: Sequence[str],
        output: Output | None,
        stop: StopFlag,
        metrics_listen: str | None = None,
    ) -> None:
        self._metrics_listen = metrics_listen
        self._count = count
        self._command = command
        self._output = output
        self._stop = stop
        self._workers: list[Worker] = []
        self._watchdog = Watchdog()
        self._status = ""
        self._ready = False

    def run(self) -> None:
        """Run until the stop flag is set. Raises OSError where lines cannot be relayed."""
        fields = {"version": __version__, "workers": self._count}
        log.info("supervisor_started", extra={"fields": fields})
        with tempfile.TemporaryDirectory(prefix="helfy-") as name, contextlib.ExitStack() as stack:
            metrics.serve(self._metrics_listen, metrics.directory(Path(name)))
            try:
                while not self._stop.is_set:
                    self._round(Path(name), stack)
                    time.sleep(TICK_SECONDS)
            finally:
                sdnotify.notify("STOPPING=1")
                self._end()
                log.info("supervisor_stopped")

    def _round(self, directory: Path, stack: contextlib.ExitStack) -> None:
        self._watchdog.alive()
        partitions = max((worker.partitions for worker in self._workers), default=0)
        while len(self._workers) < min(self._count, max(1, partitions)):
            number = len(self._workers) + 1
            notices = stack.enter_context(Notices(directory / f"{number}"))
            half = sdnotify.watchdog_seconds()
            self._workers.append(
                Worker(
                    number,
                    self._command,
                    notices,
                    self._output,
                    None if half is None else 2 * half,
                )
            )
        for worker in self._workers:
            worker.tend()
        self._tell(partitions)

    def _tell(self, partitions: int) -> None:
        """Speak to systemd for all workers: ready with the first one."""
        ready = sum(worker.ready for worker in self._workers)
        metrics.workers.set(ready)
        if ready and not self._ready:
            self._ready = True
            sdnotify.notify("READY=1")
        status = f"STATUS={ready} of {len(self._workers)} workers run"
        if partitions:
            status += f", for {partitions} partitions"
        if status != self._status:
            self._status = status
            sdnotify.notify(status)

    def _end(self) -> None:
        for which, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 1.0)):
            for worker in self._workers:
                worker.signal(which)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                if all(worker.ended() for worker in self._workers):
                    return
                self._watchdog.alive()
                time.sleep(TICK_SECONDS / 2)
