"""What the stand-ins share: command lines as TiUP's run scripts write them, HTTP, and sockets."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

# What an endpoint answers: the status, and JSON or text.
Answer = tuple[int, Any]
Endpoint = Callable[[str, str, Any], Answer | None]

STARTED: Final = time.time()
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def version() -> str:
    """The version that this stand-in was published as, such as v8.5.7."""
    return Path(__file__).with_name("VERSION").read_text().strip()


def options(arguments: list[str]) -> dict[str, str]:
    """The options of a command line, --name=value and --name value alike, without the hyphens."""
    found: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).lstrip("-").partition("=")
        if not equals and rest and not rest[0].startswith("-"):
            value = rest.pop(0)
        found[name] = value
    return found


def port(address: str) -> int:
    """The port of an address or a URL."""
    return int(address.rstrip("/").rpartition(":")[2])


def ask(address: str, path: str, body: Any = None, seconds: float = 2.0) -> Any:
    """Ask another stand-in, for JSON. A body is POSTed. Raises OSError."""
    url = f"http://{address.removeprefix('http://')}{path}"
    data = None if body is None else json.dumps(body).encode()
    with _DIRECT.open(urllib.request.Request(url, data=data), timeout=seconds) as answer:
        return json.loads(answer.read() or b"null")


def pump(one: socket.socket, other: socket.socket) -> None:
    """Pass on what comes from the one to the other, until it ends."""
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def listen(on_port: int) -> None:
    """Take connections on a port, and say nothing there: what it speaks is not stood in for."""
    server = socket.create_server(("0.0.0.0", on_port), reuse_port=False)

    def accept() -> None:
        while True:
            server.accept()[0].close()

    threading.Thread(target=accept, daemon=True).start()


def serve(on_port: int, endpoint: Endpoint, metrics: str = "", grpc: int = 0) -> None:
    """Answer HTTP for ever. What the endpoint does not know is 404, and noted on stderr.

    grpc: a port of this machine that connections of gRPC are passed on to.
    """

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

        def finish_request(self, request: Any, client_address: Any) -> None:
            if not grpc or request.recv(3, socket.MSG_PEEK) != b"PRI":
                super().finish_request(request, client_address)
                return
            with socket.create_connection(("127.0.0.1", grpc)) as behind:
                threading.Thread(target=pump, args=(behind, request), daemon=True).start()
                pump(request, behind)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0].rstrip("/")
            if path == "/metrics":
                told: Answer | None = (
                    200,
                    f"process_start_time_seconds {STARTED:.2f}\n{metrics}",
                )
            else:
                try:
                    body = json.loads(raw) if raw.strip() else None
                except ValueError:
                    body = None
                told = endpoint(self.command, path, body)
            if told is None:
                print(f"not stood in for: {self.command} {self.path}", file=sys.stderr, flush=True)
                told = 404, {"error": "this is a stand-in, which does not know that"}
            status, said = told
            data = said.encode() if isinstance(said, str) else json.dumps(said).encode()
            kind = "text/plain; version=0.0.4" if isinstance(said, str) else "application/json"
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Nothing."""

    Server(("0.0.0.0", on_port), Handler).serve_forever(0.1)
