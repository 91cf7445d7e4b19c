"""The machines start anew, and nobody has to lend a hand. The last test of the flow."""

import subprocess
import time
from collections.abc import Callable

import requests
from machine import Machine, wait_for
from machines import Machines
from stream import Stream, insert_user, once_each, types

BACK_SECONDS = 120.0


def up(machine: Machine, since: float) -> bool:
    """Whether the machine was started after it was told to, and all its units are there."""
    try:
        said = machine.attempt(
            "ps -o etimes= -p 1; systemctl is-system-running", seconds=10
        ).stdout.split()
    except subprocess.TimeoutExpired:
        return False
    return len(said) == 2 and int(said[0]) < time.monotonic() - since and said[1] == "running"


def test_after_a_reboot_all_is_back_by_itself(
    login: Callable[[], requests.Response],
    http: requests.Session,
    url: str,
    stream: Stream,
    all_of_them: Machines,
) -> None:
    before, after = stream.person("before-boot"), stream.person("after-boot")
    token = login().json()["token"]
    stream.database.sql(insert_user(before))
    stream.database.sql(f"UPDATE users SET role = 'admin' WHERE username = '{before}'")
    stream.settled()
    stream.database.sql(f"UPDATE users SET status = 'disabled' WHERE username = '{before}'")

    machines = list(all_of_them.by_name.values())
    begun = time.monotonic()
    for machine in machines:
        machine.attempt("systemctl reboot")
        machine.hang_up()
    left = BACK_SECONDS
    for machine in machines:
        wait_for(lambda it=machine: up(it, begun), f"{machine.name} is up", left)  # type: ignore[misc]
        left = BACK_SECONDS - (time.monotonic() - begun)

    def ready() -> bool:
        try:
            answer = requests.get(f"{url}/health/ready", timeout=5)
        except requests.RequestException:
            return False
        return answer.status_code == 200 and answer.json()["changeStream"] == "ok"

    wait_for(ready, "logins and the stream of changes", left)
    seen = http.get(f"{url}/profile", headers={"x-auth-token": token}, timeout=15)
    assert seen.status_code == 200, "sessions outlive a reboot"
    stream.database.sql(insert_user(after))
    assert types(once_each(stream.of(after))) == ["INSERT"]
    assert types(once_each(stream.of(before))) == ["INSERT", "UPDATE", "UPDATE"]


def test_no_unit_failed_on_the_way(machine: Machine) -> None:
    assert machine.run("systemctl list-units --failed --no-legend --plain --no-pager") == ""
