"""The API's processes: one that is killed is not missed, and comes back."""

import time

import pytest
import requests
from machine import Machine, wait_for

BACK_WITHIN = 15.0


def main_pid(machine: Machine, unit: str) -> int:
    return int(machine.run(f"systemctl show --property=MainPID --value '{unit}'"))


def ready(machine: Machine, unit: str) -> bool:
    """Whether the process itself answers, not another one by way of nginx."""
    port = unit.partition("@")[2].partition(".")[0]
    program = f"""
import json, urllib.request
address = "http://{machine.vars["helfy_api_listen_address"]}:{port}/health/ready"
try:
    print(json.dumps(urllib.request.urlopen(address, timeout=3).status == 200))
except OSError:
    print("false")
"""
    return bool(machine.python(program))


def test_a_killed_process_is_not_missed_and_comes_back(api_machine: Machine, url: str) -> None:
    units = api_machine.api_units
    if len(units) < 2:
        pytest.skip("there is no other process to go on")
    for unit in units:
        wait_for(lambda unit=unit: ready(api_machine, unit), f"{unit} before it is killed")  # type: ignore[misc]
    victim = units[0]
    old = main_pid(api_machine, victim)
    with requests.Session() as session:
        api_machine.run(f"systemctl kill --kill-whom=main --signal=KILL '{victim}'")
        begun = time.monotonic()
        statuses = []
        while time.monotonic() - begun < BACK_WITHIN:
            statuses.append(session.get(f"{url}/health/live", timeout=10).status_code)
            statuses.append(session.get(f"{url}/profile", timeout=10).status_code)
            if len(statuses) % 20 == 0 and main_pid(api_machine, victim) not in (0, old):
                break
    assert set(statuses) == {200, 401}, "somebody was turned away"
    left = BACK_WITHIN - (time.monotonic() - begun)
    wait_for(lambda: ready(api_machine, victim) or None, f"{victim} answers again", left)
    assert main_pid(api_machine, victim) != old


def test_the_other_is_asked_at_once_for_a_login(
    api_machine: Machine, url: str, http: requests.Session, lab_account: dict[str, str]
) -> None:
    """A login may not be sent twice: nginx must not lose one to a process that is gone."""
    units = api_machine.api_units
    if len(units) < 2:
        pytest.skip("there is no other process to go on")
    body = {"usernameOrEmail": lab_account["username"], "password": lab_account["password"]}
    victim = main_pid(api_machine, units[0])
    # Gone it has to be: what comes between the signal and the end may have been asked, or not.
    api_machine.run(
        f"systemctl kill --kill-whom=main --signal=KILL '{units[0]}'"
        f" && timeout 5 tail --pid={victim} --sleep-interval=0.02 -f /dev/null"
    )
    statuses = [http.post(f"{url}/login", json=body, timeout=15).status_code for _ in range(4)]
    assert statuses == [200] * 4
    wait_for(lambda: ready(api_machine, units[0]) or None, f"{units[0]} answers again", 15)
