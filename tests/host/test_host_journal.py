"""The journal: on disk, soon, and whole."""

import uuid

from machine import Machine

LINE_BYTES = 400_000
FLOOD = 100_000


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
        f"--property=LogRateLimitIntervalSec={limit.partition('=')[2]} seq {FLOOD}"
    )
    consumer_machine.run("journalctl --sync")
    found = consumer_machine.run(f"journalctl -q --no-pager -o cat -u {unit} | grep -cx '[0-9]*'")
    assert int(found) == FLOOD


def test_no_line_was_lost(machine: Machine) -> None:
    assert "helfy" not in machine.run(
        "journalctl -b -q --no-pager -o cat -u systemd-journald | grep Suppressed || true"
    )
