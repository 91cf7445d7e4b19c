"""How a profile and a provider are chosen, by the script that make and the Vagrantfile call."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import role_docs


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A checkout with the real script and inventories, nothing chosen."""
    shutil.copytree(role_docs.ROOT / "lab", tmp_path / "lab")
    for profile in ("lite", "tidb"):
        copied = tmp_path / "inventory" / profile
        shutil.copytree(role_docs.ROOT / "inventory" / profile, copied, symlinks=True)
    return tmp_path


@pytest.fixture
def mirror(tmp_path: Path) -> str:
    """A folder that looks like TiUP's mirror."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "timestamp.json").write_text("{}")
    return str(folder)


def needs(lab: Path, memory_mb: int) -> None:
    """Let the profile tidb want so much memory."""
    hosts = lab / "inventory/tidb/hosts.yml"
    hosts.write_text(re.sub(r"vm_memory_mb: \d+", f"vm_memory_mb: {memory_mb}", hosts.read_text()))


def choose(lab: Path, what: str, **variables: str) -> subprocess.CompletedProcess[str]:
    unset = {"PROFILE", "PROVIDER", "HELFY_QUIET", "TIDB_TIUP_MIRROR"}
    env = {name: value for name, value in os.environ.items() if name not in unset}
    command = [str(lab / "lab/choose"), what]
    return subprocess.run(
        command, env={**env, **variables}, capture_output=True, text=True, check=False
    )


# A port that nobody listens on.
NOBODY = "http://127.0.0.1:9"


def test_lite_is_taken_where_the_mirror_does_not_answer_and_it_says_why(lab: Path) -> None:
    needs(lab, 1)
    chosen = choose(lab, "profile", TIDB_TIUP_MIRROR=NOBODY)
    assert (chosen.returncode, chosen.stdout) == (0, "lite\n")
    assert chosen.stderr == (
        f"profile: lite (TiUP's mirror {NOBODY} does not answer;"
        " TIDB_TIUP_MIRROR names another one)\n"
    )
    assert (lab / "inventory/current").readlink() == Path("lite")


def test_lite_is_taken_where_memory_does_not_suffice_and_it_says_why(
    lab: Path, mirror: str
) -> None:
    needs(lab, 90000000)
    chosen = choose(lab, "profile", TIDB_TIUP_MIRROR=mirror)
    assert chosen.stdout == "lite\n"
    assert chosen.stderr.startswith("profile: lite (tidb wants 90000000 MB of memory, and ")


def test_tidb_without_a_mirror_that_answers_is_refused_with_the_remedy(lab: Path) -> None:
    refused = choose(lab, "profile", PROFILE="tidb", TIDB_TIUP_MIRROR=NOBODY)
    assert refused.returncode == 1
    assert f"TiUP's mirror {NOBODY} does not answer; name one that does with" in refused.stderr
    assert "TIDB_TIUP_MIRROR=http://HOST:PORT" in refused.stderr
    assert not (lab / "inventory/current").is_symlink()
    assert not (lab / "inventory/tidb_tiup_mirror").exists()


def test_the_mirror_is_kept_with_the_profile(lab: Path, mirror: str) -> None:
    chosen = choose(lab, "profile", PROFILE="tidb", TIDB_TIUP_MIRROR=mirror)
    assert (chosen.stdout, chosen.stderr) == ("tidb\n", "profile: tidb (chosen by PROFILE)\n")
    assert (lab / "inventory/tidb_tiup_mirror").read_text() == f"{mirror}\n"
    shutil.rmtree(mirror)
    again = choose(lab, "profile", PROFILE="tidb", TIDB_TIUP_MIRROR=mirror)
    assert again.stdout == "tidb\n", "a cluster that is deployed needs nothing new of it"
    other = choose(lab, "profile", PROFILE="tidb", TIDB_TIUP_MIRROR=NOBODY)
    assert other.returncode == 1


def test_the_choice_is_kept_without_a_word(lab: Path) -> None:
    choose(lab, "profile", PROFILE="lite")
    again = choose(lab, "profile")
    assert (again.stdout, again.stderr) == ("lite\n", "")


def test_tidb_is_the_default_where_its_mirror_answers(lab: Path, mirror: str) -> None:
    needs(lab, 1)
    chosen = choose(lab, "profile", TIDB_TIUP_MIRROR=mirror)
    assert (chosen.stdout, chosen.stderr) == ("tidb\n", "profile: tidb (the default)\n")
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
