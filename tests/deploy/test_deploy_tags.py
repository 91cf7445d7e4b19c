"""A part that is deployed by itself, by the tag of its role: nothing has to be changed."""

import pytest
import yaml
from machine import ROOT, Machine
from plays import play


def tags() -> list[str]:
    """Give the roles' names, as playbooks/site.yml has them."""
    plays = yaml.safe_load((ROOT / "playbooks/site.yml").read_text())
    roles = [role for each in plays for role in each.get("roles", [])]
    return [tag for role in roles for tag in role["tags"] if tag == role["role"]]


@pytest.mark.long
@pytest.mark.parametrize("tag", tags())
def test_each_part_runs_by_its_tag_alone(machine: Machine, tag: str) -> None:
    if not (machine.groups | {"all"}) & groups_of(tag):
        pytest.skip("nothing of it is here")
    done = play("site", "--diff", "--tags", tag)
    assert done.code == 0, done.output[-4000:]
    assert done.changed == set()
    # Each role ends with a look at what it runs.
    assert len(done.tasks["ok"]) > 10, done.tasks


def groups_of(tag: str) -> set[str]:
    """Give the groups of the play that has a role."""
    for each in yaml.safe_load((ROOT / "playbooks/site.yml").read_text()):
        if any(role["role"] == tag for role in each.get("roles", [])):
            return set(each["hosts"].replace("all:!localhost", "all").split(":"))
    raise AssertionError(tag)
