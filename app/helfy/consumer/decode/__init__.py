"""Turn a record of the topic into a change. Which format it is, the record itself tells.

A further format is one more module here with what ``Decoder`` says, and its entry in ``DECODERS``.
"""

from typing import Final, Protocol

from helfy.consumer.change import Change, Record, UndecodableError
from helfy.consumer.decode import canal_json, debezium
from helfy.consumer.wire import Json, NotJsonError, parse

__all__ = ["DECODERS", "Decoder", "decode", "snapshot_place", "told_ms"]


class Decoder(Protocol):
    """What a format's module offers."""

    FORMAT: str

    def recognises(self, value: dict[str, Json]) -> bool:
        """Say whether the value is of this format."""

    def decode(self, record: Record, value: dict[str, Json]) -> Change | None:
        """Read the value; None where it is no change. Raises UndecodableError."""

    def told_ms(self, value: dict[str, Json]) -> int | None:
        """Give how far the source had come, in Unix milliseconds; None where it is not told."""


DECODERS: Final[tuple[Decoder, ...]] = (canal_json, debezium)


def decode(record: Record) -> Change | None:
    """Read a record.

    Gives None for what is no change: tombstones, heartbeats, watermarks, transaction marks, the
    schema records of a snapshot. Raises UndecodableError for what cannot be understood.
    """
    if record.value is None:
        return None  # a tombstone: for log compaction only, the delete came before it
    value = _parse(record.value)
    for decoder in DECODERS:
        if decoder.recognises(value):
            return decoder.decode(record, value)
    raise UndecodableError("no format that is known")


def told_ms(raw: bytes | None) -> int | None:
    """Give the moment up to which a record tells that the source's changes are on the topic.

    In Unix milliseconds; None where the record does not tell, or is not understood.
    """
    if raw is None:
        return None
    try:
        value = _parse(raw)
        return next((each.told_ms(value) for each in DECODERS if each.recognises(value)), None)
    except UndecodableError:
        return None


def snapshot_place(raw: bytes | None) -> str | None:
    """Give the binlog position of the snapshot that a record belongs to; None where to none.

    "" for what a snapshot says of no table. Cheap for what belongs to none: it is asked of all.
    """
    if raw is None or raw.count(b'"snapshot":') == raw.count(b'"snapshot":"false"'):
        return None
    try:
        return debezium.snapshot_place(_parse(raw))
    except UndecodableError:
        return None


def _parse(raw: bytes) -> dict[str, Json]:
    try:
        value = parse(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UndecodableError(f"not UTF-8 at byte {error.start}") from None
    except NotJsonError as error:
        raise UndecodableError(str(error)) from None
    if not isinstance(value, dict):
        raise UndecodableError("not a JSON object")
    return value
