"""Ansible's module that finds a transaction in MariaDB's binlog."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-untyped]

DOCUMENTATION = """
module: mariadb_transaction
short_description: A transaction in the binlog
description:
  - Changes nothing. Reads the binlog by SQL, as the account that runs it, by the socket.
  - What a statement says is not returned, since it may hold secrets.
options:
  file: {type: str, required: true, description: The binlog's file to begin with.}
  after: {type: str, default: "", description: GTIDs, with commas, that come before it.}
  gtid: {type: str, default: "", description: The transaction; without it they are listed.}
  database: {type: str, required: true, description: The database of the tables.}
  tables: {type: list, elements: str, required: true, description: The tables.}
"""

BATCH = 5000
MOST_LISTED = 20
GTID = re.compile(r"GTID (\d+)-(\d+)-(\d+)")
TABLE = re.compile(r"\(([^.()]+)\.([^()]+)\)$")
FRAME = re.compile(r"(BEGIN|COMMIT|ROLLBACK|SAVEPOINT)\b", re.IGNORECASE)


class BinlogError(Exception):
    """The binlog cannot be read; the message has no statement."""


@dataclass(frozen=True)
class Event:
    """A row of SHOW BINLOG EVENTS."""

    file: str
    kind: str
    end: int
    info: str


def events(first: str) -> Iterator[Event]:
    """Read events from the beginning of a file on. Raises BinlogError."""
    files = [row[0] for row in sql("SHOW BINARY LOGS")]
    if first not in files:
        raise BinlogError(f"{first} was purged; the binlog begins with {files[0]}")
    for file in files[files.index(first) :]:
        position = 4
        while rows := sql(f"SHOW BINLOG EVENTS IN '{file}' FROM {position} LIMIT {BATCH}"):
            for _, _, kind, _, end, info in rows:
                position = int(end)
                yield Event(file, kind, position, info)
            if len(rows) < BATCH:
                break


def sql(statement: str) -> list[list[str]]:
    """Return the rows of a statement. Raises BinlogError."""
    command = ["mariadb", "--batch", "--skip-column-names", "--execute", statement]
    done = subprocess.run(  # noqa: S603 - no shell
        command, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise BinlogError(done.stderr.strip())
    return [line.split("\t") for line in done.stdout.splitlines()]


def transactions(
    found: Iterator[Event], after: str, database: str, tables: list[str]
) -> Iterator[dict[str, object]]:
    """Return gtid, kind (rows or statement), file, and whether a captured table is concerned."""
    past = {
        domain: int(number)
        for domain, _, number in (each.split("-") for each in after.split(",") if each)
    }
    names = {(database.lower(), table.lower()) for table in tables}
    word = re.compile(rf"\b({'|'.join(map(re.escape, tables))})\b", re.IGNORECASE)
    current: dict[str, object] = {}
    for event in found:
        if event.kind == "Gtid" and (match := GTID.search(event.info)):
            if current:
                yield current
            new = int(match[3]) > past.get(match[1], -1)
            current = {"gtid": "-".join(match.groups()), "file": event.file} if new else {}
            current |= {"kind": "rows", "captured": False} if new else {}
        elif current and event.kind == "Table_map":
            table = TABLE.search(event.info)
            if table and (table[1].lower(), table[2].lower()) in names:
                current["captured"] = True
        elif current and event.kind == "Query" and not FRAME.match(event.info):
            current["kind"] = "statement"
            if word.search(event.info):
                current["captured"] = True
    if current:
        yield current


def main() -> None:
    """See DOCUMENTATION."""
    module = AnsibleModule(
        argument_spec={
            "file": {"type": "str", "required": True},
            "after": {"type": "str", "default": ""},
            "gtid": {"type": "str", "default": ""},
            "database": {"type": "str", "required": True},
            "tables": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        found = transactions(
            events(given["file"]), given["after"], given["database"], given["tables"]
        )
        named = [each for each in found if given["gtid"] in {"", each["gtid"]}]
    except BinlogError as error:
        module.fail_json(msg=f"{error}. Take a new snapshot: playbooks/capture-new-snapshot.yml.")
    if given["gtid"] and named:
        module.exit_json(changed=False, **named[0])
    listed = [f"{each['gtid']} ({each['kind']})" for each in named if each["captured"]][
        :MOST_LISTED
    ]
    module.fail_json(
        msg=f"capture_skip_gtid is '{given['gtid']}': name the transaction that change capture "
        "cannot read, -e capture_skip_gtid=DOMAIN-SERVER-NUMBER. Those of captured tables after "
        f"{given['after'] or 'the beginning'} are: {', '.join(listed) or 'none'}."
    )


if __name__ == "__main__":
    main()
