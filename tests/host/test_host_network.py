"""What listens where, as the table in docs/operations.md says, and what a stranger reaches."""

import ipaddress
import re
import socket

import pytest
from machine import ROOT, Machine
from machines import names

ANYWHERE = "anywhere"
PLACES = {
    "all addresses": ANYWHERE,
    "all IPv4 addresses": ANYWHERE,
    "loopback": "127.0.0.1",
}


def table() -> list[list[str]]:
    """Give the cells of the table of ports, its head left out."""
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    [rows] = re.findall(r"(?m)^\| port \| variable .*\n\|[-|]+\|\n((?:\|.*\n)+)", text)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()]


def expected_ports(machine: Machine) -> dict[int, str]:
    """Give the address of each port that the table promises for a machine's groups."""
    ports: dict[int, str] = {}
    known = machine.vars | {"ansible_port": machine.ssh["port"]}
    for default, variables, group, alone, several in table():
        if group.strip("`") not in machine.groups | {"all"}:
            continue
        written, _, unless = variables.partition(", unless ")
        if unless:
            setting, without = re.findall(r"`(\w+)`", unless)
            if machine.vars[setting] == without:
                continue
        name, *count = re.findall(r"`(\w+)`", written)
        first = int(known.get(name, default))
        place = alone if len(names()) == 1 else several
        address = PLACES.get(place, machine.address)
        number = int(machine.vars[count[0]]) if count else 1
        ports |= dict.fromkeys(range(first, first + number), address)
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
