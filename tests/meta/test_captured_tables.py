"""Captured tables without a key, by the playbook's own query on a real MariaDB."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import role_docs
import yaml
from filter_paths import plugin

sys.path.insert(0, str(role_docs.ROOT / "app/tests"))

from mariadb_server import MariaDB

TASKS = yaml.safe_load((role_docs.ROOT / "playbooks/tasks/captured_tables.yml").read_text())
capture: Any = plugin("capture")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    made = MariaDB(tmp_path_factory.mktemp("captured"))
    made.install()
    made.start()
    made.execute("CREATE DATABASE helfy")
    yield made
    made.stop()


def faults(server: MariaDB, *columns: str) -> list[str]:
    """What is wrong with table t where these columns are captured."""
    query = TASKS[0]["ansible.builtin.command"]["stdin"].replace("{{ database_name }}", "helfy")
    lines = [
        "\t".join("NULL" if value is None else str(value) for value in row)
        for statement in query.split(";")
        if statement.strip()
        for row in server.execute(statement)
    ]
    captured = {"t": list(columns), "comes_later": ["id"]}
    begin = "captured table helfy.t cannot be recorded: "
    found = [str(fault) for fault in capture.capture_faults(lines, captured, "helfy")]
    assert all(fault.startswith(begin) for fault in found)
    return [fault.removeprefix(begin) for fault in found]


NO_KEY = "it has no primary key, and no unique key without nullable columns. Add one"


@pytest.mark.parametrize(
    ("statement", "columns", "why"),
    [
        ("CREATE TABLE t (id INT PRIMARY KEY, a INT)", ["id"], []),
        ("CREATE TABLE T (Id INT PRIMARY KEY, a INT)", ["id"], []),
        ("CREATE TABLE t (a INT, b INT, PRIMARY KEY (a, b))", ["a", "b"], []),
        ("CREATE TABLE t (a INT NOT NULL UNIQUE)", ["a"], []),
        ("CREATE TABLE t (a INT UNIQUE, b INT NOT NULL UNIQUE)", ["b"], []),
        ("CREATE TABLE t (a INT)", ["a"], [NO_KEY]),
        ("CREATE TABLE t (a INT, KEY (a))", ["a"], [NO_KEY]),
        ("CREATE TABLE t (a INT UNIQUE)", ["a"], [NO_KEY]),
        ("CREATE TABLE t (a INT NOT NULL, b INT, UNIQUE (a, b))", ["a", "b"], [NO_KEY]),
        ("CREATE TABLE t (a INT NOT NULL, v INT AS (a + 1) VIRTUAL UNIQUE)", ["a"], [NO_KEY]),
        ("CREATE VIEW t AS SELECT 1 AS id", ["id"], ["it is no table"]),
        ("CREATE TABLE t (id INT PRIMARY KEY, a INT)", ["a"], ["its key has id, which is not"]),
        ("CREATE TABLE t (a INT, b INT, PRIMARY KEY (a, b))", ["b"], ["its key has a, which"]),
        ("CREATE TABLE t (s INT NOT NULL UNIQUE, a INT)", ["a"], ["its key has s, which is not"]),
        ("CREATE TABLE other (a INT)", ["id"], []),
    ],
)
def test_a_captured_table_without_a_usable_key_is_named(
    server: MariaDB, statement: str, columns: list[str], why: list[str]
) -> None:
    server.execute(statement, database="helfy")
    try:
        found = faults(server, *columns)
    finally:
        for kind in ("TABLE", "VIEW"):
            server.execute(f"DROP {kind} IF EXISTS t, T, other", database="helfy")
    assert len(found) == len(why)
    assert all(told.startswith(begin) for told, begin in zip(found, why, strict=True))
