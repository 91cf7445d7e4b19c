"""Write a column's value as the line wants it, from Debezium's JSON and the column's MySQL type.

The record tells each column's type, with length and scale, in ``sourceSchema`` (the connector's
transform ExtractSchemaToNewRecord); the connector has ``time.precision.mode=microseconds``. By
type, what arrives becomes the same text as in ``mysql_values``:

- integers and ``YEAR``, ``BIT``, ``BOOLEAN``: a number
- ``FLOAT``, ``DOUBLE``: a number, with a scale rounded to it as SQL shows it
- ``DATE`` (days since 1970), ``TIME`` (microseconds): ``2026-11-23``, ``-101:02:03.5``
- ``DATETIME`` (microseconds since 1970, in no zone and read as UTC), ``TIMESTAMP`` (ISO 8601):
  RFC 3339 in UTC. Both, and TIME, with as many digits of a second as the column has
- geometries: ``{"wkb":BASE64,"srid":NUMBER}``
- all others as they arrive: ``DECIMAL`` and text are strings, binary is base64, JSON its text

What Debezium 3.5.0 gets wrong and the record lets undo is undone here, each with its name below.
A value that does not fit its type is passed on as it came, and so is one of which no type is told
(records of an older configuration): that must not cost a change its line.
"""

import base64
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache, partial
from typing import Final, Literal

from helfy.consumer.decode.times import EPOCH, since_epoch, utc
from helfy.consumer.wire import Json, Row, portable, text

Writer = Callable[[Json], Json]

_BITS: Final = {
    **dict.fromkeys(("TINYINT", "INT1"), 8),
    **dict.fromkeys(("SMALLINT", "INT2"), 16),
    **dict.fromkeys(("MEDIUMINT", "INT3", "MIDDLEINT"), 24),
    **dict.fromkeys(("INT", "INTEGER", "INT4"), 32),
    **dict.fromkeys(("BIGINT", "INT8"), 64),
}
_FLOATS: Final = ("FLOAT", "FLOAT4", "FLOAT8", "DOUBLE", "REAL")
_GEOMETRIES: Final = (
    *("GEOMETRY", "POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING"),
    *("MULTIPOLYGON", "GEOMETRYCOLLECTION", "GEOMCOLLECTION"),
)
_ZERO_TIMESTAMP: Final = "0000-00-00 00:00:00"
_BINLOG_YEAR_ZERO: Final = 1900
# A period of the calendar, longer than the distance of the year 0 from those that Python has.
_CALENDAR_YEARS: Final = 400
_CALENDAR_DAYS: Final = 146_097
_FIRST_DAY: Final = (date.min - EPOCH.date()).days
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {
    **dict(zip("0bnrtZ", "\0\b\n\r\t\x1a", strict=True)),
    # In a string these keep their backslash.
    "%": r"\%",
    "_": r"\_",
    # A backslash that stands before a quote: the one that escaped it is gone.
    "'": r"\'",
}


def writers(payload: Row, key: Row | None) -> Mapping[str, Writer]:
    """Give what writes the values of each column whose type the record tells."""
    schema = payload.get("sourceSchema")
    table = schema.get("table") if isinstance(schema, dict) else None
    columns = table.get("columns") if isinstance(table, dict) else None
    from_snapshot = payload.get("op") == "r"
    found: dict[str, Writer] = {}
    for column in columns if isinstance(columns, list) else ():
        if isinstance(column, dict):
            name, kind = column.get("name"), column.get("typeName")
            if isinstance(name, str) and isinstance(kind, str):
                length, scale = _size(column, "length"), _size(column, "scale")
                writer = _writer(kind, length, scale, from_snapshot)
                if from_snapshot and kind == "BIT" and key is not None and name in key:
                    writer = _bits_of_key
                if writer is not None:
                    found[name] = writer
    return found


def convert(row: Row, by_column: Mapping[str, Writer]) -> Row:
    """Write every value of ``row`` portably, by its column's type where that is told."""
    return {
        text(name): portable(_written(value, by_column.get(name))) for name, value in row.items()
    }


def _size(column: Row, name: str) -> int | None:
    value = column.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _written(value: Json, writer: Writer | None) -> Json:
    if value is None or writer is None:
        return value
    try:
        return writer(value)
    except (TypeError, ValueError, OverflowError):
        return value


@lru_cache(maxsize=4096)
def _writer(kind: str, length: int | None, scale: int | None, from_snapshot: bool) -> Writer | None:
    base, *attributes = kind.upper().split() or [""]
    if base in _BITS:
        unsigned = {"UNSIGNED", "ZEROFILL"}.intersection(attributes)
        return partial(_unsigned, bits=_BITS[base]) if unsigned else None
    if base in _FLOATS:
        return None if scale is None else partial(_rounded, scale=scale)
    if base in _TIMES:
        return partial(_TIMES[base], digits=min(length or 0, 6))
    if base in ("ENUM", "SET"):
        # A snapshot's come from the database, the stream's from the statement that named them.
        return None if from_snapshot else partial(_unescaped, is_set=base == "SET")
    return _geometry if base in _GEOMETRIES else _OTHERS.get(base)


def _number(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("not an integer")
    return value


def _string(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _unsigned(value: Json, *, bits: int) -> Json:
    """Undo: Debezium knows INT UNSIGNED, but takes INTEGER UNSIGNED for signed (debezium/dbz)."""
    number = _number(value)
    return number + (1 << bits) if number < 0 else number


def _rounded(value: Json, *, scale: int) -> Json:
    """FLOAT(M,D) and DOUBLE(M,D) are rounded as SQL shows them: 1234.567, stored as …5670166."""
    if not isinstance(value, float):
        raise TypeError("not a number")
    return round(value, scale)


def _bits(value: Json, *, order: Literal["little", "big"] = "little") -> Json:
    """BIT(1) arrives as a boolean, a longer one as base64 of its bytes, the lowest first."""
    if isinstance(value, bool):
        return int(value)
    return int.from_bytes(base64.b64decode(_string(value), validate=True), order)


def _bits_of_key(value: Json) -> Json:
    """Undo: a snapshot's bytes are turned round for the key, and these once more for the row."""
    return _bits(value, order="big")


def _boolean(value: Json) -> Json:
    """BOOLEAN is TINYINT(1), and SQL shows a number."""
    if not isinstance(value, bool):
        raise TypeError("not a boolean")
    return int(value)


def _year(value: Json) -> Json:
    """Undo: the binlog's reader adds 1900 to the year 0000 too; no YEAR is 1900."""
    return 0 if _number(value) == _BINLOG_YEAR_ZERO else value


def _date(value: Json) -> Json:
    days, years = _number(value), 0
    if days < _FIRST_DAY:
        days, years = days + _CALENDAR_DAYS, _CALENDAR_YEARS
    day = EPOCH.date() + timedelta(days=days)
    return f"{day.year - years:04}-{day.month:02}-{day.day:02}"


def _datetime(value: Json, *, digits: int) -> Json:
    return utc(since_epoch(_number(value)), digits)


def _timestamp(value: Json, *, digits: int) -> Json:
    """Undo: a zero TIMESTAMP arrives as the first second of 1970, which no TIMESTAMP can hold."""
    moment = datetime.fromisoformat(_string(value))
    if moment.tzinfo is None:
        return value
    if moment == EPOCH:
        return f"{_ZERO_TIMESTAMP}.{'0' * digits}" if digits else _ZERO_TIMESTAMP
    return utc(moment, digits)


def _time(value: Json, *, digits: int) -> Json:
    microseconds = _number(value)
    seconds, fraction = divmod(abs(microseconds), 1_000_000)
    said = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return (
        ("-" if microseconds < 0 else "") + said + f".{fraction:06}"[: digits + 1 if digits else 0]
    )


def _unescaped(value: Json, *, is_set: bool) -> Json:
    r"""Undo: members of ENUM and SET arrive as they are written in SQL (debezium/dbz#2102).

    Debezium takes them from the statement, puts a backslash before each comma, and takes one away
    before a quote, but leaves all other escapes: ``b,c`` arrives as ``b\,c``, ``a\b`` as ``a\\b``.
    No member of a SET has a comma.
    """
    said = _string(value)
    if not is_set:
        said = said.replace(r"\,", ",")
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), said)


def _geometry(value: Json) -> Json:
    """Undo: SRID 0 arrives as null. A POINT's ``x`` and ``y`` are in its ``wkb``."""
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return {"wkb": value.get("wkb"), "srid": value.get("srid") or 0}


_TIMES: Final = {"DATETIME": _datetime, "TIMESTAMP": _timestamp, "TIME": _time}
_OTHERS: Final[dict[str, Writer]] = {
    "BIT": _bits,
    "BOOL": _boolean,
    "BOOLEAN": _boolean,
    "DATE": _date,
    "YEAR": _year,
}
