"""Tell systemd how the service is, through ``$NOTIFY_SOCKET`` (sd_notify(3)).

Without that variable, as under a shell or a test, everything here does nothing. A datagram that
cannot be sent is dropped: the service matters more than its notice.
"""

import contextlib
import os
import socket
from typing import Final

MICROSECONDS: Final = 1_000_000


def notify(*assignments: str) -> bool:
    """Send assignments such as ``"READY=1"``, ``"STATUS=…"``; say whether they were sent."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # an abstract socket's name begins with NUL
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
    ):
        sender.settimeout(1)
        sender.sendto("\n".join(assignments).encode(), address)
        return True
    return False


def watchdog_seconds() -> float | None:
    """Give how often to send ``WATCHDOG=1``: half of what the unit allows, None without one."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    allowed = os.environ.get("WATCHDOG_USEC", "")
    if not allowed.isdecimal() or int(allowed) == 0:
        return None
    return int(allowed) / MICROSECONDS / 2
