"""Ansible's module for the passwords of MariaDB's accounts, several at once for one account."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pymysql
from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-untyped]

DOCUMENTATION = """
module: mariadb_passwords
short_description: Passwords of MariaDB's accounts, of which one may have several
description:
  - Sets the passwords of accounts that are there, where they are others than are wanted. While a
    password is rotated the new and the old one are accepted.
  - The statements are left out of the binlog, which holds what is captured.
options:
  socket: {type: path, required: true, description: Of the server, where root logs in.}
  accounts:
    type: list
    elements: dict
    required: true
    description: The accounts.
    suboptions:
      name: {type: str, required: true, description: Its name.}
      host: {type: str, required: true, description: Where it comes from.}
      passwords: {type: list, elements: str, required: true, description: All that are accepted.}
"""

NO_SUCH_USER = (1141, 1133, 1396)
HASH = re.compile(r"'(\*[0-9A-F]{40})'")


def native(password: str) -> str:
    """Give what mysql_native_password keeps of a password."""
    # It is the server's format; there is no choice of a hash here.
    inner = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()


def bring(cursor: Any, accounts: list[dict[str, Any]], *, only_plan: bool) -> list[str]:
    """Set what differs; give the accounts. Raises pymysql's errors."""
    changed = []
    cursor.execute("SET SESSION sql_log_bin = 0")
    for account in accounts:
        who = (account["name"], account["host"])
        wanted = [native(password) for password in dict.fromkeys(account["passwords"])]
        if accepted(cursor, who) == wanted:
            continue
        changed.append("@".join(who))
        if not only_plan:
            ways = " OR ".join(["mysql_native_password USING %s"] * len(wanted))
            cursor.execute(f"ALTER USER %s@%s IDENTIFIED VIA {ways}", (*who, *wanted))
    return changed


def accepted(cursor: Any, who: tuple[str, str]) -> list[str]:
    """Give the hashes of the passwords that an account has; none where it is not there."""
    try:
        cursor.execute("SHOW CREATE USER %s@%s", who)
    except pymysql.err.MySQLError as error:
        if error.args[0] in NO_SUCH_USER:
            return []
        raise
    return HASH.findall(cursor.fetchone()[0])


def main() -> None:
    """Run as Ansible's module."""
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "required": True},
            "accounts": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": text,
                    "host": text,
                    "passwords": {
                        "type": "list",
                        "elements": "str",
                        "required": True,
                        "no_log": True,
                    },
                },
            },
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        link = pymysql.connect(unix_socket=given["socket"], user="root", autocommit=True)
        with link, link.cursor() as cursor:
            changed = bring(cursor, given["accounts"], only_plan=module.check_mode)
    except pymysql.err.MySQLError as error:
        # Its text may hold the statement, and with it a hash; its number does not.
        module.fail_json(msg=f"MariaDB refuses a password (error {error.args[0]})")
    module.exit_json(changed=bool(changed), said=changed)


if __name__ == "__main__":
    main()
