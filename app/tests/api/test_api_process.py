"""The real process: HTTP through Waitress, systemd's notices, and a clean stop."""

import contextlib
import json
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from api_process import APP, DEADLINE_SECONDS, Process, command, write_settings
from mariadb_server import MariaDB


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
    # On a slow machine it has waited for the row as long as a request may: the account is busy.
    assert status in {200, 503}
    assert headers["Connection"] == "close", "nobody shall send another one"
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


@pytest.mark.parametrize(
    ("request_bytes", "status", "message"),
    [
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 33_000, 431, "header fields too large"),
        (b"POST /login HTTP/1.1\r\nContent-Length: 99999\r\n\r\n", 413, "entity too large"),
        (b"POST /login HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "bad request"),
        (b"<script>alert(1)</script>\r\n\r\n", 400, "bad request"),
    ],
)
def test_what_waitress_refuses_is_json_too(
    process: Process, request_bytes: bytes, status: int, message: str
) -> None:
    with socket.create_connection(("127.0.0.1", process.port), DEADLINE_SECONDS) as connection:
        parts: list[bytes] = []
        # Waitress may close before it has read all: the reset comes after the answer.
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(request_bytes)
            while part := connection.recv(65536):
                parts.append(part)
    answer = b"".join(parts)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"HTTP/1.1 {status} " in head.decode() or f"HTTP/1.0 {status} " in head.decode()
    assert b"application/json" in head
    assert b"script" not in answer
    told = json.loads(body)
    assert message in told["message"]
    assert f"X-Request-ID: {told['requestId']}".lower() in head.decode().lower()
