"""Ansible's module for the accounts of MariaDB and TiDB, and for what TiDB begins with."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import pymysql
import pymysql.cursors
from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-untyped]

DOCUMENTATION = """
module: database_accounts
short_description: Accounts of MariaDB or TiDB, with passwords, privileges, TLS and locks
description:
  - Creates or corrects accounts, a database and global variables, where they are not as wanted.
  - An account may be one of a pair that takes turns, so that a password changes without a failed
    login. The idle one is created or set with the privileges, then its clients move to it one after
    another, then the other one is locked.
  - On MariaDB the statements are excluded from the binlog, which is what is captured.
  - On TiDB root's password is first written to client_file, the one before it kept beside it
    until it is set, so that a run that was cut off can be run again.
options:
  socket: {type: path, description: MariaDB's, where root logs in without a password.}
  host: {type: str, description: TiDB's address, where there is no socket.}
  port: {type: int, default: 4000, description: TiDB's port.}
  root_password: {type: str, description: Wanted for TiDB's root; set unless it is in use.}
  client_file: {type: path, description: Option file of the client for TiDB's root.}
  database: {type: str, description: Is created where it is missing.}
  collation: {type: str, default: utf8mb4_general_ci, description: Of the database.}
  globals: {type: dict, default: {}, description: Global variables with their values.}
  accounts:
    type: list
    elements: dict
    default: []
    description: Accounts that log in; each is unlocked.
    suboptions:
      name: {type: str, required: true, description: Its name.}
      addresses: {type: list, elements: str, required: true, description: Where it logs in from.}
      password: {type: str, required: true, description: Its password.}
      priv: {type: str, required: true, description: "Such as *.*:RELOAD/db.*:SELECT,INSERT."}
      twin: {type: str, default: "", description: A new account demands TLS as this one does.}
  tls: {type: bool, description: Whether the accounts demand TLS. As it is, unless given.}
  drop_others:
    type: bool
    default: false
    description: Drop accounts of these names and of their twins at other addresses.
  locked:
    type: list
    elements: str
    default: []
    description: Names that are locked at every address; rejected while one has a session.
"""

ACCESS_DENIED = 1045
ON = {"1": "ON", "0": "OFF", "TRUE": "ON", "FALSE": "OFF"}
HASH = re.compile(r"'(\*[0-9A-F]{40})'")
GRANT = re.compile(r"GRANT (.+?) ON (?:TABLE )?(\S+) TO ")
# One privilege, with its columns where it has some.
PRIVILEGE = re.compile(r"([A-Za-z][A-Za-z ]*)(\([^)]*\))?")


class InUseError(Exception):
    """An account that is to be locked has sessions."""


class Database:
    """A connection as root. Changes are noted, and made outside check mode."""

    def __init__(self, given: dict[str, Any], *, check_mode: bool) -> None:
        """Connect. Raises pymysql's errors."""
        self.given = given
        self.check_mode = check_mode
        self.changes: list[str] = []
        if given["socket"]:
            self.connection = self._connect(unix_socket=given["socket"])
        else:
            self.client_file = Path(given["client_file"])
            self.before = self.client_file.with_name(self.client_file.name + ".before")
            self.connection = self._log_in()

    def _connect(self, **how: Any) -> pymysql.Connection[pymysql.cursors.DictCursor]:
        return pymysql.connect(
            user="root",
            autocommit=True,
            connect_timeout=10,
            cursorclass=pymysql.cursors.DictCursor,
            **how,
        )

    def _log_in(self) -> pymysql.Connection[pymysql.cursors.DictCursor]:
        wanted = self.given["root_password"]
        candidates = [wanted, password_in(self.client_file), password_in(self.before), ""]
        rejected: pymysql.err.OperationalError | None = None
        for password in dict.fromkeys(each for each in candidates if each is not None):
            try:
                connection = self._connect(
                    host=self.given["host"], port=self.given["port"], password=password
                )
            except pymysql.err.OperationalError as error:
                if error.args[0] != ACCESS_DENIED:
                    raise
                rejected = error
                continue
            self.connection = connection
            if password != wanted:
                self._change_root(password)
            self._keep_client_file()
            return connection
        raise rejected or RuntimeError("no password to try")

    def _change_root(self, old: str) -> None:
        if not self.check_mode:
            write_privately(self.before, client_file(self.given, old))
            write_privately(self.client_file, client_file(self.given, self.given["root_password"]))
        password = self.given["root_password"]
        self.change("password of root", "ALTER USER 'root'@'%%' IDENTIFIED BY %s", password)

    def _keep_client_file(self) -> None:
        text = client_file(self.given, self.given["root_password"])
        if not self.client_file.exists() or self.client_file.read_text() != text:
            self.changes.append(str(self.client_file))
            if not self.check_mode:
                write_privately(self.client_file, text)
        if not self.check_mode:
            self.before.unlink(missing_ok=True)

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Ask; columns by their names in small letters, in which servers differ."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values)
            return [{name.lower(): row[name] for name in row} for row in cursor.fetchall()]

    def change(self, what: str, sql: str, *values: object) -> None:
        """Note a change, and make it."""
        self.changes.append(what)
        if not self.check_mode:
            with self.connection.cursor() as cursor:
                cursor.execute(sql, values)

    def hosts(self, name: str) -> list[str]:
        """Return the addresses of the accounts of a name."""
        asked = self.rows("SELECT Host AS host FROM mysql.user WHERE User = %s", name)
        return sorted(row["host"] for row in asked)

    def shown(self, kind: str, who: tuple[str, str]) -> str:
        """Return what SHOW says of an account: CREATE USER, or GRANTS FOR, a line each."""
        told = self.rows(f"SHOW {kind} %s@%s", *who)
        return "\n".join(str(text) for row in told for text in row.values())


def apply(database: Database, given: dict[str, Any]) -> None:
    """Make what is missing and change what differs. Raises pymysql's errors and InUseError."""
    for name, value in given["globals"].items():
        now = database.rows(f"SELECT @@GLOBAL.{name} AS now")[0]["now"]
        if plain(now) != plain(value):
            database.change(name, f"SET GLOBAL {name} = %s", value)
    schema = given["database"]
    if schema and not database.rows(
        "SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", schema
    ):
        database.change(
            f"database {schema}",
            f"CREATE DATABASE {schema} CHARACTER SET utf8mb4 COLLATE {given['collation']}",
        )
    if given["socket"]:
        # A statement about an account may have a password's hash, and the binlog is what is
        # captured. The database has to be in it: without a GTID Debezium cannot begin.
        database.rows("SET SESSION sql_log_bin = 0")
    for account in given["accounts"]:
        hosts = database.hosts(account["name"])
        for host in account["addresses"]:
            who = (account["name"], host)
            apply_account(database, account, who, there=host in hosts, only=given["drop_others"])
            if given["tls"] is not None:
                apply_tls(database, who, demanded=given["tls"])
    if given["drop_others"]:
        drop_others(database, given["accounts"])
    lock(database, given["locked"])


def apply_account(
    database: Database,
    account: dict[str, Any],
    who: tuple[str, str],
    *,
    there: bool,
    only: bool,
) -> None:
    """The same for one account at one address: its password, no lock, its privileges alone.

    only: whether a second password goes, which earlier releases kept while they rotated.
    """
    shown = "@".join(who)
    password = account["password"]
    told = database.shown("CREATE USER", who) if there else ""
    if not there:
        database.change(f"account {shown}", "CREATE USER %s@%s IDENTIFIED BY %s", *who, password)
        twin = (account["twin"], who[1])
        if twin[0] and twin[1] in database.hosts(twin[0]) and demands_tls(database, twin):
            apply_tls(database, who, demanded=True)
    elif native(password) not in (hashes := HASH.findall(told)) or (only and len(hashes) > 1):
        database.change(f"password of {shown}", "ALTER USER %s@%s IDENTIFIED BY %s", *who, password)
    held = privileges_held(database, who) if there else {}
    wanted = privileges_wanted(account["priv"])
    for target in sorted(held.keys() | wanted.keys()):
        more = wanted.get(target, set()) - held.get(target, set())
        less = held.get(target, set()) - wanted.get(target, set())
        if less:
            words = ", ".join(sorted(less))
            revoked = f"REVOKE {words} ON {quoted(target)} FROM %s@%s"
            database.change(f"privileges of {shown} on {target}: no {words}", revoked, *who)
        if more:
            words = ", ".join(sorted(more))
            granted = f"GRANT {words} ON {quoted(target)} TO %s@%s"
            database.change(f"privileges of {shown} on {target}: {words}", granted, *who)
    if is_locked(told):
        database.change(f"lock of {shown}: none", "ALTER USER %s@%s ACCOUNT UNLOCK", *who)


def privileges_held(database: Database, who: tuple[str, str]) -> dict[str, set[str]]:
    """Return an account's privileges by target, such as helfy.*; USAGE is none."""
    held: dict[str, set[str]] = {}
    for line in database.shown("GRANTS FOR", who).splitlines():
        if found := GRANT.match(line):
            told = PRIVILEGE.findall(found[1])
            words = {f"{word.strip().upper()} {columns}".strip() for word, columns in told}
            words -= {"USAGE"}
            if line.endswith(" WITH GRANT OPTION"):
                words.add("GRANT OPTION")
            held.setdefault(found[2].replace("`", ""), set()).update(words)
    return held


def privileges_wanted(priv: str) -> dict[str, set[str]]:
    """Return the same of an account's priv."""
    parts = (part.rpartition(":") for part in priv.split("/"))
    return {
        target.strip(): {word.strip().upper() for word in words.split(",")}
        for target, _, words in parts
    }


def quoted(target: str) -> str:
    """Return a target as a statement takes it; * stays what it is."""
    schema, _, table = target.partition(".")
    return ".".join(part if part == "*" else f"`{part}`" for part in (schema, table))


def apply_tls(database: Database, who: tuple[str, str], *, demanded: bool) -> None:
    """Demand TLS of an account, or demand it no more."""
    # In check mode it need not be there.
    there = who[1] in database.hosts(who[0])
    if (there and demands_tls(database, who)) != demanded:
        what = f"TLS {'demanded' if demanded else 'not demanded'} of {'@'.join(who)}"
        word = "SSL" if demanded else "NONE"
        database.change(what, f"ALTER USER %s@%s REQUIRE {word}", *who)


def demands_tls(database: Database, who: tuple[str, str]) -> bool:
    """Say whether TLS is demanded of an account that is there."""
    return " REQUIRE SSL" in database.shown("CREATE USER", who)


def drop_others(database: Database, accounts: list[dict[str, Any]]) -> None:
    """Drop the accounts of these names and of their twins at addresses that nobody asks from."""
    for account in accounts:
        for name in filter(None, (account["name"], account["twin"])):
            for host in database.hosts(name):
                if host not in account["addresses"]:
                    database.change(f"account {name}@{host}: none", "DROP USER %s@%s", name, host)


def lock(database: Database, names: list[str]) -> None:
    """Lock the accounts of these names that are there. Raises InUseError where one has sessions."""
    # PROCESSLIST has those of the TiDB that is asked alone.
    view = "processlist" if database.given["socket"] else "cluster_processlist"
    for name in names:
        for host in database.hosts(name):
            if is_locked(database.shown("CREATE USER", (name, host))):
                continue
            asked = f"SELECT host FROM information_schema.{view} WHERE user = %s"  # noqa: S608
            sessions = database.rows(asked, name)
            if sessions and not database.check_mode:
                where = ", ".join(sorted({str(row["host"]) for row in sessions}))
                raise InUseError(
                    f"account {name} is to be locked and still has sessions from {where}:"
                    " restart what uses it, and run this again"
                )
            database.change(f"lock of {name}@{host}", "ALTER USER %s@%s ACCOUNT LOCK", name, host)


def is_locked(told: str) -> bool:
    """Say whether what SHOW CREATE USER said has a lock."""
    return " ACCOUNT LOCK" in told


def native(password: str) -> str:
    """Return what mysql_native_password keeps of a password."""
    # It is the server's format; there is no choice of a hash here.
    inner = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()


def plain(value: object) -> str:
    """Return a global's value as it can be compared: ON for 1."""
    text = str(value).upper()
    return ON.get(text, text)


def client_file(given: dict[str, Any], password: str) -> str:
    """Return what the client reads to log in as root."""
    return (
        "# Managed by Ansible\n[client]\n"
        f"host = {given['host']}\nport = {given['port']}\nuser = root\npassword = {password}\n"
        "default-character-set = utf8mb4\n"
    )


def password_in(path: Path) -> str | None:
    """Return the password in a client's file, None where there is no such file."""
    if not path.exists():
        return None
    found = re.search(r"^password = (.*)$", path.read_text(), re.MULTILINE)
    return found[1] if found else ""


def write_privately(path: Path, text: str) -> None:
    """Replace a file, readable by its owner alone, on disk before this returns."""
    new = path.with_name(path.name + ".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)


def rejection(error: pymysql.err.MySQLError, given: dict[str, Any], changes: list[str]) -> str:
    """Say what the database rejects. Its own text may quote a password; its number does not."""
    where = given["socket"] or f"{given['host']}:{given['port']}"
    code = error.args[0] if error.args else type(error).__name__
    if code == ACCESS_DENIED and given["host"]:
        return (
            f"tidb_tiup_root_password is not root's password at {where}, nor is the one in"
            f" {given['client_file']}. Put the right one there, or into the secrets' folder."
        )
    at = f" at: {changes[-1]}" if changes else ""
    return f"the database at {where} rejects a statement or the login (error {code}){at}"


def main() -> None:
    """Run as Ansible's module."""
    text, texts = {"type": "str", "required": True}, {"type": "list", "elements": "str"}
    account = {
        "name": text,
        "addresses": {**texts, "required": True},
        "password": {**text, "no_log": True},
        "priv": text,
        "twin": {"type": "str", "default": ""},
    }
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path"},
            "host": {"type": "str"},
            "port": {"type": "int", "default": 4000},
            "root_password": {"type": "str", "no_log": True},
            "client_file": {"type": "path"},
            "database": {"type": "str"},
            "collation": {"type": "str", "default": "utf8mb4_general_ci"},
            "globals": {"type": "dict", "default": {}},
            "accounts": {"type": "list", "elements": "dict", "default": [], "options": account},
            "tls": {"type": "bool"},
            "drop_others": {"type": "bool", "default": False},
            "locked": {**texts, "default": []},
        },
        mutually_exclusive=[("socket", "host")],
        required_one_of=[("socket", "host")],
        required_by={"host": ("root_password", "client_file")},
        supports_check_mode=True,
    )
    given = module.params
    changes: list[str] = []
    try:
        database = Database(given, check_mode=module.check_mode)
        changes = database.changes
        apply(database, given)
    except InUseError as error:
        module.fail_json(msg=str(error), changes=changes)
    except pymysql.err.MySQLError as error:
        module.fail_json(msg=rejection(error, given, changes), changes=changes)
    module.exit_json(changed=bool(changes), changes=changes)


if __name__ == "__main__":
    main()
