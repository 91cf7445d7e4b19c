"""Write a column's value as the line wants it, where its type is known.

JSON without a schema does not tell types: 7306 may be a number or the day 1990-01-02. A value
is therefore passed on as it came unless the configuration (``[types]``) or the record's own
schema names its kind. A value that does not fit its kind is passed on as it came, too: a wrong
entry in the configuration must not cost a change its line.

Kinds, and what they are made from:

- ``date``: days since 1970-01-01 -> ``2026-11-23``
- ``datetime``, ``datetime3``: milliseconds since 1970 -> ``2026-11-23T18:04:39Z``, ``….123Z``
- ``datetime6``: microseconds since 1970 -> ``….123456Z``
- ``timestamp``: ISO 8601 with an offset -> the same moment in UTC
- ``time``: microseconds since midnight, may be negative -> ``18:04:39.000001``
- ``decimal``: a number -> a string
- ``json``: a string that holds JSON -> that JSON
- ``binary``: base64 already, left as it is

Debezium reads DATETIME, which has no zone, as if it were UTC; Helfy's sessions are in UTC.
"""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from helfy.consumer.wire import Json, Row, parse, portable

_LONGEST_TIME: Final = 839 * 3600 * 1_000_000  # TIME ends at 838:59:59
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def convert(row: Row, kinds: Mapping[str, str]) -> Row:
    """Write every value of ``row`` portably, by its kind where one is known for its column."""
    if not kinds:
        return {str(portable(name)): portable(value) for name, value in row.items()}
    return {
        str(portable(name)): portable(_by_kind(value, kinds.get(name.lower())))
        for name, value in row.items()
    }


def utc(moment: datetime, digits: int) -> str:
    """Write ``moment`` as RFC 3339 in UTC with 0, 3 or 6 digits of a second."""
    spec = {0: "seconds", 3: "milliseconds", 6: "microseconds"}[digits]
    return moment.astimezone(UTC).isoformat(timespec=spec).replace("+00:00", "Z")


def since_epoch(microseconds: int) -> datetime:
    """Give the moment. Raises OverflowError beyond the years 1 to 9999."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _by_kind(value: Json, kind: str | None) -> Json:
    if value is None or kind is None:
        return value
    try:
        if kind.startswith("unscaled"):
            return _unscaled(value, int(kind.removeprefix("unscaled")))
        return _WRITERS[kind](value)
    except (TypeError, ValueError, OverflowError):
        return value


def _number(value: Json) -> int:
    # An integer beyond 2^53 may come as a string.
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError("not an integer")
    return int(value)


def _string(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _date(value: Json) -> Json:
    return (date(1970, 1, 1) + timedelta(days=_number(value))).isoformat()


def _datetime(value: Json) -> Json:
    milliseconds = _number(value)
    return utc(since_epoch(milliseconds * 1000), 3 if milliseconds % 1000 else 0)


def _datetime3(value: Json) -> Json:
    return utc(since_epoch(_number(value) * 1000), 3)


def _datetime6(value: Json) -> Json:
    return utc(since_epoch(_number(value)), 6)


def _timestamp(value: Json) -> Json:
    moment = datetime.fromisoformat(_string(value))
    if moment.tzinfo is None or moment.utcoffset() == timedelta(0):
        return value  # already UTC, or nothing that tells what it is
    return utc(moment, 6 if moment.microsecond else 0)


def _time(value: Json) -> Json:
    microseconds = _number(value)
    if abs(microseconds) > _LONGEST_TIME:
        raise ValueError("no TIME is that long")
    seconds, fraction = divmod(abs(microseconds), 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return ("-" if microseconds < 0 else "") + text + (f".{fraction:06}" if fraction else "")


def _decimal(value: Json) -> Json:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return str(value)


def _json(value: Json) -> Json:
    return parse(_string(value))


def _unscaled(value: Json, scale: int) -> Json:
    """Kafka Connect's Decimal: base64 of the big-endian unscaled integer."""
    unscaled = int.from_bytes(base64.b64decode(_string(value), validate=True), signed=True)
    return format(Decimal((unscaled < 0, _digits(unscaled), -scale)), "f")


def _digits(number: int) -> tuple[int, ...]:
    return tuple(int(digit) for digit in str(abs(number)))


def _same(value: Json) -> Json:
    return value


_WRITERS: Final[dict[str, Callable[[Json], Json]]] = {
    "date": _date,
    "datetime": _datetime,
    "datetime3": _datetime3,
    "datetime6": _datetime6,
    "timestamp": _timestamp,
    "time": _time,
    "decimal": _decimal,
    "json": _json,
    "binary": _same,
}
KINDS: Final = tuple(_WRITERS)
