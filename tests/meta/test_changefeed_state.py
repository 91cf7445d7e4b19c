"""The reporter of the changefeed, as it runs on a VM: a stand-in for TiCDC, a real database."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import role_docs
from sqlalchemy import create_engine
from sqlalchemy.engine import URL, Engine
from ticdc_stand_in import StandIn, ahead, running, sample

from helfy import capture_states, schema

sys.path.insert(0, str(role_docs.ROOT / "app/tests"))

from mariadb_server import MariaDB

PARTS = (
    "roles/ticdc_changefeed/files/changefeed_state.py",
    "roles/common/files/capture_report.py",
    "plugins/module_utils/changefeed.py",
    "plugins/module_utils/ticdc_api.py",
)
PASSWORD = "capture-password-1"
NOW = int(time.time() * 1000) << 18
MINUTE = 60_000 << 18


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    made = MariaDB(tmp_path_factory.mktemp("state"))
    made.install()
    made.start()
    made.execute("CREATE DATABASE helfy")
    made.execute(f"CREATE USER helfy_capture@127.0.0.1 IDENTIFIED BY '{PASSWORD}'")
    # As in the roles: on that table alone.
    rights = "SELECT, INSERT, UPDATE, CREATE ON helfy.capture_state"
    made.execute(f"GRANT {rights} TO helfy_capture@127.0.0.1")
    yield made
    made.stop()


@pytest.fixture
def engine(server: MariaDB) -> Iterator[Engine]:
    """The database with an empty table."""
    url = URL.create("mysql+pymysql", "root", host=server.host, port=server.port, database="helfy")
    made = create_engine(url, connect_args={"init_command": "SET time_zone = '+00:00'"})
    schema.capture_state.drop(made, checkfirst=True)
    schema.capture_state.create(made)
    yield made
    made.dispose()


@pytest.fixture
def ticdc() -> Iterator[StandIn]:
    with running() as stand_in:
        told = sample("create_changefeed_request")
        assert stand_in.answer("POST", "changefeeds", told)[0] == 200
        yield stand_in


class Reports:
    """A running reporter: what it wrote, and what it logged."""

    def __init__(self, engine: Engine, log: Path) -> None:
        self._engine, self._log = engine, log

    def state(self) -> capture_states.CaptureState | None:
        """What the API would read."""
        with self._engine.connect() as connection:
            found = capture_states.read(connection, 15)
        return found[0] if found else None

    def wait(
        self, good: Callable[[capture_states.CaptureState], bool]
    ) -> capture_states.CaptureState:
        """Wait for a state."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            state = self.state()
            if state and good(state):
                return state
            time.sleep(0.05)
        pytest.fail(f"{self.state()}\n{self._log.read_text()}")

    def lines(self) -> list[dict[str, Any]]:
        """What it logged."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]


@pytest.fixture
def reports(server: MariaDB, engine: Engine, ticdc: StandIn, tmp_path: Path) -> Iterator[Reports]:
    """The program, put together and started as the role does."""
    for part in PARTS:
        shutil.copy(role_docs.ROOT / part, tmp_path)
    settings = {
        "id": "helfy-changes",
        "servers": [ticdc.address],
        "databases": ["127.0.0.1:9", f"{server.host}:{server.port}"],
        "database": "helfy",
        "account": "helfy_capture",
        "ca": "",
        "certificate": "",
        "key": "",
        "database_ca": "",
        "report_seconds": 0.1,
        "behind_seconds": 60,
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    (tmp_path / "database_password").write_text(PASSWORD)
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-I", tmp_path / "changefeed_state.py", tmp_path / "settings.json"],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "CREDENTIALS_DIRECTORY": str(tmp_path)},
        )
    yield Reports(engine, log)
    assert process.poll() is None, log.read_text()
    process.terminate()
    process.wait()


def test_a_healthy_changefeed_is_running(reports: Reports) -> None:
    state = reports.wait(lambda it: it.state == "running")
    assert (state.source, state.cause, state.message, state.remedy) == (
        *("helfy-changes", None),
        *(None, None),
    )
    assert state.position
    first = state.reported_at
    again = reports.wait(lambda it: it.reported_at > first)
    assert again.since == state.since
    assert [line["action"] for line in reports.lines()] == ["changefeed_state"]


def test_a_failed_changefeed_is_named_once_with_its_remedy(
    reports: Reports, ticdc: StandIn
) -> None:
    running_since = reports.wait(lambda it: it.state == "running").since
    assert ticdc.feed is not None
    statement = ahead("ALTER TABLE users ADD x TEXT DEFAULT 's3cr3t'", NOW - 2, NOW - 1)
    ticdc.feed |= {"ahead": statement, "checkpoint_ts": NOW - MINUTE}
    ticdc.meet()
    state = reports.wait(lambda it: it.state == "failed")
    assert state.cause == "unsupported_ddl"
    assert "ALTER TABLE users ADD x TEXT DEFAULT ?" in str(state.message)
    assert "playbooks/changefeed-skip.yml" in str(state.remedy)
    assert str(state.position).startswith(f"{NOW - MINUTE} (")
    assert state.since > running_since
    reports.wait(lambda it: it.reported_at > state.reported_at)
    first, second = reports.lines()
    assert (first["level"], second["level"]) == ("info", "error")
    assert second["cause"] == "unsupported_ddl"
    assert "s3cr3t" not in json.dumps(reports.lines())


def test_a_silent_ticdc_is_waiting(reports: Reports, ticdc: StandIn) -> None:
    reports.wait(lambda it: it.state == "running")
    ticdc.leader = False
    state = reports.wait(lambda it: it.state == "waiting")
    assert state.cause == "ticdc_unavailable"
    assert "owner not found" in str(state.message)
    ticdc.leader = True
    reports.wait(lambda it: it.state == "running")


def test_a_database_that_is_unavailable_does_not_stop_it(reports: Reports, server: MariaDB) -> None:
    before = reports.wait(lambda it: it.state == "running").reported_at
    with server.stopped():
        deadline = time.monotonic() + 20
        while len(reports.lines()) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
    told = reports.lines()[1:]
    assert [line["action"] for line in told] == ["changefeed_state_not_written"], told
    assert PASSWORD not in json.dumps(told)
    with contextlib.suppress(Exception):
        reports.state()
    reports.wait(lambda it: it.reported_at > before)
