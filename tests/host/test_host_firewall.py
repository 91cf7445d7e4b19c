"""The firewall lets in what the groups need, and refuses the rest at once."""

import socket
from collections.abc import Iterator

import pytest
from machine import Machine, wait_for

UNIT = "helfy-test-listener"
PORT = 18_765


def reached(address: str, port: int) -> bool:
    """Whether a connection is taken; a time-out is neither and ends the test."""
    try:
        socket.create_connection((address, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture
def listener(machine: Machine) -> Iterator[int]:
    """A program of somebody else's that listens on all addresses of the VM."""
    machine.run(f"systemd-run --quiet --collect --unit {UNIT} python3 -m http.server {PORT}")
    try:
        here = f"timeout 2 bash -c '</dev/tcp/{machine.address}/{PORT}'"
        wait_for(lambda: machine.attempt(here).returncode == 0, "it answers on the VM itself", 15)
        yield PORT
    finally:
        machine.attempt(f"systemctl stop {UNIT}")


def test_what_no_group_needs_is_refused(machine: Machine, listener: int) -> None:
    assert not reached(machine.address, listener)


def test_ssh_and_the_page_are_let_in(machine: Machine, client_machine: Machine) -> None:
    assert reached(machine.address, int(machine.ssh["port"]))
    assert reached(client_machine.address, int(client_machine.vars.get("nginx_port", 8080)))


def test_it_is_there_before_the_network_is(machine: Machine) -> None:
    order = machine.run("systemctl show --property=Before --value helfy-firewall").split()
    assert "network-pre.target" in order
    assert machine.run("systemctl is-enabled helfy-firewall").strip() == "enabled"
