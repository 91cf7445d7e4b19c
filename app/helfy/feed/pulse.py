"""Whether the stream of changes is alive, as seen from the topic's end.

Change capture writes something every few seconds even when nothing changes: Debezium a heartbeat,
TiCDC a watermark on every partition. So silence on the topic means that capture, Kafka or the way
to it is broken. TiCDC's records tell as well how far it has come: where they come, but speak of a
time long ago, changes come late and the stream is as good as silent.
"""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from helfy import jsonlog
from helfy.consumer.decode import told_ms

log = jsonlog.get(__name__)

State = Literal["ok", "degraded"]
Feed = Literal["live", "behind", "cutOff"]
# Catching up for longer than this is being behind.
BEHIND_SECONDS: Final = 2.0


class Pulse:
    """What a reader has noticed. One thread notes, any thread asks.

    ``backlog`` is whether what comes is from before the reader connected; ``answered_at`` and
    ``arrived_at`` are when Kafka last answered and when a record last came, in monotonic seconds.
    """

    def __init__(self, max_silence_seconds: int) -> None:
        self.backlog = True
        self.answered_at: float | None = None
        self.arrived_at: float | None = None
        self._longest = max_silence_seconds
        self._last_told: float | None = None
        self._caught_up_at: float | None = None
        self._cut_off = True
        self._started_at = time.monotonic()
        self._reported: State | None = None

    def state(self) -> State:
        """Return ``ok`` if a record told of the last ``max_silence_seconds``, else ``degraded``."""
        return "ok" if self.silence() <= self._longest else "degraded"

    def feed(self) -> Feed:
        """Say how much the newest line is worth.

        ``cutOff``: Kafka does not answer. ``behind``: it does, and lines are still to come, since
        the reader is catching up or change capture has fallen silent. Else ``live``.
        """
        if self._cut_off:
            return "cutOff"
        return "live" if self.caught_up() and self.state() == "ok" else "behind"

    def caught_up(self) -> bool:
        """Say whether all that is in Kafka was read, a moment ago at least."""
        at = self._caught_up_at
        late = at is None or time.monotonic() - at > BEHIND_SECONDS
        return not (self._cut_off or late)

    def silence(self) -> float:
        """Return the seconds since the moment that the last record tells of, whatever its kind."""
        last = self._last_told
        return float("inf") if last is None else time.monotonic() - last

    def told_at(self) -> datetime | None:
        """Return the moment that the last record tells of, by this machine's clock, in UTC."""
        last = self._last_told
        return last if last is None else datetime.now(UTC) - timedelta(seconds=self.silence())

    def connected(self) -> None:
        """Note a new connection."""
        self.backlog = True
        self.answered()

    def answered(self) -> None:
        """Note that Kafka answered."""
        self.answered_at = time.monotonic()
        self._cut_off = False

    def away(self) -> None:
        """Note that Kafka does not answer."""
        self._cut_off = True

    def came(self, records: Iterable[Any]) -> None:
        """Note what came: the last record of each partition, which tells most."""
        now = time.monotonic()
        told_at = now - min(self._age(record) for record in records)
        self._last_told = max(told_at, self._last_told or float("-inf"))
        self.arrived_at = now
        self.answered()
        self.report("record" if self.state() == "ok" else "behind")

    def at_the_end(self) -> None:
        """Note that all is read."""
        self.backlog = False
        self._caught_up_at = time.monotonic()

    def report(self, reason: str) -> None:
        """Log a change of state, once."""
        state = self.state()
        starting = time.monotonic() - self._started_at <= self._longest
        if state == self._reported or (self._reported is None and state != "ok" and starting):
            return
        self._reported = state
        write = log.info if state == "ok" else log.warning
        write("change_stream", extra={"fields": {"state": state, "reason": reason}})

    def _age(self, record: Any) -> float:
        """Give how many seconds ago the moment is that a record tells of."""
        told = told_ms(record.value)
        if told is None and self.backlog:
            # A record from before we were there is a sign of life of then.
            told = record.timestamp
        return 0.0 if told is None else max(0.0, time.time() - told / 1000)
