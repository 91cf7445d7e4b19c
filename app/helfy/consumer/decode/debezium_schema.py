"""The envelope ``{"schema","payload"}`` that Kafka Connect's JsonConverter may put around."""

from collections.abc import Iterator
from typing import Final

from helfy.consumer.change import UndecodableError
from helfy.consumer.wire import Json, Row

_ENVELOPE: Final = frozenset({"schema", "payload"})
_DECIMAL: Final = "org.apache.kafka.connect.data.Decimal"
_SCALES: Final = frozenset(map(str, range(66)))  # what DECIMAL allows
_KINDS: Final = {
    "io.debezium.time.Date": "date",
    "org.apache.kafka.connect.data.Date": "date",
    "io.debezium.time.Timestamp": "datetime3",
    "org.apache.kafka.connect.data.Timestamp": "datetime3",
    "io.debezium.time.MicroTimestamp": "datetime6",
    "io.debezium.time.MicroTime": "time",
    "io.debezium.time.ZonedTimestamp": "timestamp",
}


def unwrap(value: Row) -> Row | None:
    """Give the payload of an envelope, or the value itself where there is none.

    None is a tombstone in an envelope. Raises UndecodableError for a payload that is no object.
    """
    if value.keys() != _ENVELOPE:
        return value
    payload = value["payload"]
    if payload is not None and not isinstance(payload, dict):
        raise UndecodableError("debezium: payload is not an object")
    return payload


def kinds_of(value: Row) -> dict[str, str]:
    """Give the kinds of the row's columns as the envelope's schema tells them.

    JSON columns are not among them: they stay strings unless the configuration says otherwise,
    so that a line does not depend on whether schemas are on.
    """
    kinds: dict[str, str] = {}
    for image in _fields(value.get("schema")):
        if image.get("field") in ("before", "after"):
            for column in _fields(image):
                name, kind = column.get("field"), _kind(column)
                if isinstance(name, str) and kind is not None:
                    kinds[name.lower()] = kind
    return kinds


def _fields(schema: Json) -> Iterator[Row]:
    fields = schema.get("fields") if isinstance(schema, dict) else None
    if isinstance(fields, list):
        yield from (item for item in fields if isinstance(item, dict))


def _kind(column: Row) -> str | None:
    name = column.get("name")
    if not isinstance(name, str):
        return None
    if name == _DECIMAL:
        parameters = column.get("parameters")
        scale = parameters.get("scale") if isinstance(parameters, dict) else None
        return f"unscaled{scale}" if isinstance(scale, str) and scale in _SCALES else None
    return _KINDS.get(name)
