"""What an inventory sets takes effect, wherever the project sets it too."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
VALUE: Final = "set by the inventory"


def shared_variables() -> list[str]:
    """Give the names that the playbooks' group_vars set."""
    files = sorted((ROOT / "playbooks/group_vars").rglob("*.yml"))
    return sorted({name for file in files for name in yaml.safe_load(file.read_text())})


@pytest.mark.parametrize("place", ["group_vars/all.yml", "group_vars/kafka.yml", "hosts.yml"])
def test_variable_of_an_inventory_outranks_the_playbooks(tmp_path: Path, place: str) -> None:
    names = shared_variables()
    assert {"changes_topic", "database_name", "service_address"} <= set(names)
    values = dict.fromkeys(names, VALUE)
    hosts: dict[str, Any] = {"children": {"kafka": {"hosts": {"one": {}}}}}
    inline = {"vars": values} if place == "hosts.yml" else {}
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": hosts | inline}))
    if not inline:
        (tmp_path / place).write_text(yaml.safe_dump(values))
    command = Path(sys.executable).with_name("ansible-inventory")
    run = subprocess.run(
        [command, "-i", tmp_path, "--host", "one"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    effective = json.loads(run.stdout)
    assert {name: effective.get(name) for name in names} == values
