"""The table cases.yml, and a run of a playbook for each of its entries.

``Refusal`` says how a run ended: the words, and what ran before and after them.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import certificates
import yaml
from machine import ROOT

HERE: Final = Path(__file__).resolve().parent
INVENTORY: Final = ROOT / "molecule/preflight/inventory"
TABLE: Final[list[dict[str, Any]]] = yaml.safe_load((HERE / "cases.yml").read_text())
SECONDS: Final = 150
TIDB: Final = {"tidb_tiup_mirror": str(HERE / "mirror"), "vm_memory_mb": 8192}
# The groups of another profile than the inventory's own. Its mirror is a folder of lists.
_HOST: Final = next(iter(yaml.safe_load((INVENTORY / "hosts.yml").read_text())["all"]["hosts"]))
GROUPS: Final[dict[str, dict[str, list[str] | None]]] = {
    "tidb": {
        **{group: [_HOST] for group in ("pd", "tikv", "tidb", "ticdc")},
        **dict.fromkeys(("mariadb", "debezium")),
    }
}


@dataclasses.dataclass(frozen=True)
class Refusal:
    """How a run ended. ``tasks`` are names in order; ``contacts`` calls of ssh."""

    code: int
    words: list[str]
    tasks: list[str]
    failed: list[str]
    stats: dict[str, dict[str, int]]
    contacts: list[str]
    output: str


def refusal(run: dict[str, Any]) -> Refusal:
    """Run the playbook with all cases of an entry; only one with "machine" can reach it."""
    with tempfile.TemporaryDirectory(prefix="helfy-refusal-") as folder:
        inventory = _inventory(Path(folder), run.get("inventory", {}))
        given = dict(run.get("shared", {}))
        if run.get("inventory", {}).get("profile") == "tidb":
            given = TIDB | given
        for case in run["cases"]:
            given |= case.get("vars", {})
        wire = Path(folder) / "contacts"
        variables = json.dumps(given)
        if "$TLS" in variables:
            certificates.make(Path(folder))
            variables = variables.replace("$TLS", folder)
        command = [
            *playbook(inventory, run.get("playbook", "site")),
            "-e",
            variables,
            *run.get("args", []),
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
            cwd=ROOT,
            env=environment(None if "machine" in run else wire),
        )
        contacts = wire.read_text().splitlines() if wire.exists() else []
        return _read(done, contacts)


def playbook(inventory: Path, name: str = "site") -> list[str]:
    """Give the command line of a playbook, by default the one that deploys."""
    program = Path(sys.executable).with_name("ansible-playbook")
    return [str(program), "-i", str(inventory), str(ROOT / f"playbooks/{name}.yml")]


def environment(wire: Path | None) -> dict[str, str]:
    """Let Ansible answer in JSON, and trip a wire where it would call ssh."""
    ours = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
    }
    if wire is not None:
        ours |= {"ANSIBLE_SSH_EXECUTABLE": str(HERE / "tripwire"), "HELFY_TRIPWIRE": str(wire)}
    return os.environ | ours


def _inventory(folder: Path, changes: dict[str, Any]) -> Path:
    everything = yaml.safe_load((INVENTORY / "hosts.yml").read_text())
    for host, variables in changes.get("hosts", {}).items():
        if variables is None:
            del everything["all"]["hosts"][host]
        else:
            known = everything["all"]["hosts"].setdefault(host, {})
            everything["all"]["hosts"][host] = known | variables
    groups = GROUPS.get(changes.get("profile", "lite"), {}) | changes.get("groups", {})
    for group, hosts in groups.items():
        if hosts is None:
            everything["all"]["children"].pop(group, None)
        else:
            everything["all"]["children"][group] = {"hosts": {host: {} for host in hosts}}
    made = folder / "inventory"
    made.mkdir()
    (made / "hosts.yml").write_text(yaml.safe_dump(everything))
    variables = ROOT / "inventory" / changes.get("profile", "lite") / "group_vars"
    (made / "group_vars").symlink_to(variables)
    return made


def _read(done: subprocess.CompletedProcess[str], contacts: list[str]) -> Refusal:
    output = done.stdout + done.stderr
    try:
        # Around it stand the lines of other callbacks.
        told = json.JSONDecoder().raw_decode(done.stdout[done.stdout.find("{") :])[0]
    except ValueError:
        raise AssertionError(f"no JSON, exit status {done.returncode}:\n{output[-4000:]}") from None
    tasks = [task for play in told["plays"] for task in play["tasks"]]
    failed = [t for t in tasks if any(r.get("failed") for r in t["hosts"].values())]
    words = [line for t in failed for r in t["hosts"].values() for line in _words(r)]
    return Refusal(
        done.returncode,
        words,
        [t["task"]["name"] for t in tasks],
        [t["task"]["name"] for t in failed],
        told["stats"],
        contacts,
        output,
    )


def _words(result: dict[str, Any]) -> list[str]:
    if not result.get("failed"):
        return []
    each = [r["msg"] for r in result.get("results", []) if r.get("failed")] or [result["msg"]]
    lines = [line for message in each for line in message.splitlines()]
    return [line for line in lines if line != "Validation of arguments failed:"]
