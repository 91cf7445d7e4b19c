"""What the stand-ins share: command lines as TiUP's run scripts write them, HTTP, TLS, sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import sys
import threading
import time
import tomllib
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

# What an endpoint answers: the status, and JSON or text.
Answer = tuple[int, Any]
Endpoint = Callable[[str, str, Any], Answer | None]

STARTED: Final = time.time()


@dataclass(frozen=True)
class TLS:
    """A node's files, and whether it demands a certificate of the authority's of who asks it."""

    ca: str
    cert: str
    key: str
    demands: bool

    def context(self, *, asks: bool) -> ssl.SSLContext:
        """Give what a connection is made by, from here or to here."""
        purpose = ssl.Purpose.SERVER_AUTH if asks else ssl.Purpose.CLIENT_AUTH
        made = ssl.create_default_context(purpose, cafile=self.ca)
        made.load_cert_chain(self.cert, self.key)
        if self.demands and not asks:
            made.verify_mode = ssl.CERT_REQUIRED
        return made


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


def spoken(given: Mapping[str, str], names: Sequence[str], *, demands: bool) -> TLS | None:
    """What settings say of TLS, by their names for authority, certificate and key; else None."""
    if names[0] not in given:
        return None
    ca, cert, key = (given[name] for name in names)
    return TLS(ca, cert, key, demands)


def security(given: Mapping[str, str]) -> dict[str, Any]:
    """The part ``security`` of the settings that a command line names."""
    return dict(tomllib.loads(Path(given["config"]).read_text()).get("security", {}))


def ask(
    address: str, path: str, body: Any = None, tls: TLS | None = None, seconds: float = 2.0
) -> Any:
    """Ask another stand-in, for JSON. A body is POSTed. Raises OSError."""
    url = f"{'https' if tls else 'http'}://{address.rpartition('/')[2]}{path}"
    data = None if body is None else json.dumps(body).encode()
    handlers = [urllib.request.HTTPSHandler(context=tls.context(asks=True))] if tls else []
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *handlers)
    with opener.open(urllib.request.Request(url, data=data), timeout=seconds) as answer:
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


def speaks_grpc(request: socket.socket, tls: TLS | None) -> bool:
    """Whether a connection's first bytes are gRPC's: HTTP/2, or TLS that offers nothing else."""
    if tls is None:
        return request.recv(3, socket.MSG_PEEK) == b"PRI"
    whole = socket.MSG_PEEK | socket.MSG_WAITALL
    head = request.recv(5, whole)
    if head[:1] != b"\x16":
        return False
    hello = request.recv(5 + int.from_bytes(head[3:5]), whole)
    return b"\x02h2" in hello and b"\x08http/1.1" not in hello


def serve(
    on_port: int,
    endpoint: Endpoint,
    metrics: Callable[[], str] = str,
    *,
    grpc: int = 0,
    tls: TLS | None = None,
) -> None:
    """Answer HTTP for ever. What the endpoint does not know is 404, and noted on stderr.

    grpc: a port of this machine that connections of gRPC are passed on to, as they are.
    """
    context = tls.context(asks=False) if tls else None

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

        def finish_request(self, request: Any, client_address: Any) -> None:
            if grpc and speaks_grpc(request, tls):
                with socket.create_connection(("127.0.0.1", grpc)) as behind:
                    threading.Thread(target=pump, args=(behind, request), daemon=True).start()
                    pump(request, behind)
            elif context:
                # Whoever does not speak TLS, or has no certificate, is told so by TLS itself.
                with (
                    contextlib.suppress(OSError),
                    context.wrap_socket(request, server_side=True) as link,
                ):
                    super().finish_request(link, client_address)
            else:
                super().finish_request(request, client_address)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0].rstrip("/")
            if path == "/metrics":
                told: Answer | None = (
                    200,
                    f"process_start_time_seconds {STARTED:.2f}\n{metrics()}",
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
