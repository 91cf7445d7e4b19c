"""Clients of Kafka that belong to no group and leave no trace in it."""

from typing import Any, Final

from kafka import errors as kafka_errors  # type: ignore[import-untyped]  # it ships no types

from helfy.consumer.change import Record
from helfy.feed.settings import Stream
from helfy.kafka_consumer import open_admin, open_consumer

# What kafka-python raises where Kafka or the way to it is at fault.
FAULTS: Final[tuple[type[Exception], ...]] = (
    kafka_errors.KafkaError,
    OSError,
    RuntimeError,
    LookupError,
)
CONNECT_MS: Final = 2000
METADATA_MS: Final = 10_000
FETCH_BYTES: Final = 4 * 1024**2
PARTITION_FETCH_BYTES: Final = 1024**2
MAX_RECORDS: Final = 200


def connect(settings: Stream, group_id: str | None = None) -> Any:
    """Return a consumer of nothing yet; raise what kafka-python raises where Kafka is away.

    With ``group_id`` it may keep offsets there; it is no member of the group.
    """
    return open_consumer(
        settings.login,
        **_common(settings),
        group_id=group_id,
        enable_auto_commit=False,
        # Where an offset is gone: the oldest there is. What that skips is told by the feed.
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        max_poll_records=MAX_RECORDS,
        fetch_max_bytes=FETCH_BYTES,
        max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
        metrics_enabled=False,
    )


def administrate(settings: Stream) -> Any:
    """Return a client that asks about groups; raise what kafka-python raises."""
    return open_admin(settings.login, **_common(settings))


def _common(settings: Stream) -> dict[str, Any]:
    return {
        "bootstrap_servers": list(settings.bootstrap_servers),
        "client_id": "helfy-api",
        "bootstrap_timeout_ms": CONNECT_MS,
        "request_timeout_ms": CONNECT_MS * 3,
        "reconnect_backoff_max_ms": 1000,
        "metadata_max_age_ms": METADATA_MS,
    }


def record_of(polled: Any) -> Record:
    """Give kafka-python's record as ours."""
    return Record(
        polled.topic,
        polled.partition,
        polled.offset,
        polled.key,
        polled.value,
        polled.timestamp,
    )
