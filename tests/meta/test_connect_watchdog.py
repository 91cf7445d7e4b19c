"""The watchdog of Kafka Connect, against a server that answers as Connect 4.3 does."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import role_docs

sys.path.insert(0, str(role_docs.ROOT / "roles/debezium/files"))
sys.path.insert(0, str(role_docs.ROOT / "roles/common/files"))
sys.path.insert(0, str(role_docs.ROOT / "plugins/module_utils"))

import connect_api
import connect_watchdog as cw
from capture_report import Condition, Database

PARTS = (
    "roles/debezium/files/connect_watchdog.py",
    "roles/common/files/capture_report.py",
    "plugins/module_utils/binlog.py",
    "plugins/module_utils/connect_api.py",
)
NAME = "helfy-changes"
TRACE = (
    "org.apache.kafka.connect.errors.ConnectException: An exception occurred in the change event"
    " producer. This connector will be stopped.\n\tat io.debezium.pipeline.ErrorHandler\n"
    "Caused by: io.debezium.DebeziumException: Access denied\n\tat io.debezium.connector\n"
)


def part(state: str, **more: object) -> dict[str, object]:
    return {"state": state, "worker_id": "127.0.0.1:8083", "version": "3.5.0.Final"} | more


@dataclass
class FakeConnect:
    """What the server answers, and what it was asked to do."""

    connector: str = "RUNNING"
    task: str | None = "RUNNING"
    offset: dict[str, object] | None = field(
        default_factory=lambda: {
            "ts_sec": 1795468520,
            "file": "binlog.000009",
            "pos": 10480,
            "gtids": "0-1-2849",
            "server_id": 1,
        }
    )
    known: bool = True
    hanging: bool = False
    url: str = ""

    def answer(self, method: str, path: str) -> tuple[int, Any]:
        base = f"/connectors/{NAME}"
        if not self.known:
            message = f"No status found for connector {NAME}"
            return 404, {"error_code": 404, "message": message}
        if (method, path) == ("GET", f"{base}/status"):
            trace = {"trace": TRACE} if self.task == "FAILED" else {}
            return 200, {
                "name": NAME,
                "connector": part(self.connector),
                "tasks": [part(self.task, id=0, **trace)] if self.task else [],
                "type": "source",
            }
        if (method, path) == ("GET", f"{base}/offsets"):
            entry = {"partition": {"server": "helfy"}, "offset": self.offset}
            return 200, {"offsets": [entry] if self.offset else []}
        raise AssertionError(f"{method} {path}: nothing is asked of Connect but how it is")


class Server(ThreadingHTTPServer):
    """One that says nothing of a watchdog that has hung up, as it does on what hangs."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of anything else."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@pytest.fixture
def connect() -> Iterator[FakeConnect]:
    fake = FakeConnect()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            while fake.hanging:
                time.sleep(0.02)
            status, body = fake.answer(self.command, self.path)
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    yield fake
    fake.hanging = False
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def listener() -> Iterator[str]:
    """MariaDB and Kafka, as far as the watchdog asks them: they take connections."""
    # Nobody accepts, so the queue has to hold all of a test.
    with closing(socket.create_server(("127.0.0.1", 0), backlog=4000)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def settings(connect: FakeConnect, listener: str, tmp_path: Path) -> cw.Settings:
    offsets = tmp_path / "offsets"
    offsets.write_bytes(b"x")
    return cw.Settings(
        url=connect.url,
        connector=NAME,
        unit="kafka-connect.service",
        state=str(tmp_path),
        database=listener,
        database_name="helfy",
        database_ca="",
        captured_tables=("users",),
        brokers=(listener,),
    )


class Course:
    """A watchdog whose time the test moves, on a process of its own."""

    def __init__(self, settings: cw.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings = settings
        self.now = 1000.0
        self.pid = 4711
        self.said: list[tuple[str, dict[str, object]]] = []
        self.ended: list[int] = []
        self.how = Condition("running")
        monkeypatch.setattr(
            cw, "say", lambda _level, action, **fields: self.said.append((action, fields))
        )
        # Nothing is there, so no table is compared.
        database = Database(("127.0.0.1:9",), "helfy", "nobody", "", "")
        self.dog = cw.Watchdog(
            settings, database, lambda _unit: self.pid, self.ended.append, lambda: self.now
        )

    def run(self, seconds: float, *, beating: bool = True) -> list[str]:
        """Look every 15 s for so long; give the actions."""
        begun = len(self.said)
        for _ in range(int(seconds // 15)):
            if beating:
                os.utime(Path(self.settings.state, "offsets"), (self.now, self.now))
            self.how = self.dog.look()
            self.now += 15
        return [action for action, _ in self.said[begun:]]


@pytest.fixture
def course(settings: cw.Settings, monkeypatch: pytest.MonkeyPatch) -> Course:
    return Course(settings, monkeypatch)


def test_what_is_well_is_left_alone(course: Course) -> None:
    assert course.run(900) == []
    assert course.ended == []


def test_a_failed_task_is_restarted_and_the_reason_said(
    course: Course, connect: FakeConnect
) -> None:
    connect.task = "FAILED"
    assert course.run(15) == ["connect_restarted"]
    assert course.ended == [4711]
    assert course.said[0][1]["reason"] == "io.debezium.DebeziumException: Access denied"
    assert (course.how.state, course.how.cause) == ("failed", "other")
    connect.task = "RUNNING"
    assert course.run(300) == []
    assert course.ended == [4711]


def test_what_fails_for_ever_is_tried_ever_more_seldom(
    course: Course, connect: FakeConnect
) -> None:
    connect.task = "FAILED"
    course.run(3600, beating=False)
    pauses = [fields["againAfterSeconds"] for _, fields in course.said]
    assert pauses[:8] == [15, 30, 60, 120, 240, 480, 600, 600]
    assert len(course.ended) == len(pauses) == 11


def test_a_moment_of_health_does_not_make_it_eager_again(
    course: Course, connect: FakeConnect
) -> None:
    connect.task = "FAILED"
    course.run(120, beating=False)
    assert course.said[-1][1].get("againAfterSeconds") == 120
    connect.task = "RUNNING"
    course.run(45)
    connect.task = "FAILED"
    course.run(200, beating=False)
    assert course.said[-1][1].get("againAfterSeconds") == 240
    connect.task = "RUNNING"
    assert course.run(600) == []
    connect.task = "FAILED"
    course.run(15, beating=False)
    assert course.said[-1][1].get("againAfterSeconds") == 15


def test_a_wedged_connector_has_its_process_ended(course: Course) -> None:
    course.run(60)
    assert course.run(60, beating=False) == []
    assert course.run(15, beating=False) == ["connect_restarted"]
    assert course.ended == [4711]
    assert course.said[0][1]["reason"] == "RUNNING, but no position was stored for 75 s"
    assert course.how.cause == "behind"
    # The new process has its time to start.
    course.pid = 4712
    assert course.run(60, beating=False) == []
    assert course.run(120) == []


@pytest.mark.parametrize(
    ("connector", "task", "state"),
    [
        ("RUNNING", None, "UNASSIGNED"),
        ("RUNNING", "UNASSIGNED", "UNASSIGNED"),
        ("UNASSIGNED", "RUNNING", "UNASSIGNED"),
        ("RUNNING", "RESTARTING", "RESTARTING"),
    ],
)
def test_a_state_that_does_not_pass_has_its_process_ended(
    course: Course, connect: FakeConnect, connector: str, task: str | None, state: str
) -> None:
    course.run(60)
    connect.connector, connect.task = connector, task
    assert course.run(60) == []
    assert course.run(15) == ["connect_restarted"]
    assert course.ended == [4711]
    assert course.said[0][1]["reason"] == f"it is {state}"
    # The new process has its time, and the pauses grow as after other faults.
    course.pid = 4712
    assert course.run(75) == []
    assert course.run(15) == ["connect_restarted"]
    connect.connector = connect.task = "RUNNING"
    assert course.run(300) == []


def test_a_state_that_passes_is_no_fault(course: Course, connect: FakeConnect) -> None:
    for connect.task in ("RESTARTING", "RUNNING", "UNASSIGNED", "RUNNING"):
        assert course.run(60) == []
    assert course.ended == []


@pytest.mark.parametrize("state", ["PAUSED", "STOPPED"])
def test_what_somebody_paused_or_stopped_is_left_alone(
    course: Course, connect: FakeConnect, state: str
) -> None:
    # A stopped connector has no task.
    connect.connector, connect.task = state, None if state == "STOPPED" else state
    assert course.run(3600, beating=False) == []
    assert course.ended == []
    assert (course.how.state, course.how.cause) == ("waiting", "paused")
    # What was paused has its whole time again.
    connect.connector = connect.task = "RUNNING"
    assert course.run(60, beating=False) == []
    assert course.run(60) == []


def test_a_first_snapshot_may_take_its_time(course: Course) -> None:
    Path(course.settings.state, "offsets").unlink()
    assert course.run(600, beating=False) == []


@pytest.mark.parametrize("how", ["absent", "refused"])
def test_a_connect_that_does_not_answer_is_ended(
    connect: FakeConnect, how: str, settings: cw.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        nobody = f"http://127.0.0.1:{server.getsockname()[1]}"
    course = Course(settings, monkeypatch)
    assert course.run(60) == []
    if how == "absent":
        connect.known = False
    else:
        course.dog.settings = replace(settings, url=nobody)
    assert course.run(60) == []
    assert course.run(15) == ["connect_restarted"]
    words = "answers 404" if how == "absent" else "does not answer"
    assert words in str(course.said[0][1]["reason"])
    assert (course.how.state, course.how.cause) == ("waiting", "connect_unavailable")
    # A process that has not answered yet may be slow to start.
    course.pid = 4712
    assert course.run(315) == []
    assert course.run(15) == ["connect_restarted"]


def test_a_hanging_connect_is_noticed(
    connect: FakeConnect, settings: cw.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect_api, "ANSWER_SECONDS", 0.1)
    course = Course(settings, monkeypatch)
    course.run(15)
    connect.hanging = True
    assert course.run(75) == ["connect_restarted"]


def test_a_unit_that_is_stopped_is_left_alone(course: Course, connect: FakeConnect) -> None:
    course.pid = 0
    connect.task = "FAILED"
    assert course.run(600, beating=False) == []
    assert course.ended == []


def test_nothing_is_restarted_while_the_database_is_unreachable(
    connect: FakeConnect, settings: cw.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    course = Course(replace(settings, database=f"127.0.0.1:{port}"), monkeypatch)
    connect.task = "FAILED"
    assert course.run(600, beating=False) == []
    assert course.how.cause == "database_unavailable"
    with closing(socket.create_server(("127.0.0.1", port))):
        connect.task = "RUNNING"
        # What stood still with the database has its whole time again.
        assert course.run(60, beating=False) == []
        connect.task = "FAILED"
        assert course.run(15) == ["connect_restarted"]


def test_a_process_is_ended_also_by_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cw, "END_SECONDS", 0.5)
    stubborn = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    )
    for program, status in (
        ("import time; print(flush=True); time.sleep(60)", -15),
        (stubborn, -9),
    ):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            ender = threading.Thread(target=cw.end_process, args=(process.pid,))
            ender.start()
            assert process.wait(10) == status
            ender.join()
    cw.end_process(process.pid)


# check


def checked(settings: cw.Settings, tmp_path: Path, *target: str) -> tuple[int, str]:
    file = tmp_path / "watchdog.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in vars(settings).items()]
    file.write_text("\n".join(lines))
    for part in PARTS:
        shutil.copy(role_docs.ROOT / part, tmp_path)
    program = tmp_path / "connect_watchdog.py"
    command = [sys.executable, "-I", str(program), "check", str(file), *target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def test_what_was_stored_before_the_process_began_is_no_sign_of_it(
    settings: cw.Settings, connect: FakeConnect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connect.offset is not None
    tool = tmp_path / "systemctl"
    tool.write_text(f"#!/bin/sh\necho {int((time.monotonic() - 60) * 1e6)}\n")
    tool.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for age, code in ((30, 0), (90, 1)):
        then = time.time() - age
        os.utime(Path(settings.state, "offsets"), (then, then))
        assert checked(settings, tmp_path)[0] == code


def test_check_says_what_it_found(
    settings: cw.Settings, connect: FakeConnect, tmp_path: Path
) -> None:
    assert checked(settings, tmp_path) == (0, f"connector {NAME} and its task are RUNNING")
    connect.task = "FAILED"
    code, said = checked(settings, tmp_path)
    assert code == 1
    reason = "other: io.debezium.DebeziumException: Access denied"
    assert said == f"the connector {NAME} is FAILED, {reason}. make logs UNIT=kafka-connect"
    connect.task, connect.offset = "RUNNING", None
    code, said = checked(settings, tmp_path)
    assert (code, "no position" in said) == (1, True)
    connect.known = False
    code, said = checked(settings, tmp_path)
    assert (code, "answers 404" in said) == (1, True)


@pytest.mark.parametrize(
    ("target", "age", "expected"),
    [
        ("binlog.000009:10480", 0, (0, "where the database is")),
        ("binlog.000009:10480", 90, (1, "no heartbeat has been stored for 9")),
        # The last change was in a table that is not captured.
        ("binlog.000009:10601", 0, (0, "nothing to capture")),
        ("binlog.000009:10601", 90, (1, "no heartbeat has been stored for 9")),
        ("binlog.000010:4", 0, (1, "still in an older binlog")),
        ("binlog.1000000:4", 0, (1, "still in an older binlog")),
    ],
)
def test_check_compares_the_stream_with_the_database(
    settings: cw.Settings, tmp_path: Path, target: str, age: float, expected: tuple[int, str]
) -> None:
    code, words = expected
    then = time.time() - age
    os.utime(Path(settings.state, "offsets"), (then, then))
    found, said = checked(settings, tmp_path, target)
    assert (found, words in said) == (code, True), said


def test_check_tells_catching_up_from_keeping_up(
    settings: cw.Settings, connect: FakeConnect, tmp_path: Path
) -> None:
    moving = threading.Event()

    def move() -> None:
        while not moving.wait(0.1):
            assert connect.offset is not None
            connect.offset["pos"] = int(str(connect.offset["pos"])) + 1

    thread = threading.Thread(target=move)
    thread.start()
    try:
        code, said = checked(settings, tmp_path, "binlog.000009:99999999")
        assert (code, "catching up" in said) == (1, True), said
        assert connect.offset is not None
        connect.offset["ts_sec"] = time.time()
        code, said = checked(settings, tmp_path, "binlog.000009:99999999")
        assert (code, "on its way" in said) == (0, True), said
    finally:
        moving.set()
        thread.join()
