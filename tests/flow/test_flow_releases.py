"""A release rolled through, one that cannot start, and the way back: no request fails."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import requests
from load import Load
from machine import ROOT, Machine
from machines import inventory

SECONDS = 240
Copy = Callable[[str, str], Path]


def play(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the playbooks."""
    program = Path(sys.executable).with_name("ansible-playbook")
    return subprocess.run(
        [str(program), "-i", str(inventory()), f"playbooks/{name}.yml", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        timeout=SECONDS,
    )


def links(machine: Machine) -> dict[str, str]:
    """Give the names of the releases in use and before."""
    said = machine.run("cd /opt/helfy && for l in current previous; do readlink $l || echo; done")
    current, previous = (line.rpartition("/")[2] for line in said.splitlines())
    return {"current": current, "previous": previous}


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """Copy what a release is made of: a version of its own, and more in the API's package."""

    def make(version: str, more: str) -> Path:
        project = tmp_path / version
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "app/helfy", project / "app/helfy", ignore=skip)
        shutil.copytree(ROOT / "client", project / "client")
        (project / "requirements").mkdir()
        shutil.copy(ROOT / "requirements/app.txt", project / "requirements")
        settings = (ROOT / "pyproject.toml").read_text()
        settings = re.sub(r'(?m)^version = ".*"', f'version = "{version}"', settings)
        (project / "pyproject.toml").write_text(settings)
        with (project / "app/helfy/api/__init__.py").open("a") as package:
            package.write(more)
        return project

    return make


@pytest.fixture
def loaded(
    http: requests.Session, url: str, lab_account: dict[str, str]
) -> Callable[[], AbstractContextManager[Load]]:
    """Keep the service busy for a while, and let no request of it fail."""

    @contextmanager
    def load() -> Iterator[Load]:
        with Load(url, lab_account, str(http.headers["User-Agent"])) as made:
            yield made
        print(made)
        assert made.failures == []
        assert made.answered["login"] > 5

    return load


def test_a_release_is_rolled_through_and_back(
    api_machine: Machine, url: str, copy: Copy, loaded: Callable[[], AbstractContextManager[Load]]
) -> None:
    before = links(api_machine)
    try:
        with loaded() as load:
            done = play("deploy", "-e", f"helfy_release_project={copy('0.1.7777', '')}")
        assert done.returncode == 0, done.stdout[-4000:]
        now = links(api_machine)
        assert now["current"].startswith("0.1.7777-")
        assert now["previous"] == before["current"]
        assert requests.get(f"{url}/health/live", timeout=15).json()["release"] == now["current"]
        assert {before["current"], now["current"]} <= set(load.releases)

        broken = copy("0.1.8888", '\nraise RuntimeError("this release cannot start")\n')
        with loaded():
            done = play("deploy", "-e", f"helfy_release_project={broken}")
        assert done.returncode != 0
        assert "this release cannot start" in done.stdout, "the journal is shown"
        assert f"{now['current']} is in use again" in done.stdout
        assert links(api_machine) == now
        assert requests.get(f"{url}/health/live", timeout=15).json()["release"] == now["current"]

        with loaded():
            done = play("rollback")
        assert done.returncode == 0, done.stdout[-4000:]
        assert links(api_machine) == {
            "current": before["current"],
            "previous": now["current"],
        }
    finally:
        if links(api_machine)["current"] != before["current"]:
            play("rollback", "-e", f"helfy_release_version={before['current']}")
        api_machine.run("rm -rf /opt/helfy/releases/0.1.8888-*")


def test_going_back_to_what_is_not_there_is_refused(api_machine: Machine) -> None:
    before = links(api_machine)
    done = play("rollback", "-e", "helfy_release_version=9.9.9-none")
    assert done.returncode != 0
    assert "The release 9.9.9-none is not on" in done.stdout
    assert links(api_machine) == before
