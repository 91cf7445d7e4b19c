"""Holds together what a role says in several places."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import role_docs
import yaml

from helfy import schema

per_role = pytest.mark.parametrize("role", role_docs.ROLES, ids=lambda role: role.name)


@per_role
def test_defaults_and_argument_specs_have_the_same_keys(role: Path) -> None:
    assert set(role_docs.defaults(role)) == set(role_docs.options(role))


@per_role
def test_defaults_in_the_specs_are_those_in_effect(role: Path) -> None:
    values = role_docs.defaults(role)
    for name, option in role_docs.options(role).items():
        if "default" in option:
            value = values[name]
            computed = isinstance(value, str) and "{{" in value
            assert computed or value == option["default"], name
        else:
            assert option.get("required"), f"{name} has neither a default nor required: true"


@per_role
def test_public_variables_begin_with_the_roles_name(role: Path) -> None:
    assert [name for name in role_docs.defaults(role) if not name.startswith(f"{role.name}_")] == []


@per_role
def test_the_readme_is_made_from_the_specs(role: Path) -> None:
    assert (role / "README.md").read_text() == role_docs.readme(role), "run 'make docs'"


@per_role
def test_main_is_a_table_of_contents(role: Path) -> None:
    tasks = yaml.safe_load((role / "tasks/main.yml").read_text())
    if len(tasks) <= 3 or role.name == "preflight":
        return
    assert all("ansible.builtin.import_tasks" in task for task in tasks)


@per_role
def test_no_failure_is_ignored(role: Path) -> None:
    text = "".join(path.read_text() for path in role.rglob("*.yml"))
    assert not re.search(r"ignore_errors|failed_when: false", text)


def test_what_is_left_out_of_capture_is_what_the_tables_say() -> None:
    """A column that holds a secret must be left out at the source and by the consumer."""
    wiring: dict[str, Any] = yaml.safe_load(
        (role_docs.ROOT / "playbooks/group_vars/all/wiring.yml").read_text()
    )
    assert {
        table: tuple(columns) for table, columns in wiring["capture_left_out_columns"].items()
    } == (schema.CAPTURE_LEFT_OUT)
    assert sorted(wiring["capture_ignored_tables"]) == sorted(schema.CAPTURE_IGNORED_TABLES)


def test_every_role_of_the_playbooks_exists_and_is_used() -> None:
    used = set(re.findall(r"role: (\w+)", (role_docs.ROOT / "playbooks/site.yml").read_text()))
    included = {"maven_artifacts"}
    assert used | included == {role.name for role in role_docs.ROLES}
