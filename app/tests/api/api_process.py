"""The real process of the API, for tests that need more than one or the server's own ways."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from api_support import KEY, PASSWORD, PROXY_KEY
from mariadb_server import API_LOGIN, MariaDB, option_file

APP = Path(__file__).parents[2]
DEADLINE_SECONDS = 30
NO_KAFKA = '[stream]\nbootstrap_servers = ["127.0.0.1:1"]\n'
CHEAP = "[passwords]\nbcrypt_cost = 4\n"


def write_settings(home: Path, database_port: int, more: str = "") -> None:
    """Write the settings file, ``more`` included, and the credentials."""
    (home / "database_login").write_text(option_file(API_LOGIN))
    (home / "token_keys").write_text(KEY)
    (home / "proxy_keys").write_text(PROXY_KEY)
    (home / "api.toml").write_text(
        f"[database]\nport = {database_port}\n"
        f"{more}"
        f"{'' if '[stream]' in more else NO_KAFKA}"
        f"{'' if '[passwords]' in more else CHEAP}"
    )


def command(home: Path) -> list[str]:
    """Return the command line, but for the port."""
    return [sys.executable, "-m", "helfy.api", "--config", str(home / "api.toml")]


class Process:
    """``python -m helfy.api`` on a free port."""

    def __init__(self, home: Path, database: MariaDB, more: str = "") -> None:
        home.mkdir(exist_ok=True)
        write_settings(home, database.port, more)
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notices.bind(str(home / "notify"))
        self._notices.settimeout(DEADLINE_SECONDS)
        # Files: a pipe that nobody reads fills up, and then the process waits.
        self._out, self._err = home / "stdout", home / "stderr"
        with self._out.open("w") as out, self._err.open("w") as err:
            self._process = subprocess.Popen(
                [*command(home), "--port", "0"],
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(APP),
                    "CREDENTIALS_DIRECTORY": str(home),
                    "NOTIFY_SOCKET": str(home / "notify"),
                },
                stdout=out,
                stderr=err,
            )
        assert self.notice() == "READY=1", self._err.read_text()
        first = json.loads(self._out.read_text().splitlines()[0])
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

    def login(
        self, name: str = "alice", password: str = PASSWORD, ip: str = "203.0.113.9"
    ) -> tuple[int, dict[str, str], Any]:
        """Log in, by way of a proxy."""
        return self.ask(
            "POST",
            "/login",
            body=json.dumps({"usernameOrEmail": name, "password": password}),
            headers={
                "Content-Type": "application/json",
                "X-Forwarded-For": ip,
                "X-Proxy-Key": PROXY_KEY,
            },
        )

    def send(self, method: str, path: str, token: str, body: Any = None) -> tuple[int, Any]:
        """Ask for something with a token and a body of JSON; return status and JSON."""
        headers = {"x-auth-token": token}
        if body is not None:
            headers["Content-Type"] = "application/json"
        status, _, answer = self.ask(
            method, path, body=None if body is None else json.dumps(body), headers=headers
        )
        return status, answer

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def finish(self) -> tuple[int, list[dict[str, Any]], str]:
        """Wait for the end; return the exit status, the log's lines and stderr."""
        code = self._process.wait(DEADLINE_SECONDS)
        lines = self._out.read_text().splitlines()
        # The first one has told the port.
        return code, [json.loads(line) for line in lines[1:]], self._err.read_text()

    def clean_up(self) -> None:
        """End whatever is left."""
        self._notices.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
