"""Faults of what comes along the way: records that are no changes, many rows and large ones."""

import hashlib
from typing import Final

from course import TABLE, Course, lines_of
from evidence import Result, Seen
from kafka_login import kafka_login
from machine import wait_for

MANY_ROWS: Final = 20_000
LARGE_BYTES: Final = 1_000_000
# The watchdog looks every 15 s.
TOLD_SECONDS: Final = 60.0
RAISED_BYTES: Final = 32 * 1024**2
CONNECTOR: Final = "/etc/kafka-connect/connector.properties"
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


def poisoned(course: Course) -> None:
    """Put records into the topic that are no changes."""
    given = {
        "servers": course.machine.vars["kafka_bootstrap_servers"],
        "topic": course.machine.vars["kafka_topic"],
        "login": kafka_login(course.machine),
        "values": list(POISON.values()),
    }
    course.machine.python(
        "import json, sys, kafka\n"
        "given = json.load(sys.stdin)\n"
        "producer = kafka.KafkaProducer(bootstrap_servers=given['servers'],"
        " max_request_size=8 * 1024**2, **given['login'])\n"
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
        f"CREATE TABLE {TABLE} (id BIGINT PRIMARY KEY, note VARCHAR(64) NOT NULL,"
        " body LONGTEXT, more LONGTEXT)"
    )


def many_rows(course: Course) -> None:
    """Commit one transaction of many rows."""
    _make_table(course)
    course.restored()
    course.machine.sql(
        f"INSERT INTO {TABLE} (id, note, body) SELECT seq,"
        f" CONCAT('{course.mark}-many.', seq), REPEAT('x', 100) FROM seq_1_to_{MANY_ROWS}"
    )
    course.note("INSERT", *(f"{course.mark}-many.{row}" for row in range(1, MANY_ROWS + 1)))


def large_row(course: Course) -> None:
    """Insert, update and delete a row with a large value."""
    _make_table(course)
    course.restored()
    for kind, statement in (
        ("INSERT", f"INSERT INTO {TABLE} VALUES (1, '{{note}}', REPEAT('a', {LARGE_BYTES}), NULL)"),
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


def too_large_row(course: Course) -> None:
    """Put a row together whose record change capture cannot send, and lend a hand as documented.

    It takes two values of control characters, which are six bytes each in JSON: the database
    refuses what is larger at once.
    """
    machine, value = course.machine, f"REPEAT(CHAR(1), {LARGE_BYTES})"
    _make_table(course)
    since, notes = course.now(), [f"{course.mark}-row.{number}" for number in range(2)]
    machine.sql(f"INSERT INTO {TABLE} VALUES (1, '{notes[0]}', {value}, NULL)")
    machine.sql(f"UPDATE {TABLE} SET note = '{notes[1]}', more = {value}")
    course.note("INSERT", notes[0])
    course.note("UPDATE", notes[1])
    said = f"journalctl -q --no-pager -o cat -u kafka-connect-watchdog --since=@{since}"
    wait_for(
        lambda: '"cause": "record_too_large"' in machine.run(said),
        "the watchdog says which record is too large",
        TOLD_SECONDS,
        2.0,
    )
    limit_records(course, RAISED_BYTES)
    machine.run("systemctl restart kafka-connect", seconds=90)
    course.restored()


def limit_records(course: Course, limit: int) -> None:
    """Set how large a record may be, in bytes, as the roles would."""
    course.machine.run(
        f"sed -i 's/^\\(producer.override.max.request.size=\\).*/\\1{limit}/' {CONNECTOR}"
        f" && kafka-configs --alter --entity-type topics"
        f" --entity-name {course.machine.vars['kafka_topic']}"
        f" --add-config max.message.bytes={limit}"
    )


def limit_again(course: Course) -> None:
    """Undo too_large_row's hand."""
    limit_records(course, int(course.machine.vars["debezium_message_max_bytes"]))
