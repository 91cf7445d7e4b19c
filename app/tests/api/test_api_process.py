"""The real process: HTTP through Waitress, systemd's notices, and a clean stop."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_support import KEY, PASSWORD
from mariadb_server import API_PASSWORD, MariaDB

APP = Path(__file__).parents[2]
DEADLINE_SECONDS = 30


def write_settings(home: Path, database_port: int) -> None:
    """Write the settings file and the credentials."""
    (home / "database_password").write_text(API_PASSWORD)
    (home / "token_keys").write_text(KEY)
    (home / "api.toml").write_text(
        f'[database]\nport = {database_port}\nuser = "helfy_api"\n'
        "[passwords]\nbcrypt_cost = 4\n"
        '[stream]\nbootstrap_servers = ["127.0.0.1:1"]\n'
    )


def command(home: Path) -> list[str]:
    """Return the command line, but for the port."""
    return [sys.executable, "-m", "helfy.api", "--config", str(home / "api.toml")]


class Process:
    """``python -m helfy.api`` on a free port."""

    def __init__(self, home: Path, database: MariaDB) -> None:
        write_settings(home, database.port)
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notices.bind(str(home / "notify"))
        self._notices.settimeout(DEADLINE_SECONDS)
        self._process = subprocess.Popen(
            [*command(home), "--port", "0"],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(APP),
                "CREDENTIALS_DIRECTORY": str(home),
                "NOTIFY_SOCKET": str(home / "notify"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.notice() == "READY=1", self._process.communicate()
        assert self._process.stdout is not None
        first = json.loads(self._process.stdout.readline())
        assert first["action"] == "listening"
        self.port = int(first["port"])

    def notice(self) -> str:
        """Wait for systemd's next notice."""
        return self._notices.recv(1000).decode()

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection; not yet made."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)

    def ask(self, method: str, path: str, **more: Any) -> tuple[int, dict[str, str], Any]:
        """Make a request on a connection of its own; return status, headers and JSON."""
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, **more)
            response = connection.getresponse()
            return response.status, dict(response.headers), json.loads(response.read())

    def login(self) -> tuple[int, dict[str, str], Any]:
        """Log in as alice, by way of a proxy."""
        return self.ask(
            "POST",
            "/login",
            body=json.dumps({"usernameOrEmail": "alice", "password": PASSWORD}),
            headers={"Content-Type": "application/json", "X-Forwarded-For": "203.0.113.9"},
        )

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def finish(self) -> tuple[int, list[dict[str, Any]], str]:
        """Wait for the end; return the exit status, the log's lines and stderr."""
        out, err = self._process.communicate(timeout=DEADLINE_SECONDS)
        return self._process.returncode, [json.loads(line) for line in out.splitlines()], err

    def clean_up(self) -> None:
        """End whatever is left."""
        self._notices.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


@pytest.fixture
def process(tmp_path: Path, database: MariaDB) -> Iterator[Process]:
    """A running process."""
    made = Process(tmp_path, database)
    yield made
    made.clean_up()


def test_login_to_sigterm(process: Process) -> None:
    status, headers, body = process.login()
    assert status == 200
    assert headers["x-auth-token".title()] == body["token"]
    assert "Server" not in headers, "nobody need know what serves"
    status, _, shown = process.ask("GET", "/profile", headers={"x-auth-token": body["token"]})
    assert (status, shown["username"]) == (200, "alice")
    status, _, error = process.ask("GET", "/profile", headers={"x-auth-token": "a" * 10_000})
    assert (status, error["message"]) == (401, "a valid token is needed")
    kind = {"Content-Type": "application/json"}
    status, _, error = process.ask("POST", "/login", body="x" * 20_000, headers=kind)
    assert (status, error["message"]) == (413, "request entity too large")
    status, _, ready = process.ask("GET", "/health/ready")
    assert (status, ready["changeStream"]) == (200, "degraded")

    process.terminate()

    returncode, lines, err = process.finish()
    assert returncode == 0
    assert err == ""
    assert all({"timestamp", "level", "action"} <= set(line) for line in lines)
    [login] = [line for line in lines if line["action"] == "login"]
    assert (login["ip"], login["userId"], login["outcome"]) == ("203.0.113.9", 1, "ok")
    assert lines[-1]["action"] == "stopped"
    assert process.notice() == "STOPPING=1"


def test_what_was_begun_is_answered_after_sigterm(process: Process, database: MariaDB) -> None:
    answers: list[tuple[int, dict[str, str], Any]] = []
    with (
        contextlib.closing(process.connect()) as idle,
        contextlib.closing(database.connect("helfy")) as holder,
    ):
        idle.request("GET", "/health/live")
        idle.getresponse().read()
        holder.begin()
        holder.cursor().execute("SELECT * FROM users WHERE id = 1 FOR UPDATE")
        login = threading.Thread(target=lambda: answers.append(process.login()))
        login.start()
        waiting = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        while not database.execute(waiting)[0][0]:
            assert login.is_alive()
            time.sleep(0.15)  # the view is renewed only when nobody has read it for 0.1 s
        process.terminate()
        assert process.notice() == "STOPPING=1"
        # The listening socket goes within a turn of the loop.
        while True:
            try:
                socket.create_connection(("127.0.0.1", process.port)).close()
            except ConnectionRefusedError:
                break
        holder.rollback()
    login.join()
    returncode, lines, _ = process.finish()
    [(status, headers, _)] = answers
    assert (status, headers["Connection"]) == (200, "close"), "nobody shall send another one"
    assert returncode == 0
    assert "cut_off" not in [line["action"] for line in lines]


def test_who_is_let_in_while_it_stops_is_answered(process: Process) -> None:
    """As nginx asks: a connection for each request. Refused is well, reset or closed is not."""
    unanswered: list[str] = []
    answered: list[float] = []

    def client(pause: float) -> None:
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", process.port), timeout=10)
            except ConnectionRefusedError:
                return
            with connection:
                time.sleep(pause)
                try:
                    connection.sendall(
                        b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                    )
                    first = connection.recv(4096)
                except OSError as error:
                    first = repr(error).encode()
            if first.startswith(b"HTTP/1.1 200"):
                answered.append(pause)
            else:
                unanswered.append(f"after {pause} s: {first!r}")

    clients = [threading.Thread(target=client, args=(n % 4 * 0.002,)) for n in range(12)]
    for each in clients:
        each.start()
    while len(answered) < 50:
        time.sleep(0.01)
    process.terminate()
    for each in clients:
        each.join()
    assert process.finish()[0] == 0
    assert unanswered == []


def test_an_address_in_use_is_named(tmp_path: Path) -> None:
    write_settings(tmp_path, database_port=1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*command(tmp_path), "--port", str(port)],
            env={"PYTHONPATH": str(APP), "CREDENTIALS_DIRECTORY": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    assert done.returncode == 1
    assert f"127.0.0.1:{port} cannot be listened on: Address already in use" in done.stderr
