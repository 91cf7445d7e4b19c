"""Check mode on a deployed machine tells what a run would change, all of it, and nothing else."""

import os
from pathlib import Path
from typing import Final

import pytest
import yaml
from machine import ROOT, Machine
from machines import inventory
from plays import Play, play

pytestmark = pytest.mark.long

# A port, a cost, a value of a template.
CHANGE: Final = {"nginx_port": 8088, "helfy_api_bcrypt_cost": 5, "nginx_api_timeout_seconds": 16}
ARGUMENTS: Final = [f"-e{name}={value}" for name, value in CHANGE.items()]
TASKS: Final = {
    *("firewall : Write the rules", "firewall : Load the firewall's rules"),
    *("helfy_api : Configure the API", "helfy_api : Restart the process"),
    *("nginx : Configure nginx", "nginx : Reload nginx"),
}
FILES: Final = {
    *("/etc/helfy-firewall/rules.nft", "/etc/helfy/api.toml", "/etc/nginx/nginx.conf"),
}

# Ansible's module for archives has no check mode.
ONLY_SKIPPED_IN_CHECK_MODE: Final = {"debezium : Unpack the plugin"}
# On a new one, those that work with software that is not there yet: all of these files …
WITH_SOFTWARE: Final = (
    *("run", "restart", "health", "accounts", "passwords", "database", "topic"),
    *("demand_tls", "drop_accounts"),
)
# … archives again, what is made of what they have, a package's folder, a dead machine's remains.
ALSO_SKIPPED_ON_A_NEW_MACHINE: Final = ONLY_SKIPPED_IN_CHECK_MODE | {
    "common : Finish it",
    "debezium : Install the plugin's archive",
    "helfy_api : Complete the command",
    "helfy_release : Compile its modules",
    "helfy_release : Install the release",
    "kafka : Format the data folder",
    "kafka : Install the jars",
}


def numbers() -> dict[str, object]:
    """Give each variable that is a number or true or false, with the value that it has."""
    found: dict[str, object] = {}
    for specs in sorted(ROOT.glob("roles/*/meta/argument_specs.yml")):
        options = yaml.safe_load(specs.read_text())["argument_specs"]["main"]["options"]
        defaults = yaml.safe_load((specs.parents[1] / "defaults/main.yml").read_text())
        for name, option in options.items():
            if option["type"] in ("int", "float", "bool") and "{{" not in str(defaults[name]):
                found[name] = defaults[name]
    files = [path for path in (inventory() / "group_vars").rglob("*.yml") if path.is_file()]
    chosen = {k: v for path in files for k, v in (yaml.safe_load(path.read_text()) or {}).items()}
    found |= {k: v for k, v in chosen.items() if k in found or isinstance(v, bool | int)}
    [host] = yaml.safe_load((Path(inventory()) / "hosts.yml").read_text())["all"]["hosts"].values()
    return found | {k: v for k, v in host.items() if isinstance(v, int)}


@pytest.fixture(scope="module")
def checked(machine: Machine) -> Play:
    """Rehearse what is there, with each number given as text, as ``-e`` gives it."""
    assert machine
    return play("site", "--check", "--diff", *(f"-e{k}={v}" for k, v in numbers().items()))


def test_nothing_is_predicted_where_nothing_was_changed(checked: Play) -> None:
    assert len(numbers()) > 25
    assert checked.code == 0, checked.output[-4000:]
    assert (checked.changed, checked.files) == (set(), set())


def test_hardly_a_task_is_left_out(checked: Play, whole_run: Play) -> None:
    assert whole_run.code == 0, whole_run.output[-4000:]
    assert whole_run.changed == set()
    left_out = checked.tasks["skipping"] - whole_run.tasks["skipping"]
    assert left_out == ONLY_SKIPPED_IN_CHECK_MODE
    come_to = [set().union(*run.tasks.values()) for run in (checked, whole_run)]
    assert come_to[1] - come_to[0] == set()


def with_software() -> set[str]:
    """Give the names of the tasks and handlers that need what a role has installed."""
    files = [
        *(path for stem in WITH_SOFTWARE for path in ROOT.glob(f"roles/*/tasks/{stem}.yml")),
        *ROOT.glob("roles/*/handlers/main.yml"),
    ]
    return {
        f"{path.parents[1].name} : {task['name']}"
        for path in files
        for task in yaml.safe_load(path.read_text())
    }


def test_on_a_new_machine_only_what_needs_software_was_left_out() -> None:
    folder = os.environ.get("HELFY_FIRST_RUNS")
    if not folder:
        pytest.skip("molecule's scenario keeps what its first deployment said; this is none")
    rehearsed, *real = (
        Play(0, (Path(folder) / f"{name}.log").read_text())
        for name in ("rehearsed", "cut-off", "finished")
    )
    ran = {task for run in real for end in ("ok", "changed") for task in run.tasks[end]}
    rehearsed_too = rehearsed.tasks["ok"] | rehearsed.tasks["changed"]
    assert len(rehearsed_too) > 60
    assert ran - rehearsed_too - with_software() <= ALSO_SKIPPED_ON_A_NEW_MACHINE


def test_a_change_is_predicted_and_then_made(api_machine: Machine, client_machine: Machine) -> None:
    try:
        predicted = play("site", "--check", "--diff", *ARGUMENTS)
        assert predicted.code == 0, predicted.output[-4000:]
        assert (predicted.changed, predicted.files) == (TASKS, FILES)
        assert "bcrypt_cost = 12\n" in api_machine.run("cat /etc/helfy/api.toml"), "a rehearsal"
        made = play("site", "--diff", *ARGUMENTS)
        assert made.code == 0, made.output[-4000:]
        assert (made.changed, made.files) == (TASKS, FILES)
        assert "bcrypt_cost = 5\n" in api_machine.run("cat /etc/helfy/api.toml")
        assert client_machine.run("ss -Hltn 'sport = 8088'").strip()
    finally:
        back = play("site", "--diff")
    assert back.code == 0, back.output[-4000:]
    assert (back.changed, back.files) == (TASKS, FILES)
