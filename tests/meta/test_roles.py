"""Holds together what a role says in several places."""

from __future__ import annotations

import re
from pathlib import Path

import capture_docs
import pytest
import role_docs
import yaml

RULES_STAND_IN = ("validate", "placement", "machine", "ports")

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


def test_captured_columns_of_the_playbooks_are_those_of_the_schema() -> None:
    assert capture_docs.PATH.read_text() == capture_docs.text(), "run 'make docs'"
    columns = yaml.safe_load(capture_docs.PATH.read_text())
    assert columns["secret_columns"] == {"users": ["password_hash"], "sessions": ["token_hash"]}


def test_every_role_of_the_playbooks_exists_and_is_used() -> None:
    used = set(re.findall(r"role: (\w+)", (role_docs.ROOT / "playbooks/site.yml").read_text()))
    included = {"maven_artifacts"}
    assert used | included == {role.name for role in role_docs.ROLES}


@per_role
def test_meaning_is_checked_first_and_before_anything_is_touched(role: Path) -> None:
    first = yaml.safe_load((role / "tasks/main.yml").read_text())[0]
    assert first["ansible.builtin.import_tasks"] == "validate.yml"
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
    assert specs["validate"] is specs["main"], "types are checked by tasks_from: validate too"
    validated = (role_docs.ROOT / "playbooks/validate.yml").read_text()
    # What this one is given is worked out by the roles that include it.
    assert f"name: {role.name}, tasks_from: validate" in validated or (
        role.name == "maven_artifacts"
    )


@per_role
def test_every_variable_has_a_rule_and_every_rule_a_test(role: Path) -> None:
    rules = "".join(
        path.read_text() for path in role.glob("tasks/*.yml") if path.stem in RULES_STAND_IN
    )
    cases = (role_docs.ROOT / "tests/refusals/cases.yml").read_text()
    for name, option in role_docs.options(role).items():
        if option["type"] == "bool" or "choices" in option:
            continue
        assert name in rules, f"{name} has no rule in tasks/validate.yml"
        if role.name not in ("maven_artifacts", "preflight"):
            assert name in cases, f"{name} has no case in tests/refusals/cases.yml"


def test_the_wirings_defaults_are_those_of_the_roles() -> None:
    wiring = (role_docs.ROOT / "playbooks/group_vars/all/wiring.yml").read_text()
    values = {k: v for role in role_docs.ROLES for k, v in role_docs.defaults(role).items()}
    found = re.findall(r"\b(\w+_\w+) \| default\(([^\[\])]+)\)", wiring)
    assert len(found) > 10
    for name, written in found:
        if name == "capture_extra_columns":  # the inventory's own, of no role
            continue
        expected = values[name]
        computed = isinstance(expected, str) and "{{" in expected
        assert written == expected.strip("{ }") if computed else yaml.safe_load(written) == expected
