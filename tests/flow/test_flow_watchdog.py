"""The watchdog brings change capture back by itself, and says so."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from machine import Machine, wait_for
from stream import Stream, insert_user, once_each, types

# Its own times are a minute and more; a test has less patience.
TIMES = "interval_seconds = 1\nstall_seconds = 20\nfirst_pause_seconds = 4\n"
DROP_IN = "/run/systemd/system/kafka-connect-watchdog.service.d"
SETTINGS = "/etc/kafka-connect/watchdog.toml"
PROGRAM = "/usr/local/lib/helfy/watchdog/connect_watchdog.py"
BACK_SECONDS = 60.0
EACH = ["INSERT", "DELETE"]


class Watchdog:
    """The watchdog of a machine, and what it wrote since the test began."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.since = machine.run("date +%s.%N").strip()

    def said(self, action: str) -> list[dict[str, Any]]:
        """Give its lines of an action."""
        lines = self.machine.run(
            f"journalctl -q --no-pager -o cat -u kafka-connect-watchdog --since=@{self.since}"
        ).splitlines()
        read = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in read if line["action"] == action]


@pytest.fixture
def watchdog(capture_machine: Machine) -> Iterator[Watchdog]:
    start = f"/usr/bin/python3 -I {PROGRAM} watch /run/helfy-watchdog-test.toml"
    capture_machine.run(
        f"sed -E '/^(interval|stall)_seconds/d' {SETTINGS} > /run/helfy-watchdog-test.toml"
        f" && cat >> /run/helfy-watchdog-test.toml && mkdir -p {DROP_IN}"
        f" && printf '[Service]\\nExecStart=\\nExecStart={start}\\n' > {DROP_IN}/test.conf"
        " && systemctl daemon-reload && systemctl restart kafka-connect-watchdog",
        TIMES,
    )
    yield Watchdog(capture_machine)
    capture_machine.run(
        f"rm -r {DROP_IN} /run/helfy-watchdog-test.toml; systemctl daemon-reload;"
        " systemctl restart kafka-connect-watchdog"
    )


def insert_and_delete(stream: Stream, name: str) -> None:
    stream.database.sql(f"{insert_user(name)}; DELETE FROM users WHERE username = '{name}'")


def test_a_task_that_failed_runs_again_and_nothing_is_lost(
    stream: Stream, watchdog: Watchdog
) -> None:
    database, right = stream.database, "REPLICATION SLAVE, BINLOG MONITOR ON *.*"
    users = [
        row[0]
        for row in database.sql(
            "SELECT CONCAT(User, '@', QUOTE(Host)) FROM mysql.user WHERE User LIKE 'helfy_capture%'"
        )
    ]
    name = stream.person("failed")

    def denied() -> list[dict[str, Any]] | None:
        # Debezium may first try to connect again without end: then the stall is what is seen.
        lines = watchdog.said("connect_restarted")
        return [line for line in lines if "Access denied" in line["reason"]] or None

    database.sql("; ".join(f"REVOKE {right} FROM {user}" for user in users))
    try:
        for [process] in database.sql(
            "SELECT id FROM information_schema.processlist WHERE user LIKE 'helfy_capture%'"
        ):
            database.sql(f"KILL {process}")
        insert_and_delete(stream, name)
        wait_for(denied, "a restart of the failed task", 90)
    finally:
        database.sql("; ".join(f"GRANT {right} TO {user}" for user in users))
    assert types(once_each(stream.of(name, BACK_SECONDS))) == EACH
    pauses = [line["againAfterSeconds"] for line in watchdog.said("connect_restarted")]
    assert pauses == sorted(set(pauses)), "ever more seldom while it does not help"


def test_a_wedged_process_is_replaced_and_nothing_is_lost(
    stream: Stream, watchdog: Watchdog
) -> None:
    machine, name = watchdog.machine, stream.person("wedged")
    show = "systemctl show --property=MainPID --value kafka-connect"
    wait_for(
        lambda: machine.attempt(f"python3 -I {PROGRAM} check {SETTINGS}").returncode == 0, "RUNNING"
    )
    wedged = machine.run(show).strip()
    machine.run(f"kill -STOP {wedged}")
    try:
        insert_and_delete(stream, name)
        [ended] = wait_for(lambda: watchdog.said("connect_restarted") or None, "its end", 60)
        assert str(ended["pid"]) == wedged
        assert "does not answer" in ended["reason"]
        assert types(once_each(stream.of(name, BACK_SECONDS))) == EACH
    finally:
        machine.attempt(f"kill -CONT {wedged}")
    assert machine.run(show).strip() not in {"0", wedged}
