"""Reports how change capture is: to the table capture_state, and to the journal when it changes.

For the programs on the VMs that look after a connector or a changefeed: Debian's pymysql beside the
standard library, since their hosts need not have a release of Helfy.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pymysql

DATABASE_SECONDS = 5
MESSAGE_CHARS = 2048
FAULTS = (pymysql.err.Error, OSError)
# "since" first: an assignment sees what those before it have set.
_REPORT = """
INSERT INTO capture_state (source, state, cause, message, remedy, position, since, reported_at)
VALUES (%s, %s, %s, %s, %s, %s, CURRENT_TIMESTAMP(6), CURRENT_TIMESTAMP(6))
ON DUPLICATE KEY UPDATE
  since = IF(state = VALUES(state) AND cause <=> VALUES(cause), since, VALUES(since)),
  state = VALUES(state), cause = VALUES(cause), message = VALUES(message),
  remedy = VALUES(remedy), position = VALUES(position), reported_at = VALUES(reported_at)
"""


@dataclass(frozen=True)
class Condition:
    """How change capture is, as a row of capture_state. The values of a statement are not in it."""

    state: str
    """running, waiting (it will pass, or somebody paused it) or failed."""
    cause: str | None = None
    message: str | None = None
    remedy: str | None = None
    position: str | None = None


@dataclass(frozen=True)
class Database:
    """Where the table is: ``addresses`` are host:port; ``ca`` is empty for no TLS."""

    addresses: Sequence[str]
    name: str
    user: str
    password: str
    ca: str

    @contextlib.contextmanager
    def cursor(self) -> Iterator[Any]:
        """Ask the first that answers. Raises one of FAULTS."""
        tls: dict[str, Any] = {"ssl": {"ca": self.ca}} if self.ca else {}
        failed: Exception = OSError("no database is named")
        for address in self.addresses:
            host, _, port = address.rpartition(":")
            try:
                link = pymysql.connect(
                    host=host.strip("[]"),
                    port=int(port),
                    user=self.user,
                    password=self.password,
                    database=self.name,
                    autocommit=True,
                    connect_timeout=DATABASE_SECONDS,
                    read_timeout=DATABASE_SECONDS,
                    write_timeout=DATABASE_SECONDS,
                    **tls,
                )
            except FAULTS as error:
                failed = error
                continue
            with contextlib.closing(link), link.cursor() as cursor:
                yield cursor
            return
        raise failed


class Reporter:
    """Reports a source, and says in the journal what differs from the report before.

    The write is best effort: without the database the next report is as good.
    """

    def __init__(self, action: str, source: str, database: Database) -> None:
        """``action`` is that of the journal's lines."""
        self._action, self._source, self._database = action, source, database
        self._said: tuple[str, str | None] | None = None
        self._written = True

    def report(self, how: Any) -> None:
        """Report a Condition, or what has its attributes."""
        if (how.state, how.cause) != self._said:
            self._said = (how.state, how.cause)
            level = {"running": "info", "waiting": "warning"}.get(how.state, "error")
            say(level, self._action, source=self._source, **vars(how))
        message = how.message and how.message[:MESSAGE_CHARS]
        row = (self._source, how.state, how.cause, message, how.remedy, how.position or None)
        try:
            with self._database.cursor() as cursor:
                cursor.execute(_REPORT, row)
        except FAULTS as error:
            if self._written:
                say("warning", f"{self._action}_not_written", reason=str(error))
            self._written = False
        else:
            self._written = True


def say(level: str, action: str, **fields: object) -> None:
    """Write a line of JSON."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = {"timestamp": moment, "level": level, "action": action, **fields}
    print(json.dumps(line), flush=True)
