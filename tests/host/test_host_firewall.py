"""The firewall lets in what the groups need, and refuses the rest at once."""

from machine import Machine
from reach import reached, stranger


def test_what_no_group_needs_is_refused(machine: Machine) -> None:
    with stranger(machine) as port:
        assert not reached(machine.address, port)


def test_ssh_and_the_page_are_let_in(machine: Machine, client_machine: Machine) -> None:
    assert reached(machine.address, int(machine.ssh["port"]))
    assert reached(client_machine.address, int(client_machine.vars["nginx_port"]))
    with_tls = client_machine.vars["nginx_tls"] != "none"
    assert reached(client_machine.address, int(client_machine.vars["nginx_tls_port"])) == with_tls


def test_it_is_there_before_the_network_is(machine: Machine) -> None:
    order = machine.run("systemctl show --property=Before --value helfy-firewall").split()
    assert "network-pre.target" in order
    assert machine.run("systemctl is-enabled helfy-firewall").strip() == "enabled"
