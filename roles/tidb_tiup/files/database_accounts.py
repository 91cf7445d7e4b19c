"""Brings TiDB's accounts, database and global settings to what is wished. Says what it changed.

database_accounts.py    reads the wish as JSON, writes {"changed": [...]} as JSON

The wish: host, port, client_file, root_password, database, collation, globals (name: value),
accounts (name, host, password, privileges), tls (whether it is demanded of the accounts; null:
as it is), drop_others (whether accounts of these names for other hosts go), dry_run. Nothing that
is as wished is touched.

root's password is first written to client_file (what the client reads) and then set, the one
before it kept beside it until that is done: a run that is cut off can be run again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, Final

import pymysql
import pymysql.cursors

ACCESS_DENIED: Final = 1045
ON: Final = {"1": "ON", "0": "OFF", "TRUE": "ON", "FALSE": "OFF"}


class Database:
    """A connection as root. Changes are noted, and made unless this is a rehearsal."""

    def __init__(self, wish: dict[str, Any]) -> None:
        """Log in with the password wished for, or else with one that was before it."""
        self.wish = wish
        self.changed: list[str] = []
        self.client_file = Path(wish["client_file"])
        self.before = self.client_file.with_name(self.client_file.name + ".before")
        self.connection = self._log_in()

    def _log_in(self) -> pymysql.Connection[pymysql.cursors.DictCursor]:
        wished = self.wish["root_password"]
        candidates = [wished, password_in(self.client_file), password_in(self.before), ""]
        refused: pymysql.err.OperationalError | None = None
        for password in dict.fromkeys(each for each in candidates if each is not None):
            try:
                connection = pymysql.connect(
                    host=self.wish["host"],
                    port=self.wish["port"],
                    user="root",
                    password=password,
                    autocommit=True,
                    connect_timeout=10,
                    cursorclass=pymysql.cursors.DictCursor,
                )
            except pymysql.err.OperationalError as error:
                if error.args[0] != ACCESS_DENIED:
                    raise
                refused = error
                continue
            self.connection = connection
            if password != wished:
                self._change_root(password)
            self._keep_client_file()
            return connection
        raise refused or RuntimeError("no password to try")

    def _change_root(self, old: str) -> None:
        if not self.wish["dry_run"]:
            write_privately(self.before, client_file(self.wish, old))
            write_privately(self.client_file, client_file(self.wish, self.wish["root_password"]))
        password = self.wish["root_password"]
        self.change("password of root", "ALTER USER 'root'@'%%' IDENTIFIED BY %s", password)

    def _keep_client_file(self) -> None:
        text = client_file(self.wish, self.wish["root_password"])
        if not self.client_file.exists() or self.client_file.read_text() != text:
            self.changed.append(str(self.client_file))
            if not self.wish["dry_run"]:
                write_privately(self.client_file, text)
        if not self.wish["dry_run"]:
            self.before.unlink(missing_ok=True)

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Ask."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())

    def change(self, what: str, sql: str, *values: object) -> None:
        """Note a change, and make it."""
        self.changed.append(what)
        if not self.wish["dry_run"]:
            with self.connection.cursor() as cursor:
                cursor.execute(sql, values)


def bring(database: Database, wish: dict[str, Any]) -> None:
    """Make what is missing and change what differs."""
    for name, value in wish["globals"].items():
        now = database.rows(f"SELECT @@GLOBAL.{name} AS now")[0]["now"]
        if plain(now) != plain(value):
            database.change(name, f"SET GLOBAL {name} = %s", value)
    if not database.rows(
        "SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", wish["database"]
    ):
        database.change(
            f"database {wish['database']}",
            f"CREATE DATABASE {wish['database']} CHARACTER SET utf8mb4 COLLATE {wish['collation']}",
        )
    for account in wish["accounts"]:
        bring_account(database, wish["database"], account)
        if wish["tls"] is not None:
            bring_tls(database, account, demanded=wish["tls"])
    if wish["drop_others"]:
        drop_others(database, wish["accounts"])


def bring_account(database: Database, schema: str, account: dict[str, Any]) -> None:
    """The same for one account: it, its password, its rights on the schema, none elsewhere."""
    who = (account["name"], account["host"])
    shown = f"{account['name']}@{account['host']}"
    found = database.rows("SELECT * FROM mysql.user WHERE User = %s AND Host = %s", *who)
    if not found:
        database.change(
            f"account {shown}", "CREATE USER %s@%s IDENTIFIED BY %s", *who, account["password"]
        )
    elif lower(found[0])["authentication_string"] != native(account["password"]):
        database.change(
            f"password of {shown}", "ALTER USER %s@%s IDENTIFIED BY %s", *who, account["password"]
        )
    if found and rights(found[0]):
        database.change(
            f"rights of {shown} everywhere", "REVOKE ALL PRIVILEGES ON *.* FROM %s@%s", *who
        )
    own = set(account["privileges"])
    held: set[str] = set()
    for row in database.rows("SELECT * FROM mysql.db WHERE User = %s AND Host = %s", *who):
        if lower(row)["db"].lower() == schema:
            held = rights(row)
        else:
            elsewhere = lower(row)["db"]
            database.change(
                f"rights of {shown} on {elsewhere}",
                f"REVOKE ALL PRIVILEGES ON `{elsewhere}`.* FROM %s@%s",
                *who,
            )
    if held - own:
        gone = ", ".join(sorted(held - own))
        database.change(
            f"rights of {shown}: no {gone}", f"REVOKE {gone} ON {schema}.* FROM %s@%s", *who
        )
    if own - held:
        more = ", ".join(sorted(own - held))
        database.change(f"rights of {shown}: {more}", f"GRANT {more} ON {schema}.* TO %s@%s", *who)


def bring_tls(database: Database, account: dict[str, Any], *, demanded: bool) -> None:
    """Demand TLS of an account, or demand it no more."""
    who = (account["name"], account["host"])
    demands = False
    # In a rehearsal it need not be there.
    if database.rows("SELECT 1 FROM mysql.user WHERE User = %s AND Host = %s", *who):
        [told] = database.rows("SHOW CREATE USER %s@%s", *who)
        demands = " REQUIRE SSL" in " ".join(map(str, told.values()))
    if demands != demanded:
        word = "SSL" if demanded else "NONE"
        what = f"TLS {'demanded' if demanded else 'not demanded'} of {who[0]}@{who[1]}"
        database.change(what, f"ALTER USER %s@%s REQUIRE {word}", *who)


def drop_others(database: Database, accounts: list[dict[str, Any]]) -> None:
    """Drop the accounts of these names for hosts that nobody asks from any more."""
    wished = {(account["name"], account["host"]) for account in accounts}
    for name in sorted({name for name, _ in wished}):
        for row in database.rows("SELECT Host AS host FROM mysql.user WHERE User = %s", name):
            host = lower(row)["host"]
            if (name, host) not in wished:
                database.change(f"account {name}@{host}: none", "DROP USER %s@%s", name, host)


def rights(row: dict[str, Any]) -> set[str]:
    """Names of the privileges that a row of mysql.user or mysql.db gives."""
    return {
        name[: -len("_priv")].upper().replace("_", " ")
        for name, value in lower(row).items()
        if name.endswith("_priv") and value == "Y"
    }


def lower(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its columns' names in small letters: servers differ in that."""
    return {name.lower(): value for name, value in row.items()}


def native(password: str) -> str:
    """What mysql_native_password keeps of a password."""
    # It is the server's format; there is no choice of a hash here.
    inner = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()


def plain(value: object) -> str:
    """A global's value as it can be compared: ON for 1."""
    text = str(value).upper()
    return ON.get(text, text)


def client_file(wish: dict[str, Any], password: str) -> str:
    """What the client reads to log in as root."""
    return (
        "# Managed by Ansible\n[client]\n"
        f"host = {wish['host']}\nport = {wish['port']}\nuser = root\npassword = {password}\n"
        "default-character-set = utf8mb4\n"
    )


def password_in(path: Path) -> str | None:
    """The password in a client's file, None where there is no such file."""
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


def main() -> int:
    """See the module's text."""
    wish = json.load(sys.stdin)
    try:
        database = Database(wish)
        bring(database, wish)
    except pymysql.err.Error as error:
        where = f"{wish['host']}:{wish['port']}"
        if error.args and error.args[0] == ACCESS_DENIED:
            print(
                f"tidb_tiup_root_password is not root's password at {where}, nor is the one in"
                f" {wish['client_file']}. Put the right one there, or into the secrets' folder.",
                file=sys.stderr,
            )
        else:
            print(f"the database at {where} says: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"changed": database.changed}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
