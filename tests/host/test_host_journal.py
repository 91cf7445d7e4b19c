"""The journal: on disk, soon, and whole."""

import uuid

from machine import Machine

LINE_BYTES = 400_000
FLOOD = 100_000

SYNC = r"""
import glob, json, subprocess, sys, time
# The byte of a journal file's header that says whether there is something unsynced: 1, or 0.
path = glob.glob("/var/log/journal/*/system.journal")[0]
state = lambda: open(path, "rb").read(17)[16]
subprocess.run(["systemd-cat", "-t", "helfy-test"], input=b"to be synced\n", check=True)
begun = time.monotonic()
written = synced = None
while time.monotonic() - begun < 10 and synced is None:
    now = state()
    if now == 1 and written is None:
        written = time.monotonic() - begun
    if now == 0 and written is not None:
        synced = time.monotonic() - begun
    time.sleep(0.002)
print(json.dumps([written, synced]))
"""


def test_a_long_line_arrives_whole_and_stays(machine: Machine) -> None:
    mark = f"helfy-test-{uuid.uuid4().hex[:8]}"
    line = "x" * LINE_BYTES
    # Asked of the folder that outlives a boot.
    script = (
        f"systemd-cat -t {mark} && journalctl --sync && "
        f"journalctl --directory=/var/log/journal -q -a -o cat -t {mark}"
    )
    assert machine.run(script, f"{line}\n").splitlines() == [line]


def test_what_is_written_is_on_disk_within_the_interval(machine: Machine) -> None:
    written, synced = machine.python(SYNC)
    assert written is not None, "the journal's file did not change"
    assert synced is not None, "not synced within 10 s"
    # The consumer commits an offset half a second after the interval.
    assert synced <= machine.vars["helfy_consumer_sync_interval_seconds"] + 0.5


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
