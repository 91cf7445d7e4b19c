"""Let kafka-python's warnings through, as lines like all others, and no flood of them.

While Kafka is away the library warns several times a second. Each place in its source may log
once a minute; the next line from there says how many were held back.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

EVERY_SECONDS: Final = 60.0
_MAX_PLACES: Final = 500
_MAX_CHARS: Final = 500


class LibraryFilter(logging.Filter):
    """Turns a library's records into ``{"action":"kafka_client",…}``, bounded per place."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._places: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record may pass; it is rewritten if so."""
        place = (record.name, record.lineno)
        now = self._clock()
        last, held = self._places.get(place, (now - EVERY_SECONDS, 0))
        if now - last < EVERY_SECONDS:
            self._places[place] = (last, held + 1)
            return False
        if len(self._places) >= _MAX_PLACES:
            self._places.clear()
        self._places[place] = (now, 0)
        fields: dict[str, object] = {
            "logger": record.name,
            "message": record.getMessage()[:_MAX_CHARS],
        }
        if held:
            fields["suppressed"] = held
        record.msg, record.args = "kafka_client", ()
        record.fields = fields
        return True


def quieten(handler: logging.Handler, name: str = "kafka") -> None:
    """Send the loggers under ``name``, warnings and worse, through a LibraryFilter."""
    limited = _Limited(handler)
    limited.addFilter(LibraryFilter())
    logger = logging.getLogger(name)
    logger.handlers[:] = [limited]
    logger.setLevel(logging.WARNING)
    logger.propagate = False


class _Limited(logging.Handler):
    """A handler of its own: filters of a logger do not see the records of those below it."""

    def __init__(self, target: logging.Handler) -> None:
        super().__init__()
        self._target = target

    def emit(self, record: logging.LogRecord) -> None:
        self._target.handle(record)
