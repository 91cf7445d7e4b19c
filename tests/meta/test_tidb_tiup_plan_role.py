"""What the role tidb_tiup refuses of how a cluster is, by records that TiUP might have of it."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import role_docs
import yaml

pytestmark = pytest.mark.slow

ROOT = role_docs.ROOT
SAMPLES = ROOT / "tests/meta/samples/tiup"
META = yaml.safe_load((SAMPLES / "meta.yaml").read_text())
HOST = "10.0.3.207"


def play(folder: Path, pds: int, **given: Any) -> tuple[int, str]:
    """Run the plan against records with as many PD; give the exit status and what was said."""
    meta = copy.deepcopy(META)
    first = meta["topology"]["pd_servers"][0]
    meta["topology"]["pd_servers"] = [first | {"host": f"10.0.3.{207 + n}"} for n in range(pds)]
    (folder / "meta.yaml").write_text(yaml.safe_dump(meta))
    # In TiUP's place, for 'display'.
    program = folder / "tiup"
    program.write_text(f"#!/bin/sh\ncat {SAMPLES}/display.json\n")
    program.chmod(0o755)
    groups = ("pd", "tikv", "tidb", "ticdc")
    hosts = {f"vm-{n}": {"ansible_host": f"10.0.3.{207 + n}"} for n in range(pds)}
    placed: dict[str, Any] = {group: {"hosts": {"vm-0": {}}} for group in groups}
    placed["pd"] = {"hosts": hosts}
    inventory = folder / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts, "children": placed}}))
    role = {"name": "tidb_tiup", "tasks_from": "plan"}
    tasks = [{"name": "Plan", "ansible.builtin.import_role": role}]
    playbook = folder / "play.yml"
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    usual = {
        "ansible_connection": "local",
        "tidb_tiup_version": META["tidb_version"].removeprefix("v"),
        "tidb_tiup_memory_mb": 7000,
        "tidb_tiup_hosts": list(hosts),
        "tidb_tiup_offer": {},
        "tls_certificate_file": "",
        "preflight_units": [],
        "__tidb_tiup_meta": str(folder / "meta.yaml"),
        "__tidb_tiup_applied": str(folder / "applied.json"),
    }
    variables = folder / "vars.json"
    variables.write_text(json.dumps(usual | given))
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), "-i", inventory),
            *("-e", f"@{variables}", playbook),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ
        | {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "PATH": f"{folder}:{os.environ['PATH']}",
        },
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_tls_of_a_cluster_with_several_pd_is_not_switched(tmp_path: Path) -> None:
    code, said = play(tmp_path, pds=3, tidb_cluster_tls=True)
    assert code != 0
    assert (
        "tidb_tiup_cluster_tls is true (internal_tls_enabled decides, unless it is set): the"
        " cluster helfy runs without TLS within it, and TiUP switches that with one PD alone: there"
        " are 3. Leave vm-0 alone in pd, take the others out by playbooks/scale-in.yml, run"
        " site.yml and place them in pd again; or leave it as it is: tidb_tiup_cluster_tls: false."
    ) in said, said


@pytest.mark.parametrize(
    ("pds", "given"),
    [
        (1, {"tidb_cluster_tls": True}),
        (3, {"tidb_cluster_tls": False}),
        (3, {"tidb_cluster_tls": True, "tidb_tiup_scaling_in": True}),
    ],
)
def test_what_stands_in_no_switchs_way_is_not_refused(
    tmp_path: Path, pds: int, given: dict[str, Any]
) -> None:
    code, said = play(tmp_path, pds, **given)
    assert code == 0, said
