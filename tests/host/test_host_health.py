"""``make status``: each part has its line, whatever the others are like."""

import os
import subprocess
import time

from machine import ROOT, Machine, wait_for
from machines import Machines, inventory

# Ten are promised on a machine that does nothing else; those that tests run on do.
IDLE_SECONDS = 30.0


def status() -> tuple[int, str, float]:
    """Run it as a user does; give exit status, output and seconds."""
    begun = time.monotonic()
    environment = {**os.environ, "HELFY_INVENTORY": str(inventory())}
    done = subprocess.run(
        [str(ROOT / "lab/status")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr, time.monotonic() - begun


def line_of(part: str, said: str) -> str:
    """Give the one line of a part."""
    [line] = [line for line in said.splitlines() if line[8:].strip().startswith(part)]
    return line


PARTS = {
    "mariadb": ["mariadb"],
    "kafka": ["kafka  "],
    "debezium": ["kafka-connect", "change stream"],
    "consumer": ["consumer"],
    "client": ["nginx"],
}


def test_a_healthy_lab_is_well_in_every_line_and_soon(all_of_them: Machines) -> None:
    wait_for(lambda: status()[0] == 0, "every part well", 90, 2)
    code, said, seconds = status()
    assert code == 0, said
    assert "unwell" not in said
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert seconds < IDLE_SECONDS * busy, f"{seconds:.1f} s at a load of {busy:.1f} per core"
    for group, parts in PARTS.items():
        for machine in all_of_them.of(group):
            assert machine.name in said
            for part in parts:
                assert "well" in line_of(part, said), said
    for machine in all_of_them.of("api"):
        for unit in machine.api_units:
            port = unit.partition("@")[2].removesuffix(".service")
            assert "ready; change stream ok" in line_of(f"API on port {port}", said)


def test_what_is_stopped_is_named_and_the_others_are_still_asked(client_machine: Machine) -> None:
    client_machine.run("systemctl stop nginx helfy-consumer")
    try:
        code, said, _ = status()
    finally:
        client_machine.run("systemctl start nginx helfy-consumer", seconds=120)
    assert code != 0
    assert "unwell" in line_of("nginx", said)
    assert "make logs UNIT=nginx" in line_of("nginx", said)
    assert "the unit is inactive" in line_of("consumer", said)
    assert line_of("mariadb", said).strip().startswith("well")
    assert line_of("change stream", said).strip().startswith("well")
    wait_for(lambda: status()[0] == 0, "every part well again", 60, 1)
