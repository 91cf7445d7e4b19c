"""Ansible's module that finds a transaction in MariaDB's binlog."""

from __future__ import annotations

import subprocess
from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-untyped]
from ansible.module_utils.binlog import (  # type: ignore[import-untyped]
    BinlogError,
    transactions,
)

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

MOST_LISTED = 20


def sql(statement: str) -> list[list[str]]:
    """Return the rows of a statement. Raises BinlogError."""
    command = ["mariadb", "--batch", "--skip-column-names", "--execute", statement]
    done = subprocess.run(  # noqa: S603 - no shell
        command, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise BinlogError(done.stderr.strip())
    return [line.split("\t") for line in done.stdout.splitlines()]


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
            sql, (given["file"], 4), given["after"], given["database"], given["tables"]
        )
        named = [each for each in found if given["gtid"] in {"", each.gtid}]
    except BinlogError as error:
        module.fail_json(msg=f"{error}. Take a new snapshot: playbooks/capture-new-snapshot.yml.")
    if given["gtid"] and named:
        module.exit_json(changed=False, **asdict(named[0]))
    listed = [f"{each.gtid} ({each.kind})" for each in named if each.captured][:MOST_LISTED]
    module.fail_json(
        msg=f"capture_skip_gtid is '{given['gtid']}': name the transaction that change capture "
        "cannot read, -e capture_skip_gtid=DOMAIN-SERVER-NUMBER. Those of captured tables after "
        f"{given['after'] or 'the beginning'} are: {', '.join(listed) or 'none'}."
    )


if __name__ == "__main__":
    main()
