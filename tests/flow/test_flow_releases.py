"""A release rolled through, one that cannot start, and the way back: no request fails."""

import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
import requests
from load import Load
from machine import Machine
from plays import play, play_until
from release import copy_release

Copy = Callable[..., Path]


def links(machine: Machine) -> dict[str, str]:
    """Give the names of the releases in use and before."""
    said = machine.run("cd /opt/helfy && for l in current previous; do readlink $l || echo; done")
    current, previous = (line.rpartition("/")[2] for line in said.splitlines())
    return {"current": current, "previous": previous}


def running(machine: Machine) -> dict[str, str]:
    """Give the release that each unit of the application was started with."""
    program = """
import json, re, subprocess
shown = subprocess.run(["systemctl", "show", "-p", "Id,MainPID", "helfy-api@*", "helfy-consumer"],
                       capture_output=True, text=True, check=True).stdout
found = {}
for unit in shown.strip().split("\\n\\n"):
    facts = dict(line.split("=", 1) for line in unit.splitlines())
    environment = open(f"/proc/{facts['MainPID']}/environ").read()
    found[facts["Id"]] = re.search("PYTHONPATH=/opt/helfy/releases/([^/]+)/lib", environment)[1]
print(json.dumps(found))
"""
    return dict(machine.python(program))


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return partial(copy_release, tmp_path)


def test_a_release_is_rolled_through_and_back(
    api_machine: Machine, url: str, copy: Copy, loaded: Callable[[], AbstractContextManager[Load]]
) -> None:
    before = links(api_machine)
    try:
        with loaded() as load:
            done = play("deploy", "-e", f"helfy_release_project={copy('0.1.7777')}")
        assert done.code == 0, done.output[-4000:]
        now = links(api_machine)
        assert now["current"].startswith("0.1.7777-")
        assert now["previous"] == before["current"]
        assert requests.get(f"{url}/health/live", timeout=15).json()["release"] == now["current"]
        assert {before["current"], now["current"]} <= set(load.releases)

        broken = copy("0.1.8888", '\nraise RuntimeError("this release cannot start")\n')
        with loaded():
            done = play("deploy", "-e", f"helfy_release_project={broken}")
        assert done.code != 0
        assert "this release cannot start" in done.output, "the journal is shown"
        assert f"{now['current']} is in use again" in done.output
        assert links(api_machine) == now
        assert requests.get(f"{url}/health/live", timeout=15).json()["release"] == now["current"]

        with loaded():
            done = play("rollback")
        assert done.code == 0, done.output[-4000:]
        assert links(api_machine) == {
            "current": before["current"],
            "previous": now["current"],
        }
    finally:
        if links(api_machine)["current"] != before["current"]:
            play("rollback", "-e", f"helfy_release_version={before['current']}")
        api_machine.run("rm -rf /opt/helfy/releases/0.1.8888-*")


@pytest.mark.long
def test_a_consumer_that_cannot_start_takes_the_api_back_too(
    api_machine: Machine, copy: Copy, loaded: Callable[[], AbstractContextManager[Load]]
) -> None:
    """The API is of the new release already when it turns out."""
    before = links(api_machine)
    broken = copy(
        "0.1.8889", '\nraise RuntimeError("this consumer cannot start")\n', "consumer/supervise"
    )
    try:
        with loaded() as load:
            done = play("deploy", "-e", f"helfy_release_project={broken}")
        assert done.code != 0
        assert "this consumer cannot start" in done.output, "the journal is shown"
        assert f"{before['current']} is in use again" in done.output
        assert "The journal of helfy-consumer.service:" in done.output
        assert any(release.startswith("0.1.8889-") for release in load.releases)
        assert links(api_machine) == before
        assert set(running(api_machine).values()) == {before["current"]}
    finally:
        api_machine.run("rm -rf /opt/helfy/releases/0.1.8889-*")


@pytest.mark.long
def test_a_run_cut_off_before_the_restarts_is_mended_by_the_next(
    api_machine: Machine, url: str, copy: Copy
) -> None:
    before = links(api_machine)
    old = before["current"]
    project = f"helfy_release_project={copy('0.1.9999')}"
    try:
        play_until(
            "TASK [helfy_release : Tell whether the release is another one",
            lambda process: os.killpg(process.pid, signal.SIGKILL),
            *("site", "-e", project, "--tags", "helfy_release,helfy_api,helfy_consumer"),
        )
        new = links(api_machine)["current"]
        assert new.startswith("0.1.9999-")
        assert set(running(api_machine).values()) == {old}, "it was cut off in time"
        assert requests.get(f"{url}/health/live", timeout=15).json()["release"] == old
        done = play("site", "-e", project, "--tags", "helfy_release,helfy_api,helfy_consumer")
        assert done.code == 0, done.output[-4000:]
        assert requests.get(f"{url}/health/live", timeout=15).json()["release"] == new
        assert set(running(api_machine).values()) == {new}
        # The same, by the other playbook.
        api_machine.run(f"ln -sfn releases/{old} /opt/helfy/current")
        done = play("rollback", "-e", f"helfy_release_version={old}")
        assert done.code == 0, done.output[-4000:]
        assert set(running(api_machine).values()) == {old}
    finally:
        if set(running(api_machine).values()) != {old}:
            play("rollback", "-e", f"helfy_release_version={old}")


def test_old_releases_go_but_never_those_in_use(api_machine: Machine) -> None:
    before = links(api_machine)
    in_use = {before["current"], before["previous"]} - {""}
    here = "/opt/helfy/releases"
    api_machine.run(f"for n in 1 2 3; do mkdir {here}/0.0.$n-old && sleep 0.02; done")
    try:
        done = play(
            *("rollback", "-e", f"helfy_release_version={before['current']}"),
            *("-e", "helfy_release_keep=2"),
        )
        assert done.code == 0, done.output[-4000:]
        # The newest two, and those in use.
        assert set(api_machine.run(f"ls {here}").split()) == {"0.0.2-old", "0.0.3-old"} | in_use
    finally:
        api_machine.run(f"rm -rf {here}/0.0.?-old")


def test_going_back_to_what_is_not_there_is_refused(api_machine: Machine) -> None:
    before = links(api_machine)
    done = play("rollback", "-e", "helfy_release_version=9.9.9-none")
    assert done.code != 0
    assert "The release 9.9.9-none is not on" in done.output
    assert links(api_machine) == before
