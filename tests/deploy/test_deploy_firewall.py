"""The firewall's rules follow the variables, and come back where somebody took them away."""

from collections.abc import Iterator

import pytest
from machine import Machine
from plays import play
from reach import reached, stranger

pytestmark = pytest.mark.long

OPENING = '{"firewall_extra_openings": [{"port": %d, "name": "a test", "sources": [%s]}]}'


@pytest.fixture(name="listener")
def _listener(machine: Machine) -> Iterator[int]:
    with stranger(machine) as port:
        yield port


def test_rules_that_somebody_flushed_come_back(machine: Machine) -> None:
    machine.run("nft flush ruleset")
    done = play("site", "--tags", "firewall")
    assert (done.code, done.changed) == (0, {"firewall : Put them back where they are not"})
    assert "policy drop" in machine.run("nft list table inet helfy_firewall")


def test_an_opening_of_ones_own_is_for_its_sources_alone(machine: Machine, listener: int) -> None:
    try:
        done = play("site", "--tags", "firewall", "-e", OPENING % (listener, '"203.0.113.7"'))
        assert done.code == 0, done.output[-4000:]
        assert not reached(machine.address, listener)
        done = play("site", "--tags", "firewall", "-e", OPENING % (listener, ""))
        assert done.code == 0, done.output[-4000:]
        assert reached(machine.address, listener)
    finally:
        back = play("site", "--tags", "firewall")
    assert back.code == 0, back.output[-4000:]
    assert not reached(machine.address, listener)


def test_it_can_be_left_out(machine: Machine, listener: int) -> None:
    try:
        gone = play("site", "--tags", "firewall", "-e", "firewall_enabled=false")
        assert gone.code == 0, gone.output[-4000:]
        assert reached(machine.address, listener)
        assert play("site", "--tags", "firewall", "-e", "firewall_enabled=false").changed == set()
    finally:
        back = play("site", "--tags", "firewall")
    assert back.code == 0, back.output[-4000:]
    assert not reached(machine.address, listener)
