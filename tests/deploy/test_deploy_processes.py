"""What a run leaves behind: processes that are too many, settings of a run cut off."""

import os
import signal
import subprocess

import pytest
import requests
from machine import Machine
from plays import play, play_until

pytestmark = pytest.mark.long

TAGS = ("--tags", "helfy_api,nginx")
ACTIVE = "systemctl list-units --plain --no-legend 'helfy-api@*.service' | cut -d' ' -f1"
ENABLED = "find /etc/systemd/system/helfy-api.target.wants -type l -printf '%f\\n'"


def units(machine: Machine, listing: str) -> set[str]:
    """Give the names of the API's units."""
    return set(machine.run(listing).split())


def test_the_processes_that_are_not_wanted_any_more_go(api_machine: Machine, url: str) -> None:
    before = units(api_machine, ACTIVE)
    assert len(before) > 1
    try:
        fewer = play("site", *TAGS, "-e", "helfy_api_processes=1")
        assert fewer.code == 0, fewer.output[-4000:]
        first = {min(before)}
        assert (units(api_machine, ACTIVE), units(api_machine, ENABLED)) == (first, first)
        assert requests.get(f"{url}/health/ready", timeout=10).status_code == 200
        again = play("site", *TAGS, "-e", "helfy_api_processes=1")
        assert (again.code, again.changed) == (0, set())
    finally:
        back = play("site", *TAGS)
    assert back.code == 0, back.output[-4000:]
    assert (units(api_machine, ACTIVE), units(api_machine, ENABLED)) == (before, before)


def test_settings_that_a_cut_off_run_wrote_are_taken_up(consumer_machine: Machine) -> None:
    since = "systemctl show --property=ExecMainStartTimestampMonotonic --value helfy-consumer"
    before = int(consumer_machine.run(since))
    tags = ("--tags", "helfy_consumer")

    def cut_off(process: "subprocess.Popen[str]") -> None:
        os.killpg(process.pid, signal.SIGKILL)

    change = ("-e", "helfy_consumer_max_value_bytes=32000")
    try:
        # The task after the one that writes the settings.
        after = "TASK [helfy_consumer : Install the unit]"
        play_until(after, cut_off, "site", *tags, *change)
        consumer_machine.run("grep -x 'max_value_bytes = 32000' /etc/helfy/consumer.toml")
        assert int(consumer_machine.run(since)) == before
        done = play("site", *tags, *change)
        assert done.code == 0, done.output[-4000:]
        assert "helfy_consumer : Restart the consumer" in done.changed
        assert int(consumer_machine.run(since)) > before
    finally:
        back = play("site", *tags)
    assert back.code == 0, back.output[-4000:]
