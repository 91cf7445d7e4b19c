"""The loop: poll, write lines, commit what is durable, until told to stop.

Kafka being away is waited for and never a reason to exit, nor is a journal that takes no lines:
nothing is committed then. A line that cannot be written is (OSError out of ``run``): systemd starts
the consumer anew, and it reads on from what was committed, which is durable.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from helfy import __version__, jsonlog, sdnotify
from helfy.consumer import metrics
from helfy.consumer.commits import MAX_WAITING, WrittenLines
from helfy.consumer.journal_files import Fault
from helfy.consumer.output import Output
from helfy.consumer.recorder import Recorder
from helfy.consumer.replay import Replays
from helfy.consumer.settings import Settings
from helfy.consumer.source import FAULTS, Source
from helfy.consumer.state import Errors, JournalState, Reachability, Watchdog
from helfy.consumer.stop import StopFlag

log = jsonlog.get(__name__)

POLL_MS: Final = 200  # bounds how soon a stop is noticed, not how soon a record is
CONFIRM_EVERY_SECONDS: Final = 0.25
COMMIT_EVERY_SECONDS: Final = 0.5
COMMIT_MS: Final = 500
CLOSE_MS: Final = 500
PROBE_AFTER_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 0.5
# To join the group takes a moment, after the death of a member as long as its session.
JOIN_SECONDS: Final = 10.0
# Lines are waited for so long at most before a stop, and before they are read again.
DRAIN_SECONDS: Final = 2.0


class Confirmer(threading.Thread):
    """Reads lines back, which may wait for the disk, while others are written."""

    def __init__(self, written: WrittenLines) -> None:
        super().__init__(name="confirmer", daemon=True)
        self._written = written
        self._ended = threading.Event()

    def run(self) -> None:
        """Run until ``end``. What the reader raises shows as lines that wait."""
        while not self._ended.wait(CONFIRM_EVERY_SECONDS):
            try:
                self._written.confirm()
            except OSError:
                log.debug("journal_unreadable", exc_info=True)

    def end(self) -> None:
        """Let it end, some time."""
        self._ended.set()


class Consumer:
    """One process's loop. ``opener`` makes a subscription; it may raise one of FAULTS.

    ``written`` and ``replays`` know the lines of ``output``; ``fault`` says why they do not come to
    the persistent journal.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the world outside, which tests make up
        self,
        settings: Settings,
        opener: Callable[[Settings, Recorder], Source],
        output: Output,
        stop: StopFlag,
        written: WrittenLines,
        replays: Replays,
        fault: Callable[[], Fault] | None = None,
    ) -> None:
        self._settings = settings
        self._opener = opener
        self._stop = stop
        self._output = output
        self._written = written
        self._recorder = Recorder(settings, output.write, written, replays)
        self._confirmer = Confirmer(written)
        self._source: Source | None = None
        self._kafka = Reachability()
        self._journal = JournalState(written, fault)
        self._errors = Errors()
        self._watchdog = Watchdog()
        self._commit_at = 0.0
        self._probe_at = 0.0
        self._joined_by = 0.0

    def run(self) -> None:
        """Run until the stop flag is set. Raises OSError where lines cannot be written."""
        settings = self._settings
        started = {
            "version": __version__,
            "topic": settings.topic,
            "group": settings.group_id,
            "bootstrapServers": list(settings.bootstrap_servers),
        }
        log.info("consumer_started", extra={"fields": started})
        self._confirmer.start()
        # Ready means: polling, as long as it takes for Kafka to come.
        sdnotify.notify("READY=1", "STATUS=connecting to Kafka")
        try:
            while not self._stop.is_set:
                self._watchdog.alive()
                self._round()
        finally:
            sdnotify.notify("STOPPING=1")
            self._finish()
            log.info("consumer_stopped", extra={"fields": {"lines": self._recorder.lines}})

    def _round(self) -> None:
        self._journal.look()
        if self._output.fault is not None:
            raise self._output.fault
        if self._source is not None and (missing := self._written.missing()):
            # Those behind them are known, and come again as replays.
            log.error("journal_lost_lines", extra={"fields": {"lines": missing}})
            metrics.rewritten.inc(missing)
            self._written.give_up()
            self._close(self._source)
            self._source = None
        try:
            if self._source is None:
                self._source = self._opener(self._settings, self._recorder)
                self._probe_at, self._joined_by = 0.0, time.monotonic() + JOIN_SECONDS
            self._source.pause(paused=self._written.waiting >= MAX_WAITING)
            records = self._source.poll(POLL_MS)
        except FAULTS as fault:
            self._fault(fault)
            return
        for lost in self._source.lost():
            self._recorder.lost(lost)
        if records:
            self._recorder.record(records)
        metrics.lag.set(self._source.lag())
        now = time.monotonic()
        if records:
            self._kafka.yes()
            self._probe_at = now + PROBE_AFTER_SECONDS
        elif now >= self._probe_at:
            self._probe(self._source)
        if now >= self._commit_at and self._kafka.reachable:
            self._commit_at = now + COMMIT_EVERY_SECONDS
            self._commit(self._source)

    def _probe(self, source: Source) -> None:
        """Ask Kafka, which says nothing when there is nothing, whether it is there at all."""
        try:
            source.probe()
        except FAULTS as fault:
            if time.monotonic() >= self._joined_by:
                self._kafka.no(fault)
        else:
            self._kafka.yes()
        soon = PROBE_AFTER_SECONDS if self._kafka.reachable else RETRY_SECONDS
        self._probe_at = time.monotonic() + soon

    def _commit(self, source: Source) -> None:
        offsets = self._recorder.committable()
        try:
            source.commit(offsets, self._journal.told(), COMMIT_MS)
        except FAULTS as fault:  # they stay committable
            self._errors.report("commit_failed", fault)
        else:
            self._recorder.committed(offsets)

    def _fault(self, fault: Exception) -> None:
        if self._source is None:
            self._kafka.no(fault)
        else:
            self._errors.report("kafka_error", fault)
            if not getattr(fault, "retriable", False):
                # What is confirmed by then is known as a replay when it is read again.
                self._written.settle(DRAIN_SECONDS)
                self._close(self._source)
                self._source = None
        self._wait(RETRY_SECONDS)

    def _close(self, source: Source) -> None:
        self._recorder.forget()
        try:
            source.close(CLOSE_MS)
        except FAULTS as fault:
            self._errors.report("close_failed", fault)

    def _finish(self) -> None:
        self._confirmer.end()
        if self._source is None:
            return
        try:
            self._written.settle(DRAIN_SECONDS)
            if self._kafka.reachable:
                self._commit(self._source)
        finally:
            self._close(self._source)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._stop.is_set:
            time.sleep(0.05)
