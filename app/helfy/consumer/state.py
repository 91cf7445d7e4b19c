"""What the consumer tells about itself: to systemd, and of Kafka's and the journal's state."""

import time
from collections.abc import Callable
from typing import Final

from helfy import jsonlog, sdnotify
from helfy.consumer import metrics
from helfy.consumer.commits import WrittenLines
from helfy.consumer.journal_files import Fault

log = jsonlog.get(__name__)

ERROR_EVERY_SECONDS: Final = 60.0
MAX_REASON_CHARS: Final = 300
# Each time it is said is another line by which journald, and the consumer, notice a recovery.
JOURNAL_EVERY_SECONDS: Final = 30.0


class Reachability:
    """Whether Kafka answers. Every change of it is one line, and no line is said twice."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._reachable: bool | None = None

    @property
    def reachable(self) -> bool:
        """Whether the last thing asked of Kafka was answered."""
        return self._reachable is True

    def yes(self) -> None:
        """Kafka answered."""
        if self._reachable is True:
            return
        fields: dict[str, object] = {}
        if self._reachable is False:
            fields["afterSeconds"] = round(self._clock() - self._since, 1)
        self._change(reachable=True)
        log.info("kafka_reachable", extra={"fields": fields})
        sdnotify.notify("STATUS=reading")

    def no(self, fault: Exception) -> None:
        """Kafka did not answer; ``fault`` says why, as far as is known."""
        if self._reachable is False:
            return
        self._change(reachable=False)
        log.warning("kafka_unreachable", extra={"fields": {"reason": _reason(fault)}})
        sdnotify.notify("STATUS=Kafka does not answer; trying again")

    def _change(self, *, reachable: bool) -> None:
        metrics.kafka_up.set(reachable)
        self._reachable = reachable
        self._since = self._clock()


class JournalState:
    """Whether lines come to the persistent journal. It is said when that changes, and while not.

    ``fault`` says why not, None where that is no journal.
    """

    def __init__(
        self,
        written: WrittenLines,
        fault: Callable[[], Fault] | None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._written = written
        self._ask = fault
        self._clock = clock
        self._wall = wall
        self._fault: Fault | None = None
        self._since = 0.0
        self._say_at = 0.0

    def look(self) -> None:
        """Call it in every round of the loop."""
        metrics.waiting.set(self._written.waiting)
        late = self._written.late
        metrics.journal_persistent.set(not late)
        if self._ask is None:
            return
        if late and self._clock() >= self._say_at:
            self._say_at = self._clock() + JOURNAL_EVERY_SECONDS
            if self._fault is None:
                self._since = self._wall() - self._written.waiting_seconds()
            self._fault = self._ask()
            fields = {**self._told(self._fault), "lines": self._written.waiting}
            log.error("journal_not_persistent", extra={"fields": fields})
            sdnotify.notify(f"STATUS={self._fault.message}; nothing is committed")
        elif not late and self._fault is not None:
            self._fault, self._say_at = None, 0.0
            fields = {"afterSeconds": round(self._wall() - self._since, 1)}
            log.info("journal_persistent", extra={"fields": fields})
            sdnotify.notify("STATUS=reading")

    def told(self) -> dict[str, object] | None:
        """Give what is wrong, for the metadata of commits; None where nothing is."""
        return None if self._fault is None else self._told(self._fault)

    def _told(self, fault: Fault) -> dict[str, object]:
        return {
            "cause": fault.cause,
            "message": fault.message,
            "remedy": fault.remedy,
            "since": jsonlog.rfc3339(self._since),
        }


class Errors:
    """Reports faults that come again and again once a minute per class."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}

    def report(self, action: str, fault: Exception) -> None:
        """Write a line unless this class of fault had one within the minute."""
        name, now = type(fault).__name__, self._clock()
        if now - self._last.get(name, now - ERROR_EVERY_SECONDS) >= ERROR_EVERY_SECONDS:
            self._last[name] = now
            log.error(action, extra={"fields": {"reason": _reason(fault)}})


class Watchdog:
    """Sends ``WATCHDOG=1`` as often as the unit wants it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._every = sdnotify.watchdog_seconds()
        self._next = clock()

    def alive(self) -> None:
        """Call it in every round of the loop."""
        if self._every is not None and self._clock() >= self._next:
            self._next = self._clock() + self._every
            sdnotify.notify("WATCHDOG=1")


def _reason(fault: Exception) -> str:
    name, text = type(fault).__name__, str(fault)
    return (text if text.startswith(name) else f"{name}: {text}")[:MAX_REASON_CHARS]
