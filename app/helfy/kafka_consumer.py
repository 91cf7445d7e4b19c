"""Clients of kafka-python, made so that nothing is left of one that cannot be made."""

import contextlib
from typing import Any

import kafka  # type: ignore[import-untyped]  # kafka-python ships no types
from kafka.net.compat import KafkaNetClient  # type: ignore[import-untyped]  # as above


def open_consumer(**configuration: Any) -> Any:
    """Return a ``kafka.KafkaConsumer``; see ``_opened``."""
    return _opened(kafka.KafkaConsumer, configuration)


def open_admin(**configuration: Any) -> Any:
    """Return a ``kafka.KafkaAdminClient``; see ``_opened``."""
    return _opened(kafka.KafkaAdminClient, configuration)


def _opened(kind: Any, configuration: dict[str, Any]) -> Any:
    """Make a client; blocks until a broker has answered.

    Raises what kafka-python raises where none does in time. Its client would then leave a
    thread running (3.0.12), which tries to reach Kafka for ever: one more with each attempt.
    """
    clients: list[Any] = []

    def client(**given: Any) -> Any:
        clients.append(KafkaNetClient(**given))
        return clients[-1]

    try:
        return kind(kafka_client=client, **configuration)
    except BaseException:
        for opened in clients:
            with contextlib.suppress(Exception):
                opened.close()
        raise
