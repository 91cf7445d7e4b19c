"""Shorten a line until it fits, always in the same way.

1. Every value in ``key``, ``data`` and ``old``, and ``sql``, that exceeds ``max_value_bytes``
   becomes ``{"truncated":true,"bytes":…,"sha256":…}``. ``bytes`` and ``sha256`` are of the
   value as the line would have had it: a string's UTF-8, else compact JSON.
2. While the line exceeds ``max_line_bytes``, so does the largest value of them that is left.
3. Then ``data``, ``old``, ``key`` and ``redacted`` as a whole.

Redaction came first, so no hash is of a secret.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from helfy import jsonlog
from helfy.consumer.change import UndecodableError
from helfy.consumer.wire import Json, Row, compact

# A value shorter than what would take its place stays.
_MARK_BYTES: Final = 128
_PLACES: Final = ("data", "old", "key")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a line may take, in bytes: a value of a column, and the line with its line break."""

    value_bytes: int = 32_768
    line_bytes: int = 262_144


def truncated(value: Json) -> dict[str, Json]:
    """Give what stands in a value's place."""
    raw = _raw(value)
    return {"truncated": True, "bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}


def fit(line: dict[str, Json], limits: Limits) -> bytes:
    """Write ``line``, whose ``change`` is a change's fields, within the limits.

    Raises UndecodableError where that cannot be.
    """
    written = jsonlog.dumps(line).encode()
    # No value can exceed its limit in a line that does not.
    if len(written) < min(limits.value_bytes, limits.line_bytes):
        return written
    change = line["change"]
    if not isinstance(change, dict):
        raise TypeError("a line without a change")
    change = _without_large_values(change, limits.value_bytes)
    written = _write(line, change)
    over = len(written) + 1 - limits.line_bytes
    if over > 0:
        change = _without_largest(change, over)
        written = _write(line, change)
    for name in (*_PLACES, "redacted"):
        if len(written) < limits.line_bytes:
            return written
        if change.get(name):
            change = {**change, name: truncated(change[name])}
            written = _write(line, change)
    if len(written) < limits.line_bytes:
        return written
    raise UndecodableError("does not fit a line")


def _without_large_values(change: Row, limit: int) -> Row:
    result = dict(change)
    for name in _PLACES:
        row = change.get(name)
        if isinstance(row, dict):
            result[name] = {column: _short(value, limit) for column, value in row.items()}
    if "sql" in change:
        result["sql"] = _short(change["sql"], limit)
    return result


def _without_largest(change: Row, over: int) -> Row:
    """Truncate the largest values, ties by place and name, until ``over`` bytes are saved."""
    result = dict(change)
    sizes: list[tuple[int, str, str]] = []
    for place in _PLACES:
        row = change.get(place)
        if isinstance(row, dict):
            result[place] = dict(row)
            sizes += [(len(compact(value).encode()), place, name) for name, value in row.items()]
    if "sql" in change:
        sizes.append((len(compact(change["sql"]).encode()), "sql", ""))
    for size, place, name in sorted(sizes, key=lambda item: (-item[0], item[1], item[2])):
        if over <= 0 or size <= _MARK_BYTES:
            break
        row = result[place]
        if isinstance(row, dict) and place != "sql":
            mark = _mark(row[name])
            row[name] = mark
        else:
            mark = result["sql"] = _mark(result["sql"])
        over -= size - len(compact(mark).encode())
    return result


def _mark(value: Json) -> Json:
    return value if _is_mark(value) else truncated(value)


def _is_mark(value: Json) -> bool:
    return isinstance(value, dict) and value.keys() == {"truncated", "bytes", "sha256"}


def _short(value: Json, limit: int) -> Json:
    if value is None or isinstance(value, bool | int | float):
        return value
    return truncated(value) if len(_raw(value)) > limit else value


def _raw(value: Json) -> bytes:
    return (value if isinstance(value, str) else compact(value)).encode()


def _write(line: dict[str, Json], change: Row) -> bytes:
    return jsonlog.dumps({**line, "change": change}).encode()
