"""The one thread of a process that follows the topic."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Final

from kafka import TopicPartition  # type: ignore[import-untyped]  # kafka-python ships no types

from helfy import jsonlog
from helfy.feed import client
from helfy.feed.entry import Decoder, Entry
from helfy.feed.marks import Marks
from helfy.feed.minutes import LAG, Latencies, Minutes
from helfy.feed.pulse import Pulse
from helfy.feed.ring import Ring
from helfy.feed.settings import Stream

log = jsonlog.get(__name__)

POLL_MS: Final = 500
PROBE_AFTER_SECONDS: Final = 2.0
PROBE_MS: Final = 1500
# A broker that starts anew answers again within this; then the connection is made anew too.
LOST_SECONDS: Final = 15.0
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 5.0
METADATA_SECONDS: Final = 10.0
# What is read back at the start. Who is further behind than twice that goes on from there: the
# records between stay in Kafka for whoever asks for them.
BACK_RECORDS: Final = 1000


class StreamReader:
    """Keeps the topic's last lines in ``ring``. Whatever happens to Kafka, the API goes on.

    ``pulse`` says how the stream is, ``latencies`` are those of the last hour, ``marks`` tell when
    records came by offset, ``lag`` is how many are not read yet, ``lags`` keeps the highest of each
    minute of the last hour.
    """

    def __init__(self, settings: Stream, connect: Callable[[Stream], Any] | None = None) -> None:
        self.ring = Ring()
        self.pulse = Pulse(settings.max_silence_seconds)
        self.latencies = Latencies()
        self.marks = Marks()
        self.lag = 0
        self.lags = Minutes()
        self.each_round: Callable[[], None] = lambda: None
        self._settings = settings
        self._connect = connect or client.connect
        self._decoder = Decoder(settings.lines())
        self._stopping = threading.Event()
        self._beginnings: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._counted: dict[int, int] = {}  # by partition, what latencies has seen before
        self._thread = threading.Thread(target=self._run, name="stream-reader", daemon=True)

    def start(self) -> None:
        """Begin to read; returns at once."""
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Ask the thread to end and wait ``timeout`` seconds; it never holds up an exit."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def begins_with(self, partition: int) -> int | None:
        """Return the first offset that the partition had when the reader connected."""
        return self._beginnings.get(partition)

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            reason = "silence"
            try:
                with closing(self._connect(self._settings)) as consumer:
                    if self._read(consumer):
                        pause = FIRST_PAUSE_SECONDS
            except Exception as error:
                # Nothing that kafka-python may raise is worth the loss of this thread.
                reason = type(error).__name__
                self.pulse.away()
                log.debug("stream_reader_failed", exc_info=True)
            self.pulse.report(reason)
            self._stopping.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _read(self, consumer: Any) -> bool:
        """Poll until something calls for a new connection; tell whether any record came."""
        parts = self._assign(consumer)
        pulse = self.pulse
        pulse.connected()
        opened = looked = time.monotonic()
        seen = False
        while not self._stopping.is_set():
            self.each_round()
            polled = consumer.poll(timeout_ms=POLL_MS)
            now = time.monotonic()
            if polled:
                self._take(polled)
                pulse.came(records[-1] for records in polled.values())
                seen = True
            elif now - (pulse.answered_at or opened) > PROBE_AFTER_SECONDS:
                self._probe(consumer, parts, now)
            self._measure(consumer, parts)
            if now - max(opened, pulse.arrived_at or opened) > self._settings.max_silence_seconds:
                break  # the topic may have been made anew
            if now - looked > METADATA_SECONDS:
                looked = now
                numbers = consumer.partitions_for_topic(self._settings.topic)
                if numbers is not None and numbers != {part.partition for part in parts}:
                    break
        return seen

    def _assign(self, consumer: Any) -> list[Any]:
        """Take all partitions, each where reading ended or not far from its end."""
        topic = self._settings.topic
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            raise LookupError(f"topic {topic} does not exist")
        parts = [TopicPartition(topic, number) for number in sorted(numbers)]
        beginnings = consumer.beginning_offsets(parts, timeout_ms=client.CONNECT_MS)
        ends = consumer.end_offsets(parts, timeout_ms=client.CONNECT_MS)
        consumer.assign(parts)
        self._beginnings = {part.partition: beginnings[part] for part in parts}
        self._ends = {part.partition: ends[part] for part in parts}
        self.ring.keep_only(numbers)
        following = self.ring.following()
        for part in parts:
            goes_on = following.get(part.partition)
            earliest = max(beginnings[part], ends[part] - BACK_RECORDS)
            if goes_on is None or not earliest - BACK_RECORDS <= goes_on <= ends[part]:
                goes_on = earliest
                self.ring.restart(part.partition, goes_on)
            consumer.seek(part, max(goes_on, beginnings[part]))
        return parts

    def _take(self, polled: dict[Any, list[Any]]) -> None:
        for part, records in polled.items():
            number, entries = part.partition, list[Entry]()
            if self.ring.following().get(number) != records[0].offset:
                # Kafka dropped records unread, or the topic was made anew.
                self.ring.restart(number, records[0].offset)
                self._counted[number] = min(self._counted.get(number, 0), records[-1].offset)
            for record in records:
                entry = self._decoder.entry(client.record_of(record))
                if entry is not None:
                    entries.append(entry)
                    if entry.offset >= self._counted.get(number, 0):
                        self.latencies.note(entry.lag_ms, entry.at / 1000)
            self.ring.add(number, entries, records[-1].offset + 1)
            self._counted[number] = max(self._counted.get(number, 0), records[-1].offset + 1)
            self.marks.note(number, records[-1].offset, records[-1].timestamp / 1000)

    def _probe(self, consumer: Any, parts: list[Any], now: float) -> None:
        """Ask Kafka, which says nothing when there is nothing, whether it is there at all."""
        try:
            consumer.end_offsets(parts, timeout_ms=PROBE_MS)
        except client.FAULTS:
            self.pulse.away()
            if now - (self.pulse.answered_at or now) > LOST_SECONDS:
                raise
        else:
            self.pulse.answered()

    def _measure(self, consumer: Any, parts: list[Any]) -> None:
        following = self.ring.following()
        lag = 0
        for part in parts:
            end = consumer.highwater(part)
            end = self._ends[part.partition] if end is None else end
            waiting = max(0, end - following[part.partition])
            if waiting > 2 * BACK_RECORDS:
                consumer.seek(part, end - BACK_RECORDS)
                self.ring.restart(part.partition, end - BACK_RECORDS)
                waiting = BACK_RECORDS
            lag += waiting
        self.lag = lag
        self.lags.note_most(LAG, lag)
        if lag == 0:
            self.pulse.at_the_end()
