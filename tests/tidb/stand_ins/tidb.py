"""A stand-in for TiDB: its status, and SQL that a MariaDB server answers.

That server is Debian's, a child of this process with data of its own in the deploy folder: several
of these share nothing. Clients are passed on to it with their own addresses. TiDB's own global
variables, which MariaDB does not know, are kept in a table; no other statement is touched, so this
tells nothing of what TiDB does with one.
"""

from __future__ import annotations

import re
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, Final

import serving

COM_QUERY: Final = 3
# The first packet's length where TLS follows, and the flag that says so, of its second byte.
SSL_REQUEST: Final = 32
CLIENT_SSL: Final = 0x08
_READ: Final = re.compile(rb"SELECT @@GLOBAL\.(tidb_\w+) AS now\s*$", re.IGNORECASE)
_WRITE: Final = re.compile(rb"SET GLOBAL (tidb_\w+) = (\S+)\s*$", re.IGNORECASE)
# As TiDB begins: one root, from anywhere, without a password.
_FIRST: Final = """
DELETE FROM mysql.global_priv WHERE User IN ('', 'root');
FLUSH PRIVILEGES;
CREATE USER 'root'@'%' IDENTIFIED BY '';
GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' WITH GRANT OPTION;
CREATE DATABASE stand_in;
CREATE TABLE stand_in.globals (name VARCHAR(64) PRIMARY KEY, value TEXT);
"""


class Server:
    """The MariaDB server."""

    def __init__(self, folder: Path, security: dict[str, str]) -> None:
        """Make its data where there is none, and start it."""
        self.socket = folder / "mariadb.sock"
        data, first = folder / "data", folder / "first.sql"
        if not (folder / "made").exists():
            folder.mkdir(parents=True, exist_ok=True)
            command = ["mariadb-install-db", "--no-defaults", f"--datadir={data}"]
            command += ["--skip-test-db", "--auth-root-authentication-method=normal"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            first.write_text(_FIRST.replace("\n", " ").replace("; ", ";\n"))
        more = [] if (folder / "made").exists() else [f"--init-file={first}"]
        self.process = subprocess.Popen(
            [
                *("/usr/sbin/mariadbd", "--no-defaults", f"--datadir={data}"),
                *(f"--socket={self.socket}", "--skip-networking", "--skip-name-resolve"),
                *("--proxy-protocol-networks=localhost", "--innodb-buffer-pool-size=16M"),
                *("--innodb-log-file-size=8M", "--performance-schema=OFF", "--max-connections=200"),
                *("--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"),
                *[
                    f"--{name}={security[name]}"
                    for name in ("ssl-cert", "ssl-key")
                    if name in security
                ],
                *more,
            ]
        )
        while not self.socket.exists():
            if self.process.poll() is not None:
                sys.exit(f"MariaDB ended with {self.process.returncode}")
            time.sleep(0.05)
        (folder / "made").touch()


class Client(socketserver.BaseRequestHandler):
    """A client's connection, passed on."""

    server: Front

    def handle(self) -> None:
        """Pass on in both directions, until one ends."""
        here, there = self.request.getsockname(), self.client_address
        behind = socket.socket(socket.AF_UNIX)
        try:
            behind.connect(str(self.server.behind))
            header = f"PROXY TCP4 {there[0]} {here[0]} {there[1]} {here[1]}\r\n"
            behind.sendall(header.encode())
            back = (behind, self.request)
            threading.Thread(target=serving.pump, args=back, daemon=True).start()
            with self.request.makefile("rb") as coming:
                while head := coming.read(4):
                    payload = coming.read(int.from_bytes(head[:3], "little"))
                    behind.sendall(packet(head, payload))
                    if asks_for_tls(head, payload):
                        break
                # Nothing of this is to be understood from here on.
                while data := coming.read1(65536):
                    behind.sendall(data)
        except OSError:
            pass
        finally:
            behind.close()


def asks_for_tls(head: bytes, payload: bytes) -> bool:
    """Whether this is a client's first packet, and all that it says is that TLS is to begin."""
    return head[3] == 1 and len(payload) == SSL_REQUEST and bool(payload[1] & CLIENT_SSL)


def packet(head: bytes, payload: bytes) -> bytes:
    """A client's packet, with what asks for one of TiDB's own variables put in MariaDB's words."""
    if head[3] != 0 or payload[:1] != bytes([COM_QUERY]):
        return head + payload
    table = b"stand_in.globals"
    sql = _READ.sub(
        rb"SELECT COALESCE((SELECT value FROM " + table + rb" WHERE name = '\1'), 'OFF') AS now",
        payload[1:],
    )
    sql = sql.replace(b"information_schema.cluster_processlist", b"information_schema.processlist")
    sql = _WRITE.sub(rb"REPLACE INTO " + table + rb" VALUES ('\1', \2)", sql)
    return (len(sql) + 1).to_bytes(3, "little") + head[3:] + payload[:1] + sql


class Front(socketserver.ThreadingTCPServer):
    """What listens for SQL."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, behind: Path) -> None:
        """Listen, and know the server behind."""
        self.behind = behind
        super().__init__(("0.0.0.0", port), Client)


def answer(method: str, path: str, _body: Any) -> serving.Answer | None:
    """Answer a request at the status port."""
    match method, path:
        case "GET", "/status":
            return 200, {"connections": 0, "version": f"8.0.11-TiDB-{serving.version()}"}
        case "POST", "/upgrade/start" | "/upgrade/finish":
            return 200, "success!"
    return None


def main(arguments: list[str]) -> None:
    """Run as tidb-server."""
    given = serving.options(arguments)
    security = serving.security(given)
    behind = Server(Path.cwd() / "stand-in", security)

    def end(_signal: int, _frame: FrameType | None) -> None:
        behind.process.terminate()
        behind.process.wait()
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    front = Front(int(given["P"]), behind.socket)
    threading.Thread(target=front.serve_forever, daemon=True).start()
    names = ("cluster-ssl-ca", "cluster-ssl-cert", "cluster-ssl-key")
    tls = serving.spoken(security, names, demands=False)
    serving.serve(int(given["status"]), answer, tls=tls)
