"""Clients that take their time: they connect, send a piece, and then a byte now and then.

Each connection sends on for as long as it is let; ``held`` are those that the server still keeps,
``turned_away`` counts the statuses of those that got an answer, ``closed`` those that got none.
"""

import selectors
import socket
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Final, Literal, Self

# A request whose headers never end, and one whose body never does: no login, whose rate is limited.
_HEADERS: Final = b"POST /login HTTP/1.1\r\nHost: helfy\r\nX-Slow: "
_BODY: Final = (
    b"POST /logout HTTP/1.1\r\nHost: helfy\r\nContent-Type: application/json\r\n"
    b'Content-Length: 16000\r\n\r\n{"usernameOrEmail": "'
)
_EVERY_SECONDS: Final = 1.0
Kind = Literal["headers", "body"]


class SlowClients:
    """While it is entered, so many slow connections of one address."""

    def __init__(self, address: str, port: int, headers: int, bodies: int) -> None:
        self._place = (address, port)
        self._wanted: dict[Kind, int] = {"headers": headers, "body": bodies}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._links: dict[socket.socket, Kind] = {}
        self.turned_away: Counter[int] = Counter()
        self.answer = b""
        """The last one that somebody was turned away with."""
        self.closed: Counter[Kind] = Counter()

    def held(self, kind: Kind) -> int:
        """Give how many connections of a kind the server keeps."""
        return list(self._links.values()).count(kind)

    def __enter__(self) -> Self:
        """Connect all, and go on slowly."""
        firsts: dict[Kind, bytes] = {"headers": _HEADERS, "body": _BODY}
        for which, first in firsts.items():
            for _ in range(self._wanted[which]):
                link = socket.create_connection(self._place, timeout=10)
                self._links[link] = which
                link.sendall(first)
                link.setblocking(False)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of all."""
        self._stop.set()
        self._thread.join()
        for link in self._links:
            link.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as watched:
            for link in self._links:
                watched.register(link, selectors.EVENT_READ, link)
            due = time.monotonic() + _EVERY_SECONDS
            while not self._stop.is_set():
                for key, _ in watched.select(0.1):
                    ended: socket.socket = key.data
                    watched.unregister(ended)
                    self._ended(ended)
                if time.monotonic() >= due:
                    due += _EVERY_SECONDS
                    self._drip()

    def _drip(self) -> None:
        for link in list(self._links):
            try:
                link.send(b"x")
            except OSError:
                continue  # it is seen by what it has to read

    def _ended(self, link: socket.socket) -> None:
        kind = self._links.pop(link)
        try:
            said = link.recv(4096)
        except OSError:
            said = b""
        link.close()
        if said.startswith(b"HTTP/1.1 "):
            self.answer = said
            self.turned_away[int(said[9:12])] += 1
        else:
            self.closed[kind] += 1
