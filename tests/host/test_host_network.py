"""What listens where, and what a stranger reaches."""

import ipaddress
import socket

import pytest
from machine import Machine

ANYWHERE = "anywhere"
SSH_PORT = 22


def expected_ports(machine: Machine) -> dict[int, str]:
    """The address of each port that a machine's groups bring along."""
    said = machine.vars
    ports = {SSH_PORT: ANYWHERE}
    if "mariadb" in machine.groups:
        ports[said["mariadb_port"]] = said["mariadb_bind_address"]
    if "kafka" in machine.groups:
        ports[said["kafka_port"]] = said["kafka_listen_address"]
        ports[said["kafka_controller_port"]] = said["kafka_listen_address"]
    if "debezium" in machine.groups:
        ports[said["debezium_rest_port"]] = "127.0.0.1"
    if "api" in machine.groups:
        first, count = said["helfy_api_first_port"], int(said["helfy_api_processes"])
        ports |= dict.fromkeys(range(first, first + count), said["helfy_api_listen_address"])
    if "client" in machine.groups:
        ports[said["nginx_port"]] = ANYWHERE
    return ports


def place(text: str) -> str:
    """Give an address as ``ss`` prints it in one spelling; all addresses are ANYWHERE."""
    text = text.strip("[]").split("%")[0]
    if text == "*":
        return ANYWHERE
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return ANYWHERE if address.is_unspecified else str(address)


def test_exactly_these_ports_listen(machine: Machine) -> None:
    listening: dict[int, set[str]] = {}
    for line in machine.run("ss --no-header --listening --tcp --numeric").splitlines():
        address, _, port = line.split()[3].rpartition(":")
        listening.setdefault(int(port), set()).add(place(address))
    assert listening == {port: {where} for port, where in expected_ports(machine).items()}


def test_nothing_waits_for_datagrams_but_the_address_client(machine: Machine) -> None:
    lines = machine.run("ss --no-header --listening --udp --numeric").splitlines()
    ports = {int(line.split()[3].rpartition(":")[2]) for line in lines}
    assert ports <= {68, 546}  # DHCP, where the network has it


def test_a_stranger_is_refused_what_is_not_for_him(machine: Machine) -> None:
    private = {port for port, where in expected_ports(machine).items() if where.startswith("127.")}
    if not private:
        pytest.skip("nothing here is for this machine alone")
    for port in sorted(private):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((machine.address, port), timeout=5).close()
