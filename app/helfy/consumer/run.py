"""The loop: poll, write lines, commit what is durable, until told to stop.

Kafka being away is waited for and never a reason to exit. A line that cannot be written, or that
nobody will read, is (OSError out of ``run``): systemd starts the consumer anew, and it reads on
from what was committed, which is durable.
"""

import time
from collections.abc import Callable
from typing import Final

from helfy import __version__, jsonlog, sdnotify
from helfy.consumer import metrics
from helfy.consumer.lost import Lost
from helfy.consumer.output import Output
from helfy.consumer.recorder import Recorder
from helfy.consumer.replay import Replays
from helfy.consumer.settings import Settings
from helfy.consumer.source import FAULTS, Source
from helfy.consumer.state import Errors, Reachability, Watchdog
from helfy.consumer.stop import StopFlag

log = jsonlog.get(__name__)

POLL_MS: Final = 200  # bounds how soon a stop is noticed, not how soon a record is
COMMIT_EVERY_SECONDS: Final = 0.5
COMMIT_MS: Final = 500
CLOSE_MS: Final = 500
PROBE_AFTER_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 0.5
# To join the group takes a moment, after the death of a member as long as its session.
JOIN_SECONDS: Final = 10.0
# A stop waits so long at most for its last lines to be durable; others are read again.
DRAIN_SECONDS: Final = 2.0


class Consumer:
    """One process's loop. ``opener`` makes a subscription; it may raise one of FAULTS."""

    def __init__(
        self,
        settings: Settings,
        opener: Callable[[Settings, Recorder], Source],
        output: Output,
        stop: StopFlag,
        replays: Replays | None = None,
    ) -> None:
        self._settings = settings
        self._opener = opener
        self._stop = stop
        self._recorder = Recorder(
            settings, output.write, replays or Replays(), unread=output.unread
        )
        self._source: Source | None = None
        self._kafka = Reachability()
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
        try:
            if self._source is None:
                self._source = self._opener(self._settings, self._recorder)
                self._probe_at, self._joined_by = 0.0, time.monotonic() + JOIN_SECONDS
            records = self._source.poll(POLL_MS)
        except FAULTS as fault:
            self._fault(fault)
            return
        for lost in self._lost(self._source):
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

    def _lost(self, source: Source) -> list[Lost]:
        """Ask whether records are gone; a fault must not keep those that were polled."""
        try:
            return source.lost()
        except FAULTS as fault:
            self._errors.report("kafka_error", fault)
            return []

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
        if not offsets:
            return
        try:
            source.commit(offsets, COMMIT_MS)
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
                self._close(self._source)
                self._source = None
        self._wait(RETRY_SECONDS)

    def _close(self, source: Source) -> None:
        # What was written and not committed is read again, and said to be a replay.
        self._recorder.forget()
        try:
            source.close(CLOSE_MS)
        except FAULTS as fault:
            self._errors.report("close_failed", fault)

    def _finish(self) -> None:
        if self._source is None:
            return
        try:
            self._drain()
            if self._kafka.reachable:
                self._commit(self._source)
        finally:
            self._close(self._source)

    def _drain(self) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        # Asked again and again, since what is not read yet is settled later than was said.
        while (settled := self._recorder.settled_at()) is not None:
            rest = min(settled, deadline) - time.monotonic()
            if rest <= 0:
                break
            time.sleep(min(0.05, rest))

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._stop.is_set:
            time.sleep(0.05)
