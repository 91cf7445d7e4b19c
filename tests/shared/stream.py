"""The consumer's journal as a test reads it: the lines from some moment on, and no others."""

import json
import re
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from machine import Machine, wait_for

Line = dict[str, Any]

UNIT: Final = "helfy-consumer"
ALWAYS: Final = {"timestamp", "level", "action", "source", "change", "lagMs"}
USER_COLUMNS: Final = {
    *("id", "username", "email", "role", "status", "password_changed_at"),
    *("password_rehashed_at", "password_expired_at", "created_at", "updated_at"),
}
# A hash that no password has: what must be found nowhere but in its row.
HASH: Final = "$2b$12$HelfyTestHashThatMustNotBeSeenAnywhere.{0}"


@dataclass
class Stream:
    """Lines of the consumer's journal since the stream was made, or since ``forget``."""

    machine: Machine
    database: Machine
    run_id: str
    cursor: str = ""
    made: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Leave out what the journal has up to now."""
        # Of the same unit: --after-cursor of systemd 252 leaves out one entry that matches, also
        # where the cursor's own does not.
        said = self.machine.run(
            f"journalctl -q --no-pager -u {UNIT} -n 1 -o cat --show-cursor | tail -n 1"
        )
        self.cursor = said.removeprefix("-- cursor: ").strip()

    def text(self) -> str:
        """Give what ``journalctl -u helfy-consumer`` shows."""
        return self.machine.run(
            f"journalctl -q --no-pager -a -o cat -u {UNIT} --after-cursor='{self.cursor}'"
        )

    def lines(self) -> list[Line]:
        """Give the lines of JSON; the others are systemd's, on starts and stops."""
        return [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]

    def changes(self) -> list[Line]:
        """Give the lines of changes, without those of fences."""
        return [
            line
            for line in self.lines()
            if line["action"] == "db_change"
            and not str(line["change"].get("data", {}).get("username", "")).startswith("fence-")
        ]

    def settled(self, seconds: float = 30.0) -> list[Line]:
        """Give the changes once all that was committed before this call is in the journal.

        A partition keeps the order of the changes, so a row that is written now has its line
        after theirs. With several partitions that holds for rows of the fence's alone.
        """
        name = f"fence-{uuid.uuid4().hex}"
        self.database.sql(f"{insert_user(name)}; DELETE FROM users WHERE username = '{name}'")
        deleted = re.compile(f'"type":"DELETE".*"username":"{name}"')
        wait_for(
            lambda: deleted.search(self.text()), "the line of the change written last", seconds
        )
        return self.changes()

    def of(self, username: str, seconds: float = 30.0) -> list[Line]:
        """Give the settled changes of a user's row."""
        return [
            line
            for line in self.settled(seconds)
            if line["change"]["table"] == "users"
            and line["change"]["data"].get("username") == username
        ]

    def person(self, name: str) -> str:
        """Give a username of this run's, whose row goes when the test ends."""
        username = f"flow-{self.run_id}-{name}"
        self.made.append(username)
        return username

    def clean_up(self) -> None:
        """Delete the rows of this test and what belongs to them."""
        if self.made:
            listed = ", ".join(f"'{name}'" for name in self.made)
            self.database.sql(
                f"DELETE s FROM sessions s JOIN users u ON u.id = s.user_id"
                f" WHERE u.username IN ({listed}); DELETE FROM users WHERE username IN ({listed})"
            )


def insert_user(username: str, mark: str = "x") -> str:
    """Give the SQL that inserts a user whose hash is HASH with a mark."""
    return (
        "INSERT INTO users (username, email, password_hash)"
        f" VALUES ('{username}', '{username}@example.com', '{HASH.format(mark)}')"
    )


def types(lines: list[Line]) -> list[str]:
    """Give the types of changes, in order."""
    return [line["change"]["type"] for line in lines]


def ids(lines: list[Line]) -> list[str]:
    """Give the ids of changes, in order."""
    return [line["change"]["id"] for line in lines]


def once_each(lines: list[Line]) -> list[Line]:
    """Leave out replays: whoever counts changes counts distinct ids."""
    seen: dict[str, Line] = {}
    for line in lines:
        seen.setdefault(line["change"]["id"], line)
    return list(seen.values())
