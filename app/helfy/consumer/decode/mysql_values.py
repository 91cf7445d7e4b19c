"""Write a column's value as the line wants it, from TiCDC's text and the column's MySQL type.

TiCDC hands every value on as text, or as null. By type, text becomes

- integers (``tinyint`` … ``bigint``, ``unsigned`` too), ``year``, ``bit``: a number, beyond 2^53 a
  string
- ``float``, ``double``: a number; ``decimal``: the text as it is
- ``datetime``, ``timestamp``: RFC 3339 in UTC with the digits of a second that the text has;
  ``date`` and ``time``: the text as it is (``2026-11-23``, ``-101:02:03.5``)
- ``json``: its text as it is, in which no number is rounded and no key is dropped
- ``binary``, ``varbinary``, all ``blob``: base64 of the bytes, which the text holds as Latin-1
- ``enum``, ``set``: their number, as which TiCDC sends them; their names where the type lists them
  (``content-compatible``)
- text of all kinds, ``vector``, and types that are not known: the text as it is

TiCDC writes a TIMESTAMP in the zone that it runs in and a DATETIME without any. Both are read as
UTC: the cluster is deployed with TiCDC's zone and the servers' ``time_zone`` set to it.

Text that does not fit its type is passed on as it came (a zero date has no other form); only
``binary`` cannot be, since nobody could tell it from base64.
"""

import base64
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from helfy.consumer.wire import Json, portable

_BASE: Final = re.compile(r"\s*([a-z]+)", re.IGNORECASE)
_MEMBER: Final = re.compile(r"'((?:[^']|'')*)'")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,20}")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d{1,6})?")


class NotOfTypeError(ValueError):
    """The text cannot be of its type. The message says how, and holds nothing of the text."""


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A type as ``mysqlType`` tells it: its name in lower case, for ENUM and SET its members."""

    name: str
    members: tuple[str, ...] = ()

    @classmethod
    def of(cls, told: str) -> "ColumnType":
        """Read ``bigint unsigned``, ``varchar(64)`` or ``enum('a','b')``."""
        match = _BASE.match(told)
        name = match[1].lower() if match else ""
        if name not in ("enum", "set"):
            return cls(name)
        members = tuple(member.replace("''", "'") for member in _MEMBER.findall(told))
        return cls(name, members)


def written(text: str, column: ColumnType | None) -> Json:
    """Give the value for the line. Raises NotOfTypeError for binary that holds none."""
    writer = _WRITERS.get(column.name) if column else None
    if column is None or writer is None:
        return portable(text)
    return portable(writer(text, column))


def _integer(text: str, _column: ColumnType) -> Json:
    return int(text) if _INTEGER.fullmatch(text) else text


def _float(text: str, _column: ColumnType) -> Json:
    number = float(text) if _NUMBER.fullmatch(text) else math.inf
    return number if math.isfinite(number) else text


def _moment(text: str, _column: ColumnType) -> Json:
    match = _MOMENT.fullmatch(text)
    if match is None:
        return text
    # Python's calendar begins in the year 1; the year 0 is a leap year.
    day = match[1].replace("0000-", "2000-", 1)
    try:
        datetime.fromisoformat(f"{day}T{match[2]}")
    except ValueError:
        return text  # 0000-00-00, which the calendar does not have
    return f"{match[1]}T{match[2]}{match[3] or ''}Z"


def _binary(text: str, _column: ColumnType) -> Json:
    try:
        raw = text.encode("latin-1")
    except UnicodeEncodeError:
        raise NotOfTypeError("is binary, but not in Latin-1") from None
    return base64.b64encode(raw).decode()


def _enum(text: str, column: ColumnType) -> Json:
    number = _integer(text, column)
    if not isinstance(number, int) or not 0 <= number <= len(column.members):
        return number
    # 0 is what MySQL stores for a value that was none of the members.
    return ("", *column.members)[number] if column.members else number


def _set(text: str, column: ColumnType) -> Json:
    bits = _integer(text, column)
    if not isinstance(bits, int) or not column.members or not 0 <= bits < 1 << len(column.members):
        return bits
    return ",".join(name for place, name in enumerate(column.members) if bits >> place & 1)


_WRITERS: Final[dict[str, Callable[[str, ColumnType], Json]]] = {
    **dict.fromkeys(
        ("tinyint", "smallint", "mediumint", "int", "integer", "bigint", "year", "bit", "bool"),
        _integer,
    ),
    **dict.fromkeys(("float", "double", "real"), _float),
    **dict.fromkeys(("datetime", "timestamp"), _moment),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), _binary),
    "enum": _enum,
    "set": _set,
}
