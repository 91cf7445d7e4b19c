"""JSON in and out: what may come in, and what a line may say."""

import json
import math
import re
from collections.abc import Mapping
from typing import Final

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Row = dict[str, Json]

MAX_SAFE_INTEGER: Final = 2**53
# Deeper nesting than a log reader would follow; Python itself gives up near 1000.
MAX_DEPTH: Final = 64
# Python refuses to convert longer ones; no column holds more than 65 digits.
MAX_DIGITS: Final = 100
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class NotJsonError(ValueError):
    """The text is not JSON that can be told on. The message holds nothing of the text."""


def parse(text: str) -> Json:
    """Read JSON text. Raises NotJsonError; numbers that Python cannot hold become strings.

    ``NaN`` and ``Infinity`` are not JSON and are refused, nesting beyond MAX_DEPTH as well.
    """
    try:
        value: Json = json.loads(
            text, parse_constant=_constant, parse_int=_integer, parse_float=_float
        )
    except json.JSONDecodeError as error:
        raise NotJsonError(f"not JSON at character {error.pos}") from None
    except RecursionError:
        raise NotJsonError("nested too deeply") from None
    if _deeper_than(value, MAX_DEPTH):
        raise NotJsonError("nested too deeply")
    return value


def portable(value: Json) -> Json:
    """Change what JSON readers would get wrong: integers beyond 2^53 become strings.

    So do numbers that are not finite; lone surrogates, which UTF-8 cannot hold, become U+FFFD.
    """
    result = value
    if isinstance(value, str):
        result = text(value)
    elif isinstance(value, bool):
        result = value
    elif isinstance(value, int):
        result = value if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER else str(value)
    elif isinstance(value, float):
        result = value if math.isfinite(value) else str(value)
    elif isinstance(value, dict):
        result = {text(name): portable(item) for name, item in value.items()}
    elif isinstance(value, list):
        result = [portable(item) for item in value]
    return result


def text(value: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot hold."""
    return value if value.isascii() else _SURROGATE.sub("\ufffd", value)


def compact(value: Json | Mapping[str, Json]) -> str:
    """Write JSON without blanks; characters outside ASCII stay as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _constant(_name: str) -> Json:
    raise NotJsonError("not JSON: a number that is not finite")


def _integer(digits: str) -> Json:
    return int(digits) if len(digits) <= MAX_DIGITS else digits


def _float(digits: str) -> Json:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _deeper_than(value: Json, limit: int) -> bool:
    level: list[dict[str, Json] | list[Json]] = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        level = [
            item
            for node in level
            for item in (node.values() if isinstance(node, dict) else node)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True
