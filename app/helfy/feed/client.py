"""Clients of Kafka that belong to no group and leave no trace in it."""

import contextlib
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer  # type: ignore[import-untyped]  # kafka-python ships no types
from kafka import errors as kafka_errors
from kafka.net.compat import KafkaNetClient  # type: ignore[import-untyped]  # as above

from helfy.consumer.change import Record
from helfy.feed.settings import Stream

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


def connect(settings: Stream) -> Any:
    """Return a consumer of nothing yet; raise what kafka-python raises where Kafka is away."""
    return _made(
        KafkaConsumer,
        settings,
        group_id=None,
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
    return _made(KafkaAdminClient, settings)


def _made(kind: Any, settings: Stream, **more: Any) -> Any:
    clients: list[Any] = []

    def client(**configuration: Any) -> Any:
        clients.append(KafkaNetClient(**configuration))
        return clients[-1]

    try:
        return kind(
            bootstrap_servers=list(settings.bootstrap_servers),
            client_id="helfy-api",
            bootstrap_timeout_ms=CONNECT_MS,
            request_timeout_ms=CONNECT_MS * 3,
            reconnect_backoff_max_ms=1000,
            metadata_max_age_ms=METADATA_MS,
            kafka_client=client,
            **more,
        )
    except BaseException:
        # A client that fails to be made leaves its thread running, which would try to reach
        # Kafka for ever: one more with each attempt, for as long as Kafka is away.
        for made in clients:
            with contextlib.suppress(Exception):
                made.close()
        raise


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
