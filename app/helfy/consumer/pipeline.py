"""From a record of the topic to its line, for the journal and for the API's live feed."""

import time
from collections.abc import Callable
from typing import NamedTuple

from helfy import jsonlog
from helfy.consumer.change import Change, Record, UndecodableError
from helfy.consumer.decode import decode
from helfy.consumer.fit import Limits, fit
from helfy.consumer.identity import line_identity
from helfy.consumer.line import change_fields, change_line, undecodable_line
from helfy.consumer.redact import Redactor
from helfy.consumer.settings import Settings

log = jsonlog.get(__name__)


class Line(NamedTuple):
    """A line without its line break, and what tells it from every other one but its replays.

    ``change`` is what it says, redacted; None where the record was not understood.
    """

    text: bytes
    identity: bytes
    change: Change | None = None
    replayed: bool = False


class Pipeline:
    """Makes the lines of one consumer, with its configuration.

    ``known`` says of a line's identity whether the record has it already.
    """

    def __init__(
        self,
        settings: Settings,
        known: Callable[[bytes], bool] = lambda _: False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._redactor = Redactor(settings.redact_columns, settings.captured, settings.secret)
        self._limits = Limits(settings.max_value_bytes, settings.max_line_bytes)
        self._known = known
        self._clock = clock
        self._leaked: set[tuple[str, str]] = set()
        self._places: dict[int, str | None] = {}
        self._in_snapshot: set[int] = set()

    def line(self, record: Record) -> Line | None:
        """Give the record's line; None where it is no change.

        Never raises, whatever the record holds: what is not understood has a line as well.
        """
        try:
            return self._line(record)
        except UndecodableError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not stop the stream
            # The class alone: a message might hold bytes of the record.
            reason = f"internal error: {type(error).__name__}"
        identity = line_identity(record, None, None)
        replayed = self._known(identity)
        text = undecodable_line(record, reason, self._clock(), replayed=replayed)
        return Line(text, identity, None, replayed)

    def _line(self, record: Record) -> Line | None:
        change = decode(record)
        if change is None:
            return None
        redacted = self._redactor.redact(change)
        if redacted.leaked:
            self._warn(change.table_name, redacted.leaked)
        fields = change_fields(redacted)
        identity = line_identity(record, redacted.change, str(fields["id"]))
        replayed = self._known(identity)
        self._watch_for_snapshot(record.partition, redacted.change, replayed=replayed)
        line = change_line(record, redacted.change, fields, self._clock(), replayed=replayed)
        return Line(fit(line, self._limits), identity, redacted.change, replayed)

    def _watch_for_snapshot(self, partition: int, change: Change, *, replayed: bool) -> None:
        """Say where change capture began anew: what changed meanwhile has no line of its own."""
        if change.type != "SNAPSHOT":
            self._in_snapshot.discard(partition)
            self._places[partition] = change.place
        elif partition not in self._in_snapshot and not replayed:
            self._in_snapshot.add(partition)
            fields = {
                "partition": partition,
                "lastChangeAt": self._places.get(partition),
                "snapshotAt": change.place,
                "reason": "change capture lost its position and read all rows anew; "
                "changes between these positions of the binlog may have no lines",
            }
            log.error("snapshot_taken", extra={"fields": fields})

    def _warn(self, table: str, columns: tuple[str, ...]) -> None:
        """Tell once per column: what is not to be captured stands in Kafka."""
        for column in columns:
            if (table, column) not in self._leaked:
                self._leaked.add((table, column))
                log.error(
                    "leaked_column_in_topic",
                    extra={"fields": {"table": table, "column": column}},
                )
