"""The units: enabled, running, closed off, and small enough together."""

import re

from machine import Machine
from unit_memory import unit_memory

GOAL_BYTES = 1_300_000_000


def expected_units(machine: Machine) -> list[str]:
    """What has to run on a machine, by its groups."""
    units = {
        "mariadb": ["mariadb.service"],
        "kafka": ["kafka.service"],
        "debezium": ["kafka-connect.service", "kafka-connect-watchdog.service"],
        "api": ["helfy-api.target", *machine.api_units],
        "consumer": ["helfy-consumer.service"],
        "client": ["nginx.service"],
    }
    return [unit for group, those in units.items() if group in machine.groups for unit in those]


def test_every_unit_is_enabled_and_runs(machine: Machine) -> None:
    for unit in expected_units(machine):
        service = machine.testinfra.service(unit)
        assert service.is_enabled, unit
        assert service.is_running, unit


def test_no_unit_failed(machine: Machine) -> None:
    assert machine.run("systemctl list-units --failed --no-legend --plain --no-pager") == ""


def test_the_machine_finished_booting(machine: Machine) -> None:
    assert machine.attempt("systemctl is-system-running").stdout.strip() == "running"


def test_no_unit_is_started_over_and_over(machine: Machine) -> None:
    shown = "systemctl show --property=Id,NRestarts "
    for unit in expected_units(machine):
        restarts = re.search(r"NRestarts=(\d+)", machine.run(shown + unit))
        # The other tests kill processes, so a few are in order.
        assert restarts is None or int(restarts[1]) < 20, unit


def test_nothing_of_ours_runs_as_root(machine: Machine) -> None:
    program = r"""
import glob, json, os, re
found = {}
for path in glob.glob("/proc/[0-9]*/cgroup"):
    try:
        units = re.findall(r"([^/\n]+\.service)", open(path).read())
        user = os.stat(os.path.dirname(path)).st_uid
        name = open(os.path.dirname(path) + "/cmdline").read().split("\0")[0]
    except OSError:
        continue
    if units:
        found.setdefault(units[-1], []).append([user, name])
print(json.dumps(found))
"""
    running = machine.python(program)
    for unit in expected_units(machine):
        if unit.endswith(".service"):
            assert running.get(unit), unit
            # The master of nginx opens its port and forks; its workers serve.
            users = [user for user, name in running[unit] if "nginx: master" not in name]
            assert users, unit
            assert 0 not in users, f"{unit}: {running[unit]}"


def test_all_services_together_are_small(machine: Machine) -> None:
    """PSS, since MemoryCurrent counts page cache and RSS counts shared pages more than once."""
    used = unit_memory(machine)
    total = sum(memory.pss for memory in used.values())
    assert total <= GOAL_BYTES, "\n".join(f"{k} {v.pss // 10**6} MB" for k, v in used.items())
