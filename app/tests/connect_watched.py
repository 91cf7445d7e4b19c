"""The watchdog of Kafka Connect on a connector of the fixture ``connect``."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from connect_server import PASSWORD, Connect, Connector

ROOT: Final = Path(__file__).parents[2]
sys.path[:0] = [
    str(ROOT / part)
    for part in ("roles/debezium/files", "roles/common/files", "plugins/module_utils")
]

import connect_watchdog  # noqa: E402  # the role's, which is no package
from capture_report import Condition, Database  # noqa: E402

WAIT_SECONDS: Final = 60


class Watched:
    """A connector, and its watchdog, which a test has look."""

    def __init__(
        self, connect: Connect, connector: Connector, state: Path, tables: Sequence[str]
    ) -> None:
        """``state`` is an empty folder, ``tables`` are those that are captured."""
        self.connect, self.connector = connect, connector
        # The same process as in the test before.
        os.truncate(connect.offsets.parent / "failures", 0)
        for name, place in (
            ("offsets", connect.offsets),
            ("failures", connect.offsets.parent / "failures"),
            ("schema-history", connector.state / "schema-history"),
        ):
            (state / name).symlink_to(place)
        address = f"{connect.mariadb.host}:{connect.mariadb.port}"
        self.watchdog = connect_watchdog.Watchdog(
            connect_watchdog.Settings(
                url=connect.url,
                connector=connector.name,
                unit="kafka-connect.service",
                state=str(state),
                database=address,
                database_name=connector.database,
                database_ca="",
                captured_tables=tuple(tables),
                brokers=(connect.kafka.server,),
            ),
            Database((address,), connector.database, "helfy_capture", PASSWORD, ""),
            lambda _unit: 0 if connect.process is None else connect.process.pid,
            self._restart,
        )
        self.restarts = 0

    def _restart(self, _process: int) -> None:
        self.restarts += 1
        self.connect.stop()
        self.connect.start()

    def run(self, *script: str) -> None:
        with closing(self.connect.mariadb.connect(self.connector.database)) as session:
            for statement in script:
                with session.cursor() as cursor:
                    cursor.execute(statement)

    def wait(self, true: Callable[[Condition], bool]) -> Condition:
        """Look until something is so."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not true(how := self.watchdog.look()):
            assert time.monotonic() < deadline, (how, self.connector.status())
            time.sleep(0.2)
        return how

    def failed(self) -> Condition:
        return self.wait(lambda how: how.state == "failed")

    def text(self) -> str:
        """What reached the topic."""
        records = self.connector.records(settle=False)
        return "".join((record.value or b"").decode() for record in records)
