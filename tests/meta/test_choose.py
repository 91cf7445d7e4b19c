"""How a profile and a provider are chosen, by the script that make and the Vagrantfile call."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import role_docs


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A checkout with the real script and inventories, nothing chosen."""
    shutil.copytree(role_docs.ROOT / "lab", tmp_path / "lab")
    shutil.copytree(role_docs.ROOT / "inventory/lite", tmp_path / "inventory/lite", symlinks=True)
    return tmp_path


def choose(lab: Path, what: str, **variables: str) -> subprocess.CompletedProcess[str]:
    unset = {"PROFILE", "PROVIDER", "HELFY_QUIET"}
    env = {name: value for name, value in os.environ.items() if name not in unset}
    command = [str(lab / "lab/choose"), what]
    return subprocess.run(
        command, env={**env, **variables}, capture_output=True, text=True, check=False
    )


def test_lite_is_taken_where_there_is_no_other_and_it_says_why(lab: Path) -> None:
    chosen = choose(lab, "profile")
    assert (chosen.returncode, chosen.stdout) == (0, "lite\n")
    assert chosen.stderr.startswith("profile: lite (")
    assert (lab / "inventory/current").readlink() == Path("lite")


def test_the_choice_is_kept_without_a_word(lab: Path) -> None:
    choose(lab, "profile")
    again = choose(lab, "profile")
    assert (again.stdout, again.stderr) == ("lite\n", "")


def test_tidb_is_the_default_once_there_is_one(lab: Path) -> None:
    shutil.copytree(lab / "inventory/lite", lab / "inventory/tidb", symlinks=True)
    assert choose(lab, "profile").stdout == "tidb\n"
    assert choose(lab, "profile", PROFILE="lite").stdout == "lite\n"
    assert choose(lab, "profile").stdout == "lite\n"


def test_another_profile_is_refused_while_vms_exist(lab: Path) -> None:
    shutil.copytree(lab / "inventory/lite", lab / "inventory/other", symlinks=True)
    choose(lab, "profile", PROFILE="lite")
    machine = lab / ".vagrant/machines/helfy-1/lxc"
    machine.mkdir(parents=True)
    (machine / "id").write_text("helfy-1")
    refused = choose(lab, "profile", PROFILE="other")
    assert refused.returncode == 1
    assert "PROFILE=other" in refused.stderr
    assert "make destroy" in refused.stderr
    assert (lab / "inventory/current").readlink() == Path("lite")


@pytest.mark.parametrize("name", ["nix", "current", "../lite", "lite/group_vars", " "])
def test_an_unknown_profile_is_refused(lab: Path, name: str) -> None:
    refused = choose(lab, "profile", PROFILE=name)
    assert refused.returncode == 1
    assert f"PROFILE={name}: there is no inventory of this name" in refused.stderr
    assert "lite" in refused.stderr
    assert not (lab / "inventory/current").is_symlink()


@pytest.mark.parametrize("provider", ["virtualbox", "libvirt", "lxc"])
def test_a_provider_can_be_forced(lab: Path, provider: str) -> None:
    chosen = choose(lab, "provider", PROVIDER=provider)
    assert chosen.stdout == f"{provider}\n"
    assert chosen.stderr == f"provider: {provider} (chosen by PROVIDER)\n"


def test_an_unknown_provider_is_refused(lab: Path) -> None:
    refused = choose(lab, "provider", PROVIDER="docker")
    assert refused.returncode == 1
    assert "PROVIDER=docker: must be virtualbox, libvirt or lxc" in refused.stderr


def test_an_empty_inventory_is_refused_with_the_remedy(tmp_path: Path) -> None:
    """Ansible itself would say that no host matches, and exit 0."""
    run = subprocess.run(
        ["ansible-playbook", "-i", str(tmp_path), "playbooks/site.yml"],
        cwd=role_docs.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    assert "vagrant up" in run.stdout + run.stderr
