"""Waitress, run so that it stops cleanly.

Waitress itself knows no graceful end: its loop runs until an exception. Here the loop is
turned by hand, and after SIGTERM it turns on until the requests at hand are answered.
"""

import array
import contextlib
import logging
import select
import signal
import socket
import struct
import time
from dataclasses import dataclass
from types import FrameType
from typing import Any

from flask import Flask
from waitress import create_server, wasyncore  # type: ignore[import-untyped]

from helfy import jsonlog, sdnotify
from helfy.api.hooks import LONGEST_BODY_BYTES
from helfy.api.refusals import Channel

log = jsonlog.get(__name__)

# A login takes a fraction of a second, one that waits for a database gone silent 3 s.
DRAIN_SECONDS = 10.0
_TURN_SECONDS = 1.0
_DRAIN_TURN_SECONDS = 0.05
_ACCEPT_SECONDS = 1.0
# As long as a handshake that has begun may take to end: a round trip in the same network.
_HANDSHAKE_SECONDS = 0.05
# As long as a client that has connected may take to send its request.
_FIRST_BYTE_SECONDS = 2.0
_CONNECTION_LIMIT = 512
_HEADER_BYTES = 32 * 1024
_IDLE_SECONDS = 75
# Linux's number, which the module socket does not know.
_SO_ATTACH_FILTER = 26


class CannotListenError(Exception):
    """The address is in use, or not this host's; the text says which address."""


class _Named(logging.Filter):
    """Gives Waitress's messages, which are sentences, the shape of our log lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.fields = {"message": record.getMessage()}
        record.msg, record.args = "waitress", ()
        return True


@dataclass
class _Stop:
    asked: bool = False


def serve(app: Flask, host: str, port: int, threads: int) -> None:
    """Serve ``app`` until SIGTERM or SIGINT; then answer what was begun, and return.

    ``READY=1`` goes to systemd once the socket listens. Raises CannotListenError where
    the address is in use or not this host's.
    """
    try:
        server = _listen(app, host, port, threads)
    except OSError as error:
        raise CannotListenError(f"{host}:{port} cannot be listened on: {error.strerror}") from error
    for name in ("waitress", "waitress.queue"):
        logging.getLogger(name).addFilter(_Named())
    stop = _Stop()
    _install_handlers(server, stop)
    log.info("listening", extra={"fields": {"host": host, "port": int(server.effective_port)}})
    sdnotify.notify("READY=1")
    try:
        watchdog = sdnotify.watchdog_seconds()
        told = time.monotonic()
        while not stop.asked:
            _turn(server, min(_TURN_SECONDS, watchdog or _TURN_SECONDS))
            if watchdog is not None and time.monotonic() - told >= watchdog / 2:
                sdnotify.notify("WATCHDOG=1")
                told = time.monotonic()
        sdnotify.notify("STOPPING=1")
        _drain(server)
    finally:
        server.task_dispatcher.shutdown()
        wasyncore.close_all(server._map)
    log.info("stopped")


def _listen(app: Flask, host: str, port: int, threads: int) -> Any:
    server = create_server(
        app,
        host=host,
        port=port,
        threads=threads,
        ident=None,
        connection_limit=_CONNECTION_LIMIT,
        channel_timeout=_IDLE_SECONDS,
        max_request_header_size=_HEADER_BYTES,
        # Above the application's own limit, whose answer is JSON like all others.
        max_request_body_size=4 * LONGEST_BODY_BYTES,
        # It is our middleware that reads X-Forwarded-For, and trusts it or not.
        clear_untrusted_proxy_headers=False,
        # select() cannot see descriptors beyond 1023.
        asyncore_use_poll=True,
    )
    server.channel_class = Channel
    return server


def _install_handlers(server: Any, stop: _Stop) -> None:
    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.asked = True
        server.pull_trigger()  # one byte into a pipe: the loop wakes up

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)


def _turn(server: Any, seconds: float) -> None:
    wasyncore.loop(timeout=seconds, use_poll=True, map=server._map, count=1)


def _drain(server: Any) -> None:
    """Accept no more, and turn until every connection is idle or the time is up.

    Whoever has got a connection gets an answer, and whoever has not is refused, a second later
    at most: then a proxy knows that it may ask another process, whatever the request is.
    """
    _hear_no_more(server.socket)
    _accept_waiting(server)
    _answer_last(server)
    # Off the loop first: what is closed there is what new clients are refused by.
    server.accepting = False
    server.del_channel()
    server.socket.close()
    begun = time.monotonic()
    while server.active_channels and time.monotonic() < begun + DRAIN_SECONDS:
        _turn(server, _DRAIN_TURN_SECONDS)
        _answer_last(server)
        patient = time.monotonic() < begun + _FIRST_BYTE_SECONDS
        for channel in list(server.active_channels.values()):
            # Just connected: its request is on the way, and a reset would leave it in doubt.
            fresh = channel.last_activity == channel.creation_time
            # Neither a request at hand, nor one half received, nor an answer half sent.
            busy = channel.requests or channel.request or channel.total_outbufs_len
            if not (busy or (fresh and patient)):
                channel.will_close = True
    if server.active_channels:
        log.warning("cut_off", extra={"fields": {"connections": len(server.active_channels)}})


def _answer_last(server: Any) -> None:
    """Have the requests at hand answered with "Connection: close": nobody sends another then."""
    for channel in list(server.active_channels.values()):
        for request in list(channel.requests):
            request.headers["CONNECTION"] = "close"


def _hear_no_more(listening: socket.socket) -> None:
    """Have the kernel drop whatever would begin a connection.

    Who connects between the last accept() and close() would be reset, perhaps with the request
    sent already. Who is not heard tries again after a second, and is refused then.
    """
    # A classic BPF program on the TCP header: packets with SYN and without ACK are dropped.
    program = array.array("B")
    for code, yes, no, value in (
        (0x30, 0, 0, 13),  # A = the flags
        (0x54, 0, 0, 0x12),  # A &= SYN | ACK
        (0x15, 0, 1, 0x02),  # if A == SYN
        (0x06, 0, 0, 0),  # return: nothing of the packet
        (0x06, 0, 0, 0xFFFF),  # return: all of it
    ):
        program.frombytes(struct.pack("HBBI", code, yes, no, value))
    address, _ = program.buffer_info()
    # Where the kernel has no such filters, what remains is a matter of microseconds.
    with contextlib.suppress(OSError):
        listening.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program) // 8, address)
        )


def _accept_waiting(server: Any) -> None:
    """Take in the clients that the kernel has let in: closing the socket would cut them off."""
    waiting = select.poll()
    waiting.register(server.socket, select.POLLIN)
    deadline = time.monotonic() + _ACCEPT_SECONDS
    while waiting.poll(_HANDSHAKE_SECONDS * 1000) and time.monotonic() < deadline:
        _turn(server, 0)
