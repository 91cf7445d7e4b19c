"""The scripts that make and Vagrant run, in environments that their callers may have."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import role_docs

WORKS = {
    "locale that is not installed": {"LC_ALL": "xx_XX.UTF-8", "LC_NUMERIC": "de_DE.UTF-8"},
    "locale without UTF-8": {"LC_ALL": "C", "LANGUAGE": "de"},
    "CDPATH": {"CDPATH": ".:/tmp:/"},
    "inventory of another project": {"ANSIBLE_INVENTORY": "/nonexistent"},
    "configuration of another project": {"ANSIBLE_CONFIG": "/nonexistent/ansible.cfg"},
    "callback of another project": {"ANSIBLE_STDOUT_CALLBACK": "nonexistent"},
    "callback plugins of another project": {"ANSIBLE_CALLBACKS_ENABLED": "community.general.mail"},
    "strict templates of another project": {"ANSIBLE_JINJA2_EXTENSIONS": "nonexistent"},
    "roles of another project": {"ANSIBLE_ROLES_PATH": "/nonexistent"},
    "become of another project": {"ANSIBLE_BECOME_METHOD": "nonexistent"},
    "proxy": {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"},
    "shell options": {"SHELLOPTS": "noglob:noclobber:posix:allexport"},
    "more shell options": {"BASHOPTS": "failglob:nocasematch:dotglob:xpg_echo"},
    "functions": {"BASH_FUNC_cd%%": "() { echo from a function; builtin cd /; }"},
    "field separator": {"IFS": "/-"},
    "Python of another project": {"PYTHONPATH": "/nonexistent", "PYTHONHOME": "/nonexistent"},
}

REJECTED = {
    "space": "with space",
    "quote": "it's",
    "double quote": 'a"b',
    "percent sign": "100%h",
    "dollar": "a$HOME",
    "not ASCII": "münchen",
    "colon": "a:b",
    "newline": "a\nb",
    "length": "l" * 101,
}


def checkout(folder: Path) -> Path:
    """Copy what the scripts need; the virtual environment is this checkout's own."""
    folder.mkdir(parents=True)
    for part in ("lab", "inventory", "plugins", "playbooks", "roles"):
        shutil.copytree(
            role_docs.ROOT / part,
            folder / part,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__", "current"),
        )
    for part in ("Makefile", "ansible.cfg", "Vagrantfile"):
        shutil.copy(role_docs.ROOT / part, folder / part)
    (folder / ".venv").symlink_to(role_docs.ROOT / ".venv")
    (folder / "inventory/current").symlink_to("lite")
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which the profile lite is chosen, and no VM is there."""
    return checkout(tmp_path_factory.mktemp("lab") / "clone")


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    ours = ("HELFY_", "ANSIBLE_", "PROFILE", "PROVIDER", "MAKE", "VAGRANT", "BASH_ENV", "LC_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        command,
        cwd=folder,
        env={**env, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("variables", WORKS.values(), ids=WORKS)
def test_scripts_under_a_hostile_variable_work(clone: Path, variables: dict[str, str]) -> None:
    named = run(clone, "lab/vm", "name", "client", **variables)
    assert (named.returncode, named.stdout) == (0, "helfy-1\n"), named.stderr
    chosen = run(clone, "bash", "lab/choose", "profile", **variables)
    assert (chosen.returncode, chosen.stdout) == (0, "lite\n"), chosen.stderr


def test_status_of_a_host_that_is_stopped_says_that_it_is_unreachable(clone: Path) -> None:
    hosts = clone / "inventory/lite/hosts.yml"
    # Nobody is there, and that is known at once.
    hosts.write_text(hosts.read_text().replace("192.168.56.10", "127.0.0.9"))
    status = run(clone, "make", "status", ANSIBLE_STDOUT_CALLBACK="nonexistent")
    assert status.returncode != 0
    lines = status.stdout.splitlines()
    assert lines[0] == "helfy-1", status.stdout + status.stderr
    assert "UNREACHABLE" in lines[1]
    assert len(lines) == 2


def test_scripts_in_a_folder_open_to_all_keep_their_settings(tmp_path: Path) -> None:
    clone = checkout(tmp_path / "open")
    clone.chmod(0o777)
    named = run(clone, "lab/vm", "name", "client")
    assert (named.returncode, named.stdout, named.stderr) == (0, "helfy-1\n", "")


def test_addresses_of_the_lab_are_asked_directly(clone: Path) -> None:
    shown = run(
        clone,
        "bash",
        "-c",
        ". lab/env.sh && echo $no_proxy && echo $NO_PROXY",
        no_proxy="internal.example",
        http_proxy="http://127.0.0.1:9",
    )
    lower, upper = (set(line.split(",")) for line in shown.stdout.splitlines())
    assert lower == upper
    assert {"internal.example", "127.0.0.1", "192.168.56.10", "192.168.56.1"} <= lower


def test_scripts_before_a_profile_is_chosen_work(tmp_path: Path) -> None:
    clone = checkout(tmp_path / "new")
    (clone / "inventory/current").unlink()
    chosen = run(clone, "lab/choose", "provider", PROVIDER="lxc")
    assert (chosen.returncode, chosen.stdout) == (0, "lxc\n"), chosen.stderr


def test_files_are_made_as_under_the_usual_umask(clone: Path) -> None:
    shown = run(clone, "bash", "-c", "umask 077; . lab/env.sh; umask")
    assert shown.stdout == "0022\n"


@pytest.mark.parametrize("name", REJECTED.values(), ids=REJECTED)
@pytest.mark.parametrize(
    "command", [("make", "status"), ("make", "up"), ("lab/choose", "provider")], ids=" ".join
)
def test_scripts_in_a_path_that_tools_break_are_rejected(
    tmp_path: Path, name: str, command: tuple[str, ...]
) -> None:
    clone = tmp_path / name
    clone.mkdir()
    shutil.copytree(role_docs.ROOT / "lab", clone / "lab")
    shutil.copy(role_docs.ROOT / "Makefile", clone / "Makefile")
    rejected = run(clone, *command)
    assert rejected.returncode != 0
    assert rejected.stdout == ""
    assert "a path must be at most 100 characters long" in rejected.stderr
    assert "Clone the repository to such a path" in rejected.stderr


def test_scripts_with_a_cache_in_such_a_path_are_rejected(clone: Path, tmp_path: Path) -> None:
    rejected = run(clone, "lab/choose", "provider", HELFY_CACHE=str(tmp_path / "my cache"))
    assert rejected.returncode == 1
    assert "HELFY_CACHE=" in rejected.stderr
