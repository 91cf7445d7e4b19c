"""What the consumer tells about itself: to systemd, and of Kafka's coming and going."""

import time
from collections.abc import Callable
from typing import Final

from helfy import jsonlog, sdnotify
from helfy.consumer import metrics

log = jsonlog.get(__name__)

ERROR_EVERY_SECONDS: Final = 60.0
MAX_REASON_CHARS: Final = 300


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
