"""Whether the stream of changes is alive, as seen from the topic's end.

Change capture writes something every few seconds even when nothing changes: Debezium a heartbeat,
TiCDC a watermark on every partition. So silence on the topic means that capture, Kafka or the way
to it is broken. TiCDC's records tell as well how far it has come: where they come, but speak of a
time long ago, changes come late and the stream is as good as silent.
"""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Literal

from kafka import TopicPartition  # type: ignore[import-untyped]

from helfy import jsonlog
from helfy.api.settings import Stream
from helfy.consumer.decode import told_ms
from helfy.kafka_consumer import open_consumer

log = jsonlog.get(__name__)

State = Literal["ok", "degraded"]
_POLL_MS = 1000
_CONNECT_MS = 5000
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0


class StreamWatch:
    """A thread that notes when the topic's last record arrived, and of what moment it told.

    It reads every partition from its end, in no consumer group, so it leaves no trace in
    Kafka. Whatever happens to Kafka, the API goes on: the state is ``degraded`` meanwhile,
    as it is until the first record.
    """

    def __init__(self, settings: Stream, connect: Callable[[Stream], Any] | None = None) -> None:
        self._settings = settings
        self._connect = connect or _connect
        self._stopping = threading.Event()
        self._last_record: float | None = None
        self._last_told: float | None = None
        self._started_at = time.monotonic()
        self._reported: State | None = None
        self._thread = threading.Thread(target=self._run, name="stream-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch; returns at once."""
        self._started_at = time.monotonic()
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Ask the thread to end and wait ``timeout`` seconds; it never holds up an exit."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def state(self) -> State:
        """Return ``ok`` if a record told of the last ``max_silence_seconds``, else ``degraded``."""
        return "ok" if self._silence() <= self._settings.max_silence_seconds else "degraded"

    def _silence(self) -> float:
        last = self._last_told
        return float("inf") if last is None else time.monotonic() - last

    def _note(self, records: dict[Any, list[Any]]) -> None:
        """Note what came: the last of each partition tells most."""
        now = self._last_record = time.monotonic()
        told = (told_ms(batch[-1].value) for batch in records.values())
        ages = (0.0 if ms is None else max(0.0, time.time() - ms / 1000) for ms in told)
        self._last_told = max(self._last_told or 0.0, now - min(ages))

    def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            reason = "silence"
            try:
                with closing(self._connect(self._settings)) as consumer:
                    if self._watch(consumer):
                        pause = _FIRST_PAUSE_SECONDS
            except Exception as error:
                # Nothing that kafka-python may raise is worth the loss of this thread.
                reason = type(error).__name__
                log.debug("stream_watch_failed", exc_info=True)
            self._report(reason)
            self._stopping.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _watch(self, consumer: Any) -> bool:
        """Poll until the topic falls silent; tell whether any record came.

        After a silence the consumer is made anew: the topic may have been created since,
        or have got more partitions.
        """
        topic = self._settings.topic
        partitions = consumer.partitions_for_topic(topic)
        if not partitions:
            raise LookupError(f"topic {topic} does not exist")
        consumer.assign([TopicPartition(topic, number) for number in partitions])
        opened = time.monotonic()
        seen = False
        while not self._stopping.is_set():
            if records := consumer.poll(timeout_ms=_POLL_MS):
                self._note(records)
                seen = True
                self._report("record" if self.state() == "ok" else "behind")
            quiet = time.monotonic() - max(opened, self._last_record or opened)
            if quiet > self._settings.max_silence_seconds:
                break
        return seen

    def _report(self, reason: str) -> None:
        """Log a change of state, once."""
        state = self.state()
        starting = time.monotonic() - self._started_at <= self._settings.max_silence_seconds
        if state == self._reported or (self._reported is None and state != "ok" and starting):
            return
        self._reported = state
        write = log.info if state == "ok" else log.warning
        write("change_stream", extra={"fields": {"state": state, "reason": reason}})


def _connect(settings: Stream) -> Any:
    """Return a consumer of nothing yet; raise what kafka-python raises where Kafka is away."""
    return open_consumer(
        bootstrap_servers=list(settings.bootstrap_servers),
        client_id="helfy-api",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="latest",
        allow_auto_create_topics=False,
        bootstrap_timeout_ms=_CONNECT_MS,
        request_timeout_ms=_CONNECT_MS * 2,
        reconnect_backoff_max_ms=_CONNECT_MS,
    )
