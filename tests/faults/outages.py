"""Faults of the parts: killed, stopped, restarted, and what they keep lost."""

import json
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from course import Course, lines_of
from evidence import Result, Seen
from machine import ROOT, MachineError, wait_for
from stream import Stream

IDLE_SECONDS: Final = 30.0
AWAY_SECONDS: Final = 60.0
BOOT_SECONDS: Final = 60.0
GAP_SECONDS: Final = 60.0
JOURNAL: Final = "/var/log/journal"
FULL_MB: Final = 16
TOLD_SECONDS: Final = 60.0
UNREAD_SECONDS: Final = 5.0
HEALTH: Final = (
    "/opt/helfy/current/bin/helfy-run helfy.stream_health --config /etc/helfy/consumer.toml"
    " --password-file /etc/helfy/credentials/kafka_consumer"
)
OFFSETS: Final = "/var/lib/kafka-connect/offsets"


def killed(unit: str) -> Callable[[Course], None]:
    """Kill all processes of a unit."""

    def act(course: Course) -> None:
        course.machine.run(f"systemctl kill --kill-whom=all --signal=KILL {unit}")

    return act


def connect_killed_when_idle(course: Course) -> None:
    """Let nothing happen for a while, kill Kafka Connect, and go on at once.

    Debezium counts the server's heartbeats meanwhile, and would skip as many changes.
    """
    course.load.hold()
    course.stop_writer()
    time.sleep(IDLE_SECONDS)
    course.restored()
    killed("kafka-connect")(course)
    course.start_writer()
    course.load.go()


def api_killed(index: int) -> Callable[[Course], None]:
    """Kill one process of the API."""
    return lambda course: killed(course.machine.api_units[index])(course)


def kafka_away(course: Course) -> None:
    """Stop the broker for a while."""
    course.machine.run("systemctl stop kafka", seconds=90)
    try:
        time.sleep(AWAY_SECONDS)
    finally:
        course.restored()
        course.machine.run("systemctl start kafka")


def mariadb_restarted(course: Course) -> None:
    """Restart the database."""
    course.machine.run("systemctl restart mariadb", seconds=90)
    course.restored()


def vm_killed(course: Course) -> None:
    """Kill every process of the machine at once, and start it."""
    machine = course.machine
    if not Path("/var/lib/lxc", machine.name).exists():
        raise MachineError(f"{machine.name} is no LXC machine of this host: this fault needs one")
    subprocess.run(["sudo", "lxc-stop", "-k", "-n", machine.name], check=True, timeout=60)
    machine.hang_up()
    course.restored_here = time.time()
    subprocess.run(["sudo", "lxc-start", "-n", machine.name], check=True, timeout=60)

    def up() -> bool:
        try:
            return machine.attempt("true", seconds=8).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    wait_for(up, f"{machine.name} is up", BOOT_SECONDS, 0.5)
    # The machine's own clock, as of the moment when it was started.
    course.restored_at = course.now() - (time.time() - course.restored_here)
    course.start_writer()


def journal_full_and_vm_killed(course: Course) -> None:
    """Let the journal's disk be full, look what is said of it, and kill and start the VM."""
    machine = course.machine
    machine.run(
        f"mount -t tmpfs -o size={FULL_MB}M tmpfs {JOURNAL}"
        f" && head -c 1G /dev/zero > {JOURNAL}/filler; systemctl restart systemd-journald"
    )
    wait_for(
        lambda: journal_told(machine.attempt(HEALTH).stderr),
        "the consumer's health says that the journal is not persistent",
        TOLD_SECONDS,
        1.0,
    )
    program = (ROOT / "roles/common/files/machine_health.py").read_text(encoding="utf-8")
    assert journal_told(machine.attempt("python3 -", program).stderr)
    wait_for(
        lambda: journal_told(machine.attempt("helfy check").stdout),
        "helfy check says it",
        TOLD_SECONDS,
        1.0,
    )
    vm_killed(course)


def journal_told(text: str) -> bool:
    """Say whether a text names the fault of the journal, with where it is and the remedy."""
    return all(word in text for word in ("not persistent", JOURNAL, "journalctl --flush"))


def topic_recreated(course: Course) -> None:
    """Delete the topic with records that the consumer has not read, and create it anew."""
    machine = course.machine
    topic = machine.vars["kafka_topic"]
    course.load.hold()
    course.stop_writer()
    Stream(machine, machine, course.mark).settled()
    machine.run("systemctl stop helfy-consumer", seconds=60)
    course.begun_at = course.now()
    course.start_writer()
    time.sleep(UNREAD_SECONDS)
    course.stop_writer()
    told = machine.run(f"kafka-topics --describe --topic {topic}").splitlines()[0]
    partitions = re.findall(r"PartitionCount:\s*(\d+)", told)[0]
    settings = re.findall(r"Configs:\s*(\S+)", told)[0].split(",")
    # Change capture has sent all of it by now: it would send the rest to the new topic.
    time.sleep(UNREAD_SECONDS)
    machine.run(
        f"kafka-topics --delete --topic {topic} && kafka-topics --create --topic {topic}"
        f" --partitions {partitions} --replication-factor 1 "
        + " ".join(f"--config {shlex.quote(each)}" for each in settings),
        seconds=60,
    )
    course.restored()
    machine.run("systemctl start helfy-consumer", seconds=60)
    course.start_writer()
    course.load.go()


def check_topic(course: Course, result: Result, seen: Seen) -> None:
    """What is lost was committed while the consumer was stopped, and lines say so."""
    at = {change.key: change.at for change in course.committed}
    lost = [at[key] for key in result.lost]
    assert lost
    assert all(time is None or course.begun_at - 1 < time < course.restored_at for time in lost)
    told = lines_of(seen, "records_lost")
    assert told, "no line says that records are lost"
    for line in told:
        assert (line["level"], line["cause"]) == ("error", "topic_recreated")
        assert line["from"] > 0


def offsets_lost(course: Course) -> None:
    """Remove the file in which Kafka Connect keeps how far it has read."""
    course.machine.run(
        "systemctl kill --kill-whom=all --signal=KILL kafka-connect"
        f" && rm {OFFSETS} && test ! -e {OFFSETS}"
    )


def check_offsets(course: Course, result: Result, seen: Seen) -> None:
    """What is lost was committed while change capture was away, and a line says between what."""
    at = {change.key: change.at for change in course.committed}
    lost = [at[key] for key in result.lost]
    assert all(time is None or time > course.begun_at - 1 for time in lost)
    told = lines_of(seen, "snapshot_taken")
    assert told, "no line says that changes may be missing"
    assert told[0]["level"] == "error"
    assert all(line["snapshotAt"] for line in told), json.dumps(told)
    assert any(line["lastChangeAt"] for line in told), json.dumps(told)
    assert any(kind == "SNAPSHOT" for kind, _ in seen.ids)
    check_gap(course, [time for time in lost if time is not None])


def check_gap(course: Course, lost: list[float]) -> None:
    """A gap that has these times (Unix seconds) is announced, and gone when acknowledged."""
    gaps: list[dict[str, Any]] = []

    def announced() -> bool:
        gaps[:] = open_gaps(course)
        return bool(gaps)

    wait_for(announced, "the gap is announced", GAP_SECONDS, 1)
    assert {gap["cause"] for gap in gaps} == {"snapshot"}
    spans = [[datetime.fromisoformat(gap[end]) for end in ("startsAt", "endsAt")] for gap in gaps]
    for time_lost in lost:
        # Times of a gap are written without fractions.
        assert any(start.timestamp() <= time_lost <= end.timestamp() + 1 for start, end in spans), (
            f"committed at {time_lost}, and in no gap: {gaps}"
        )
    checked = course.machine.attempt("helfy check --json")
    assert f"helfy gaps acknowledge {gaps[0]['id']}" in checked.stdout
    acknowledge_gaps(course)
    assert open_gaps(course) == []
    assert "helfy gaps acknowledge" not in course.machine.attempt("helfy check --json").stdout


def open_gaps(course: Course) -> list[dict[str, Any]]:
    """Give the gaps of the record that nobody acknowledged."""
    found: list[dict[str, Any]] = json.loads(course.machine.run("helfy gaps --open --json"))
    return found


def acknowledge_gaps(course: Course) -> None:
    """Acknowledge all of them, so that what comes after is not told of them."""
    if ids := [str(gap["id"]) for gap in open_gaps(course)]:
        course.machine.run(f"helfy gaps acknowledge {' '.join(ids)}")
