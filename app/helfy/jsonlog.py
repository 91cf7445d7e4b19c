"""One line of JSON per log record, on stdout, for systemd to hand to journald.

Shape: ``{"timestamp","level","action",…}``. ``timestamp`` is RFC 3339 in UTC with
milliseconds, ``level`` one of debug, info, warning, error, critical, ``action`` the message of
the log call: a name, not a sentence. What belongs to it is given as fields::

    log = jsonlog.get(__name__)
    log.info("login", extra={"fields": {"userId": 3, "outcome": "ok"}})

Fields cannot overwrite the three keys every line has. An exception becomes the string field
``exception``. Whatever is given, one valid line comes out: values that JSON does not know are
written as their ``str()``, numbers that are not finite as strings.
"""

import json
import logging
import math
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
MAX_EXCEPTION_CHARS: Final = 16_384
MAX_DEPTH: Final = 32
_OWN: Final = frozenset({"timestamp", "level", "action"})
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# What a terminal obeys, hides or reorders text by, or breaks lines at, beyond what JSON escapes:
# Unicode's categories Cc, Cf, Zl and Zp.
_NOT_PRINTABLE: Final = re.compile(
    "[\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0001-\U000e007f]"
)


def rfc3339(seconds: float) -> str:
    """Write Unix ``seconds`` as RFC 3339 in UTC with milliseconds: 2026-11-23T19:01:29.445Z."""
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def dumps(line: Mapping[str, object]) -> str:
    """Write ``line`` as one line of compact JSON that is always valid UTF-8 text.

    Characters outside ASCII stay as they are, but for lone surrogates, which UTF-8 cannot hold
    and which become U+FFFD, and for those that are not printable, which are escaped.
    """
    try:
        text = _dumps(line)
        text.encode()
    except (TypeError, ValueError, RecursionError):  # UnicodeEncodeError is a ValueError
        text = _dumps(_plain(line))
    return text if text.isprintable() else _NOT_PRINTABLE.sub(_escaped, text)


def printable(text: str) -> str:
    """Escape, as JSON does, whatever a terminal would obey or not show, line breaks included."""
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


class Formatter(logging.Formatter):
    """Turn a log record into one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "timestamp": rfc3339(record.created),
            "level": record.levelname.lower(),
            "action": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, Mapping):
            line.update({str(k): v for k, v in fields.items() if str(k) not in _OWN})
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self.formatException(record.exc_info)[-MAX_EXCEPTION_CHARS:]
        return dumps(line)


def configure(level: str = "info", handler: logging.Handler | None = None) -> None:
    """Send every log record from ``level`` up to stdout as JSON. Calling it again replaces it.

    ``handler`` takes the place of stdout; it gets the JSON formatter.
    Raises ValueError, naming the levels there are, for a level that does not exist.
    """
    if level.lower() not in LEVELS:
        raise ValueError(f"log level {level!r} does not exist: choose one of {', '.join(LEVELS)}")
    chosen = handler or logging.StreamHandler(sys.stdout)
    chosen.setFormatter(Formatter())
    root = logging.getLogger()
    root.handlers[:] = [chosen]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)


def get(name: str) -> logging.Logger:
    """Give the logger of a module: ``log = jsonlog.get(__name__)``."""
    return logging.getLogger(name)


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _plain(value: object, depth: int = 0) -> object:
    """Reduce ``value`` to what JSON can say."""
    plain: object
    if value is None or isinstance(value, bool | int):
        plain = value
    elif isinstance(value, float):
        plain = value if math.isfinite(value) else str(value)
    elif isinstance(value, Mapping | list | tuple | set | frozenset) and depth >= MAX_DEPTH:
        plain = "…"
    elif isinstance(value, Mapping):
        plain = {_text(k): _plain(v, depth + 1) for k, v in value.items()}
    elif isinstance(value, list | tuple | set | frozenset):
        plain = [_plain(v, depth + 1) for v in value]
    else:
        plain = _text(value)
    return plain


def _text(value: object) -> str:
    return _SURROGATE.sub("\ufffd", str(value))
