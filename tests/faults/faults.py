"""The faults, in the order of the table in docs/reliability.md."""

import hashlib
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from course import TABLE, Course, lines_of
from evidence import Result, Seen
from machine import MachineError, wait_for

AWAY_SECONDS: Final = 60.0
BOOT_SECONDS: Final = 60.0
MANY_ROWS: Final = 20_000
LARGE_BYTES: Final = 1_000_000
OFFSETS: Final = "/var/lib/kafka-connect/offsets"
# How requests may fail where nothing takes them in: each at once, but one at the moment itself.
NOBODY_THERE: Final = frozenset({"refused", "cut off", "unreachable"})
ANSWERED: Final = frozenset({"503"})
HUGE_BYTES: Final = 7 * 1024**2
DEEP: Final = 20_000
POISON: Final[dict[str, str | None]] = {
    "garbage": "\udc80\udcff\x00\x01garbage\udcfe",
    "wrong JSON": '{"op":"u","source":{"db":"helfy","table":"users"},"before":7}',
    "JSON of no kind": '["tidb_changes"]',
    "huge": "x" * HUGE_BYTES,
    "deep": "[" * DEEP + "]" * DEEP,
    "null": None,
}


def _nothing(_course: Course, _result: Result, _seen: Seen) -> None:
    """Check no more than of every fault."""


@dataclass(frozen=True)
class Fault:
    """``act`` does it; ``check`` looks at what is special about it.

    ``fails`` are the ways in which a request may fail meanwhile. Where changes may be lost
    (``lossy``), check says which and how the system tells.
    """

    title: str
    act: Callable[[Course], None]
    fails: frozenset[str] = frozenset()
    check: Callable[[Course, Result, Seen], None] = _nothing
    lossy: bool = False


def killed(unit: str) -> Callable[[Course], None]:
    """Kill all processes of a unit."""

    def act(course: Course) -> None:
        course.machine.run(f"systemctl kill --kill-whom=all --signal=KILL {unit}")

    return act


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


def poisoned(course: Course) -> None:
    """Put records into the topic that are no changes."""
    given = {
        "servers": course.machine.vars["kafka_bootstrap_servers"],
        "topic": course.machine.vars["kafka_topic"],
        "values": list(POISON.values()),
    }
    course.machine.python(
        "import json, sys, kafka\n"
        "given = json.load(sys.stdin)\n"
        "producer = kafka.KafkaProducer(bootstrap_servers=given['servers'],"
        " max_request_size=8 * 1024**2)\n"
        "for value in given['values']:\n"
        "    raw = None if value is None else value.encode('utf-8', 'surrogateescape')\n"
        "    producer.send(given['topic'], key=b'poison', value=raw).get(timeout=30)\n"
        "producer.close()\n"
        "print('null')\n",
        given,
    )


def check_poison(_course: Course, _result: Result, seen: Seen) -> None:
    """Each has a line with its hash, but for the null, which is a tombstone."""
    told = {line["sha256"] for line in lines_of(seen, "undecodable")}
    for name, value in POISON.items():
        if value is not None:
            raw = value.encode("utf-8", "surrogateescape")
            assert hashlib.sha256(raw).hexdigest() in told, name
    assert len(told) == len(POISON) - 1


def _make_table(course: Course) -> None:
    course.machine.sql(
        f"CREATE TABLE {TABLE} (id BIGINT PRIMARY KEY, note VARCHAR(64) NOT NULL, body LONGTEXT)"
    )


def many_rows(course: Course) -> None:
    """Commit one transaction of many rows."""
    _make_table(course)
    course.restored()
    course.machine.sql(
        f"INSERT INTO {TABLE} SELECT seq, CONCAT('{course.mark}-many.', seq), REPEAT('x', 100)"
        f" FROM seq_1_to_{MANY_ROWS}"
    )
    course.note("INSERT", *(f"{course.mark}-many.{row}" for row in range(1, MANY_ROWS + 1)))


def large_row(course: Course) -> None:
    """Insert, update and delete a row with a large value."""
    _make_table(course)
    course.restored()
    for kind, statement in (
        ("INSERT", f"INSERT INTO {TABLE} VALUES (1, '{{note}}', REPEAT('a', {LARGE_BYTES}))"),
        ("UPDATE", f"UPDATE {TABLE} SET note = '{{note}}', body = REPEAT('b', {LARGE_BYTES})"),
        ("DELETE", f"DELETE FROM {TABLE} WHERE id = 1"),
    ):
        note = f"{course.mark}-large.{'INSERT' if kind == 'INSERT' else 'UPDATE'}"
        course.machine.sql(statement.format(note=note))
        course.note(kind, note)


def check_large(course: Course, _result: Result, seen: Seen) -> None:
    """The lines tell the size and the hash of the value."""
    for kind, letter, note in (
        ("INSERT", "a", "INSERT"),
        ("UPDATE", "b", "UPDATE"),
        ("DELETE", "b", "UPDATE"),
    ):
        line = seen.rows[kind, f"{course.mark}-large.{note}"]
        assert line["change"]["data"]["body"] == {
            "truncated": True,
            "bytes": LARGE_BYTES,
            "sha256": hashlib.sha256(letter.encode() * LARGE_BYTES).hexdigest(),
        }


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


FAULTS: Final = (
    Fault("MariaDB: `kill -9`", killed("mariadb"), ANSWERED),
    Fault("MariaDB: restarted", mariadb_restarted, ANSWERED),
    Fault("Kafka: `kill -9`", killed("kafka")),
    Fault("Kafka: away for 60 s", kafka_away),
    Fault("Kafka Connect: `kill -9`", killed("kafka-connect")),
    Fault("first API process: `kill -9`", api_killed(0), ANSWERED),
    Fault("second API process: `kill -9`", api_killed(1), ANSWERED),
    Fault("consumer: `kill -9`", killed("helfy-consumer")),
    Fault("nginx: `kill -9`", killed("nginx"), NOBODY_THERE),
    Fault("the VM: killed and started", vm_killed, NOBODY_THERE | ANSWERED | {"no answer"}),
    Fault("poison records in the topic", poisoned, check=check_poison),
    Fault("a transaction of 20,000 rows", many_rows),
    Fault("a row of 1 MB", large_row, check=check_large),
    Fault("Connect's offsets lost", offsets_lost, check=check_offsets, lossy=True),
)
