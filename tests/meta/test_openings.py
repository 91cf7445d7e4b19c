"""Which ports of a host others reach."""

from typing import Any

from filter_paths import plugin

openings: Any = plugin("openings").openings

GROUPS = {"api": ["one", "two"], "mariadb": ["one"], "client": ["three"]}
HOSTVARS = {
    "one": {"ansible_host": "10.0.0.1"},
    "two": {"ansible_host": "10.0.0.2"},
    "three": {"ansible_host": "10.0.0.3"},
}
SQL = {"variable": "mariadb_port", "port": "3306", "from": ["api", "consumer"], "program": "x"}


def test_only_other_hosts_of_the_groups_are_let_in() -> None:
    found = openings([SQL], GROUPS, HOSTVARS, "one")
    assert found == [{"port": 3306, "name": "mariadb_port", "sources": ["10.0.0.2"]}]


def test_what_nobody_else_needs_is_closed() -> None:
    rest = {"variable": "debezium_rest_port", "port": 8083, "program": "java"}
    alone = {"api": ["one"], "mariadb": ["one"]}
    assert openings([SQL, rest], alone, HOSTVARS, "one") == []


def test_the_page_is_for_everybody() -> None:
    page = {"variable": "nginx_port", "port": 8080, "from": "anyone", "connections": "9"}
    found = openings([page], GROUPS, HOSTVARS, "three")
    assert found == [{"port": 8080, "name": "nginx_port", "sources": [], "connections": 9}]


def test_the_order_is_that_of_the_ports_in_each_run() -> None:
    page = {"variable": "nginx_port", "port": 8080, "from": "anyone"}
    found = openings([page, SQL], GROUPS, HOSTVARS, "one")
    assert found == openings([SQL, page], GROUPS, HOSTVARS, "one")
    assert [opening["port"] for opening in found] == [3306, 8080]
