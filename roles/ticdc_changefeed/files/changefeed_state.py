"""Reports how the changefeed is: to the table capture_state, and to the journal when it changes.

    changefeed_state.py SETTINGS

Looks every ``report_seconds`` for as long as it runs and changes nothing about the changefeed:
TiCDC restarts one by itself where that can help. On each host of TiCDC one of these reports the
same. The write is best effort: without the database the next report is as good.

SETTINGS is JSON: see ``Settings``. The password of ``account`` is the systemd credential
``database_password``. Debian's pymysql beside the standard library, since a host of TiCDC need not
have a release of Helfy; ``changefeed`` and ``ticdc_api`` are plugins/module_utils'.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymysql

# Where Ansible puts the two beside this one; an isolated Python does not look there by itself.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from changefeed import Condition, condition
from ticdc_api import CdcError, context, find

DATABASE_SECONDS = 5
MESSAGE_CHARS = 2048
# "since" first: an assignment sees what those before it have set.
REPORT = """
INSERT INTO capture_state (source, state, cause, message, remedy, position, since, reported_at)
VALUES (%s, %s, %s, %s, %s, %s, CURRENT_TIMESTAMP(6), CURRENT_TIMESTAMP(6))
ON DUPLICATE KEY UPDATE
  since = IF(state = VALUES(state) AND cause <=> VALUES(cause), since, VALUES(since)),
  state = VALUES(state), cause = VALUES(cause), message = VALUES(message),
  remedy = VALUES(remedy), position = VALUES(position), reported_at = VALUES(reported_at)
"""


@dataclass(frozen=True)
class Settings:
    """``servers`` and ``databases`` are host:port, the first that answers is asked."""

    id: str
    servers: list[str]
    databases: list[str]
    database: str
    account: str
    # Files of the certificate by which TiCDC is asked; empty for no TLS.
    ca: str
    certificate: str
    key: str
    # The authority behind the database; empty for no TLS.
    database_ca: str
    report_seconds: float
    behind_seconds: float


def look(settings: Settings) -> Condition:
    """Say how it is. A TiCDC that does not answer is a condition too."""
    try:
        tls = context(settings.ca, settings.certificate, settings.key)
        status = find(settings.servers, settings.id, time.monotonic(), tls).status()
    except CdcError as error:
        remedy = "See make status and make logs UNIT=cdc-8300: TiCDC must be up, and so must PD"
        return Condition("waiting", "ticdc_unavailable", str(error), remedy, "")
    return condition(status, time.time(), settings.behind_seconds)


def write(settings: Settings, password: str, how: Condition) -> None:
    """Write it into the table. Raises pymysql.err.Error or OSError with what the last one said."""
    tls: dict[str, Any] = {"ssl": {"ca": settings.database_ca}} if settings.database_ca else {}
    row = (
        settings.id,
        how.state,
        how.cause,
        how.message and how.message[:MESSAGE_CHARS],
        how.remedy,
        how.position or None,
    )
    failed: Exception | None = None
    for address in settings.databases:
        host, _, port = address.rpartition(":")
        try:
            link = pymysql.connect(
                host=host,
                port=int(port),
                user=settings.account,
                password=password,
                database=settings.database,
                autocommit=True,
                connect_timeout=DATABASE_SECONDS,
                read_timeout=DATABASE_SECONDS,
                write_timeout=DATABASE_SECONDS,
                **tls,
            )
        except (pymysql.err.Error, OSError) as error:
            failed = error
            continue
        try:
            with link.cursor() as cursor:
                cursor.execute(REPORT, row)
        finally:
            link.close()
        return
    raise failed or OSError("no database is named")


class Reporter:
    """Reports, and says in the journal what differs from the report before."""

    def __init__(self, settings: Settings, password: str) -> None:
        """Begin with nothing said."""
        self.settings, self._password = settings, password
        self._said: tuple[str, str | None] | None = None
        self._written = True

    def report(self) -> None:
        """Look once, and report."""
        how = look(self.settings)
        if (how.state, how.cause) != self._said:
            self._said = (how.state, how.cause)
            level = {"running": "info", "waiting": "warning"}.get(how.state, "error")
            say(level, "changefeed_state", source=self.settings.id, **vars(how))
        try:
            write(self.settings, self._password, how)
        except (pymysql.err.Error, OSError) as error:
            if self._written:
                say("warning", "changefeed_state_not_written", reason=str(error))
            self._written = False
        else:
            self._written = True


def say(level: str, action: str, **fields: object) -> None:
    """Write a line of JSON."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = {"timestamp": moment, "level": level, "action": action, **fields}
    print(json.dumps(line), flush=True)


def main() -> None:
    """See the module's text."""
    settings = Settings(**json.loads(Path(sys.argv[1]).read_text()))
    password = Path(os.environ["CREDENTIALS_DIRECTORY"], "database_password").read_text().strip()
    reporter = Reporter(settings, password)
    while True:
        reporter.report()
        time.sleep(settings.report_seconds)


if __name__ == "__main__":
    main()
