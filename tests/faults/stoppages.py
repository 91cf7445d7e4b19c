"""What stops change capture until somebody lends a hand, and what goes past it."""

import json
import re
from datetime import datetime
from typing import Any, Final

from course import Course
from evidence import Result, Seen
from machine import wait_for
from outages import open_gaps
from plays import play
from stream import Stream, insert_user

TOLD_SECONDS: Final = 60.0


def told(course: Course, cause: str) -> dict[str, Any]:
    """Wait until it is said why change capture has failed; helfy check names the remedy too."""
    query = (
        "SELECT JSON_OBJECT('remedy', remedy, 'position', position) FROM capture_state"
        f" WHERE state = 'failed' AND cause = '{cause}'"
    )
    found = wait_for(
        lambda: course.machine.sql(query) or None, f"{cause} is reported", TOLD_SECONDS, 1
    )
    said: dict[str, Any] = json.loads(found[0][0])
    wait_for(
        lambda: said["remedy"] in course.machine.attempt("helfy check").stdout,
        "helfy check names the remedy",
        TOLD_SECONDS,
        1,
    )
    return said


def mend(course: Course, cause: str) -> None:
    """Do what the remedy says."""
    remedy = told(course, cause)["remedy"]
    [(name, arguments)] = re.findall(r"ansible-playbook playbooks/(\S+)\.yml(.*)$", remedy)
    done = play(name, *arguments.split())
    assert done.code == 0, done.output[-3000:]
    course.restored()


def unparseable_ddl(course: Course) -> None:
    """Alter a captured table by a statement that change capture cannot parse, and go past it."""
    course.machine.sql("ALTER TABLE users MODIFY COLUMN IF EXISTS fault_address INET6")
    mend(course, "unparseable_ddl")


def minimal_image(course: Course) -> None:
    """Change a row without its whole image, and go past it."""
    name = f"{course.mark}-minimal"
    course.machine.sql(insert_user(name))
    course.machine.sql(
        "SET SESSION binlog_row_image = MINIMAL;"
        f" UPDATE users SET email = '{name}.2@example.com' WHERE username = '{name}'"
    )
    course.note("INSERT", f"{name}@example.com")
    course.note("UPDATE", f"{name}.2@example.com")
    mend(course, "row_mismatch")


def purged_binlog(course: Course) -> None:
    """Purge the binlog that change capture has not read, and take a new snapshot."""
    machine = course.machine
    machine.run("systemctl stop kafka-connect", seconds=60)
    wait_for(
        lambda: (
            not machine.sql(
                "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'"
                " AND user LIKE 'helfy_capture%'"
            )
        ),
        "nobody reads the binlog for change capture",
    )
    machine.sql("FLUSH BINARY LOGS")
    [[newest, *_]] = machine.sql("SHOW MASTER STATUS")
    machine.run("systemctl stop helfy-binlog-guard")
    try:
        machine.sql(f"PURGE BINARY LOGS TO '{newest}'")
    finally:
        machine.run("systemctl start helfy-binlog-guard kafka-connect")
    mend(course, "binlog_purged")


def statement_format(course: Course) -> None:
    """Change a row by a statement that is logged as such: it has no line."""
    name = f"{course.mark}-statement"
    course.machine.sql(insert_user(name))
    Stream(course.machine, course.machine, course.mark).settled()
    course.machine.sql(
        "SET SESSION binlog_format = STATEMENT;"
        f" UPDATE users SET email = '{name}.2@example.com' WHERE username = '{name}'"
    )
    course.note("INSERT", f"{name}@example.com")
    course.note("UPDATE", f"{name}.2@example.com")


def check_span(course: Course, result: Result, _seen: Seen) -> None:
    """All that is lost lies in a gap that is announced."""
    gaps: list[dict[str, Any]] = []

    def announced() -> bool:
        gaps[:] = open_gaps(course)
        return bool(gaps)

    wait_for(announced, "the gap is announced", TOLD_SECONDS, 1)
    spans = [
        tuple(datetime.fromisoformat(gap[end]).timestamp() for end in ("startsAt", "endsAt"))
        for gap in gaps
        if gap["startsAt"] and gap["endsAt"]
    ]
    at = {change.key: change.at for change in course.committed}
    lost = [moment for key in result.lost if (moment := at[key]) is not None]
    # Times of a gap are written without fractions.
    outside = [t for t in lost if not any(start - 1 <= t <= end + 1 for start, end in spans)]
    assert not outside, (outside, gaps)


def check_statement(course: Course, result: Result, _seen: Seen) -> None:
    """The one change is lost, and announced as what it is."""
    assert [key[1] for key in result.lost] == [f"{course.mark}-statement.2@example.com"]
    wait_for(
        lambda: {gap["cause"] for gap in open_gaps(course)} == {"statement_format"},
        "the gap is announced",
        TOLD_SECONDS,
        1,
    )
