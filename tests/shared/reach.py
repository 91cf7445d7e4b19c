"""Whether a port of a VM can be reached from this machine."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from machine import Machine, wait_for

_UNIT: Final = "helfy-test-listener"
_PORT: Final = 18_765


def reached(address: str, port: int) -> bool:
    """Whether a connection is taken; a time-out is neither and ends the test."""
    try:
        socket.create_connection((address, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@contextmanager
def stranger(machine: Machine) -> Iterator[int]:
    """Have a program of somebody else's listen on all addresses of a VM; give its port."""
    machine.run(f"systemd-run --quiet --collect --unit {_UNIT} python3 -m http.server {_PORT}")
    try:
        here = f"timeout 2 bash -c '</dev/tcp/{machine.address}/{_PORT}'"
        wait_for(lambda: machine.attempt(here).returncode == 0, "it answers on the VM itself", 15)
        yield _PORT
    finally:
        machine.attempt(f"systemctl stop {_UNIT}")
