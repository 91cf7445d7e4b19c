"""Reports how the changefeed is: see capture_report.

    changefeed_state.py SETTINGS

Looks every ``report_seconds`` for as long as it runs and changes nothing about the changefeed:
TiCDC restarts one by itself where that can help. On each host of TiCDC one of these reports the
same.

SETTINGS is JSON: see ``Settings``. The password of ``account`` is the systemd credential
``database_password``. ``changefeed`` and ``ticdc_api`` are plugins/module_utils'.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

# Where Ansible puts the others beside this one; an isolated Python does not look there by itself.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from capture_report import Database, Reporter
from changefeed import Condition, condition
from ticdc_api import CdcError, context, find


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


def main() -> None:
    """See the module's text."""
    settings = Settings(**json.loads(Path(sys.argv[1]).read_text()))
    database = Database(
        settings.databases,
        settings.database,
        settings.account,
        Path(os.environ["CREDENTIALS_DIRECTORY"], "database_password").read_text().strip(),
        settings.database_ca,
    )
    reporter = Reporter("changefeed_state", settings.id, database)
    while True:
        reporter.report(look(settings))
        time.sleep(settings.report_seconds)


if __name__ == "__main__":
    main()
