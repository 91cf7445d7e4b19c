"""The journal: on disk, soon, and whole."""

import subprocess
import uuid

import pytest
from machine import ROOT, Machine

LINE_BYTES = 400_000
FLOOD = 100_000
LIMIT_LINES = 5000
NOISE_MB = 60


def test_a_long_line_arrives_whole_and_stays(machine: Machine) -> None:
    mark = f"helfy-test-{uuid.uuid4().hex[:8]}"
    line = "x" * LINE_BYTES
    # Asked of the folder that outlives a boot.
    script = (
        f"systemd-cat -t {mark} && journalctl --sync && "
        f"journalctl --directory=/var/log/journal -q -a -o cat -t {mark}"
    )
    assert machine.run(script, f"{line}\n").splitlines() == [line]


def test_who_logs_in_reads_the_record_without_more_rights(consumer_machine: Machine) -> None:
    command = "journalctl -q --no-pager -n 1 -o cat -u helfy-consumer"
    assert consumer_machine.run(command, root=False).strip()


def test_the_consumer_may_lose_no_line(consumer_machine: Machine) -> None:
    shown = consumer_machine.run(
        "systemctl show --property=LogRateLimitIntervalUSec helfy-consumer"
    )
    limit = shown.strip()
    # More in a second than journald lets through in half a minute, wherever its limit stands.
    unit = f"flood-{uuid.uuid4().hex[:8]}"
    consumer_machine.run(
        f"systemd-run --quiet --wait --unit={unit} "
        f"--property=LogRateLimitIntervalSec={limit.partition('=')[2]}"
        # journald reads a unit's limit with its first line, and not where the unit has ended.
        f" sh -c 'echo first; sleep 1; seq {FLOOD}'"
    )
    consumer_machine.run("journalctl --sync")
    found = consumer_machine.run(f"journalctl -q --no-pager -o cat -u {unit} | grep -cx '[0-9]*'")
    assert int(found) == FLOOD


def test_another_unit_cannot_flood_the_journal_of_the_record(consumer_machine: Machine) -> None:
    unit = f"flood-{uuid.uuid4().hex[:8]}"
    consumer_machine.run(f"systemd-run --quiet --wait --unit={unit} seq {FLOOD}")
    consumer_machine.run("journalctl --sync")
    found = consumer_machine.run(f"journalctl -q --no-pager -o cat -u {unit} | grep -cx '[0-9]*'")
    # journald multiplies the limit by up to six where much of the disk is free.
    assert 0 < int(found) <= 6 * LIMIT_LINES


@pytest.mark.parametrize("unit", ["nginx", "helfy-api@*"])
def test_lines_of_requests_take_no_room_of_the_record(
    api_machine: Machine, client_machine: Machine, unit: str
) -> None:
    machine = client_machine if unit == "nginx" else api_machine
    shown = machine.run(f"systemctl show --property=LogNamespace --value '{unit}'").split()
    assert set(shown) == {"helfy"}
    assert machine.run(f"journalctl --namespace=helfy -q -o cat -n 1 -u '{unit}'").strip()

    def sizes() -> dict[str, int]:
        said = machine.run(
            "cd /var/log/journal && du -sB1 $(cat /etc/machine-id) $(cat /etc/machine-id).helfy"
        )
        counts = {name: int(size) for size, name in map(str.split, said.splitlines())}
        return {("helfy" if "." in name else "record"): size for name, size in counts.items()}

    record = "journalctl -q --no-pager -o cat -u helfy-consumer | head -n 1"
    before, first = sizes(), machine.run(record)
    machine.run(
        "systemd-run --quiet --wait --property=LogNamespace=helfy"
        " --property=LogRateLimitIntervalSec=1us"
        f" sh -c 'head -c {NOISE_MB}M /dev/urandom | base64 -w 40000'",
        seconds=60,
    )
    machine.run("journalctl --namespace=helfy --sync")
    after = sizes()
    assert after["helfy"] - before["helfy"] > NOISE_MB * 500_000
    # What systemd itself says of starting it is all.
    assert after["record"] - before["record"] <= 8 * 1024**2
    assert machine.run(record) == first


def test_no_line_was_lost(machine: Machine) -> None:
    assert "helfy" not in machine.run(
        "journalctl -b -q --no-pager -o cat -u systemd-journald | grep Suppressed || true"
    )


def make_logs(machine: Machine, unit: str = "") -> subprocess.CompletedProcess[str]:
    """Run what make logs does."""
    script = (ROOT / "lab/logs").read_text(encoding="utf-8")
    return machine.attempt(f"LINES_SHOWN=1 UNIT='{unit}' bash -s", script, root=False)


def test_make_logs_shows_lines_of_each_part(consumer_machine: Machine) -> None:
    parts = make_logs(consumer_machine).stdout.split("== ")[1:]
    names = {part.partition("\n")[0] for part in parts}
    assert {"helfy-consumer"} | {
        unit.removesuffix(".service") for unit in consumer_machine.api_units
    } <= names
    assert all(part.partition("\n")[2].strip() for part in parts)


def test_make_logs_rejects_an_unknown_unit(consumer_machine: Machine) -> None:
    assert make_logs(consumer_machine, "helfy-consumer").returncode == 0
    done = make_logs(consumer_machine, "helfy-consumre")
    assert done.returncode == 1
    assert "UNIT must be a unit of this VM, got 'helfy-consumre'" in done.stderr
    assert "helfy-consumer" in done.stderr
