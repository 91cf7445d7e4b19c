r"""How far the consumer is behind the topic, as Kafka itself knows it.

    helfy-run helfy.stream_health --config /etc/helfy/consumer.toml \
        --password-file /etc/helfy/credentials/kafka_consumer [--stall-seconds 15]

Prints one line of JSON, whatever it finds::

    {"well": true, "said": "...", "topic": "tidb_changes", "group": "...", "behindSeconds": 0.4,
     "partitions": {"0": {"end": 812, "committed": 811, "lag": 1}}}

The exit status is 0 where the consumer is well. Else it is 1, and ``said``, which is the reason, is
on stderr too.
A consumer commits an offset when its line is safe in the journal. So the age of the oldest record
that is not committed is the age that the newest change without a line can have. Records come all
the time (heartbeats, watermarks), so a consumer that does not commit is found although nothing
changes.
"""

import argparse
import contextlib
import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import kafka  # type: ignore[import-untyped]  # kafka-python ships no types

from helfy.consumer.lost import journal_fault
from helfy.consumer.settings import Settings, SettingsError, load
from helfy.kafka_consumer import open_consumer

BOOTSTRAP_MS: Final = 3000
REQUEST_MS: Final = 3000
PROGRESS_SECONDS: Final = 3.0
PAUSE_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Look:
    """Offsets by partition at one moment; ``committed`` lacks where nothing is committed yet."""

    ends: Mapping[int, int]
    beginnings: Mapping[int, int]
    committed: Mapping[int, int]
    journal_fault: str | None = None

    def next_of(self, partition: int) -> int:
        """Give the offset that the consumer has to commit past next."""
        first = self.beginnings[partition]
        return max(self.committed.get(partition, first), first)

    def lags(self) -> dict[int, int]:
        """Give the records not committed yet, by partition."""
        return {part: max(0, end - self.next_of(part)) for part, end in self.ends.items()}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the consumer is well, in words, and how old what it has not committed is."""

    well: bool
    said: str
    behind_seconds: float


def judge(first: Look, behind: float, then: Look, stall_seconds: float) -> Verdict:
    """Judge two looks, the later one some seconds after; ``behind`` belongs to the first."""
    if first.journal_fault is not None:
        return Verdict(False, first.journal_fault, behind)
    lag = sum(first.lags().values())
    if lag == 0:
        return Verdict(True, "up to date", 0.0)
    if behind <= stall_seconds:
        return Verdict(True, f"{behind:.1f} s behind ({_records(lag)})", behind)
    if all(
        then.next_of(part) <= first.next_of(part) for part, many in first.lags().items() if many
    ):
        return Verdict(
            False, f"no offset committed for {behind:.0f} s, {_records(lag)} wait", behind
        )
    return Verdict(
        True, f"catching up: {_records(lag)} wait, the oldest for {behind:.0f} s", behind
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module's text."""
    parser = argparse.ArgumentParser(prog="helfy.stream_health")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--password-file", type=Path, help="of Kafka; else a credential")
    parser.add_argument("--stall-seconds", type=float, default=15.0)
    given = parser.parse_args(arguments)
    answer: dict[str, object]
    try:
        settings = load(given.config, given.password_file)
        answer = examine(settings, given.stall_seconds)
    except SettingsError as error:
        answer = {"well": False, "said": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever kafka-python raises, this is the answer
        answer = {"well": False, "said": f"Kafka does not answer ({type(error).__name__}: {error})"}
    print(json.dumps(answer))
    if not answer["well"]:
        print(answer["said"], file=sys.stderr)
    return 0 if answer["well"] else 1


def examine(settings: Settings, stall_seconds: float) -> dict[str, object]:
    """Ask Kafka, and judge. Raises what kafka-python raises."""
    with connected(settings) as consumer:
        numbers = consumer.partitions_for_topic(settings.topic)
        if not numbers:
            said = f"the topic {settings.topic} does not exist"
            return {"well": False, "said": said, "topic": settings.topic}
        parts = [kafka.TopicPartition(settings.topic, number) for number in sorted(numbers)]
        first = look(consumer, parts)
        behind = oldest_age(consumer, parts, first)
        then, deadline = first, time.monotonic() + PROGRESS_SECONDS
        while behind > stall_seconds and then.committed == first.committed:
            if time.monotonic() >= deadline:
                break
            time.sleep(PAUSE_SECONDS)
            then = look(consumer, parts)
    verdict = judge(first, behind, then, stall_seconds)
    return {
        "well": verdict.well,
        "said": verdict.said,
        "topic": settings.topic,
        "group": settings.group_id,
        "behindSeconds": round(verdict.behind_seconds, 3),
        "partitions": {
            str(part): {"end": end, "committed": first.committed.get(part), "lag": lag}
            for (part, end), lag in zip(first.ends.items(), first.lags().values(), strict=True)
        },
    }


def look(consumer: Any, parts: Sequence[Any]) -> Look:
    """Ask for the offsets."""
    # The end is asked for last: what is committed meanwhile must not be beyond it.
    told = {
        part.partition: consumer.committed(part, metadata=True, timeout_ms=REQUEST_MS)
        for part in parts
    }
    places = {number: place for number, place in told.items() if place is not None}
    faults = [journal_fault(place.metadata) for place in places.values()]
    beginnings = consumer.beginning_offsets(parts, timeout_ms=REQUEST_MS)
    ends = consumer.end_offsets(parts, timeout_ms=REQUEST_MS)
    return Look(
        ends={part.partition: ends[part] for part in parts},
        beginnings={part.partition: beginnings[part] for part in parts},
        committed={number: place.offset for number, place in places.items() if place.offset >= 0},
        journal_fault=next(filter(None, faults), None),
    )


def oldest_age(consumer: Any, parts: Sequence[Any], seen: Look) -> float:
    """Give the age in seconds of the oldest record that is not committed, 0 where all are."""
    lags = seen.lags()
    waiting = [part for part in parts if lags[part.partition]]
    if not waiting:
        return 0.0
    consumer.assign(waiting)
    for part in waiting:
        consumer.seek(part, seen.next_of(part.partition))
    times: dict[Any, int] = {}
    deadline = time.monotonic() + REQUEST_MS / 1000
    while len(times) < len(waiting) and time.monotonic() < deadline:
        for part, records in consumer.poll(timeout_ms=200).items():
            times.setdefault(part, records[0].timestamp)
            consumer.pause(part)
    if not times:
        raise TimeoutError("no record came")
    return max(0.0, time.time() - min(times.values()) / 1000)


@contextlib.contextmanager
def connected(settings: Settings) -> Iterator[Any]:
    """Give a client that knows the group's offsets and never joins the group."""
    consumer = open_consumer(
        settings.login,
        bootstrap_servers=list(settings.bootstrap_servers),
        group_id=settings.group_id,
        client_id="helfy-health",
        bootstrap_timeout_ms=BOOTSTRAP_MS,
        request_timeout_ms=REQUEST_MS * 3,
        enable_auto_commit=False,
        allow_auto_create_topics=False,
        auto_offset_reset="earliest",
        max_poll_records=1,
        metrics_enabled=False,
    )
    with closing(consumer):
        yield consumer


def _records(count: int) -> str:
    return f"{count} record{'s' * (count != 1)}"


if __name__ == "__main__":
    # Its own words are the answer, not the library's.
    logging.disable(logging.CRITICAL)
    sys.exit(main())
