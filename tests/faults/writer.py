"""Changes rows at a steady rate, on the machine of the database; notes what was acknowledged.

    writer.py FOLDER MARK RATE DATABASE LOGIN

Change number N is the step N % 4 (INSERT, UPDATE, UPDATE, DELETE) of the row ``MARK-(N // 4)``
of the table ``users``, and the row's address says the step. Each is a commit of its own, and the
next one waits for it. FOLDER/acknowledged has a line "N TIME" for each that the database
acknowledged, TIME in Unix seconds. Where the connection breaks, or this program is started
again, the row itself tells whether the change at hand was committed: so the file says exactly
what was, whatever is killed. Ends on SIGTERM, after the change at hand. LOGIN is JSON: how
pymysql logs in.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

import pymysql

STEPS: Final = 4
INSERT, _, _, DELETE = range(STEPS)
PAUSE_SECONDS: Final = 0.05
# Rather than one burst after an outage, the writer goes on at its rate.
LATE_SECONDS: Final = 0.2
FAULTS: Final = (pymysql.err.OperationalError, pymysql.err.InterfaceError, OSError)


def username(mark: str, number: int) -> str:
    """Give the name of the row that a change is of."""
    return f"{mark}-{number // STEPS}"


def email(mark: str, number: int) -> str:
    """Give the row's address after a change, for a DELETE that which it had."""
    step = min(number % STEPS, DELETE - 1)
    return f"{username(mark, number)}.{step}@example.com"


class Writer:
    """Commits one change after the other."""

    def __init__(self, mark: str, database: str, login: dict[str, Any]) -> None:
        self._mark = mark
        self._database = database
        self._login = login
        self._link: Any = None

    def commit(self, number: int, *, doubt: bool) -> bool:
        """Commit a change; say whether it is. Asks first where it may be already."""
        name, address = username(self._mark, number), email(self._mark, number)
        try:
            if self._link is None:
                self._link = pymysql.connect(
                    **self._login,
                    database=self._database,
                    autocommit=True,
                    connect_timeout=2,
                    read_timeout=10,
                    write_timeout=10,
                )
            with self._link.cursor() as cursor:
                if doubt:
                    cursor.execute("SELECT email FROM users WHERE username = %s", (name,))
                    row = cursor.fetchone()
                    if (row is None) if number % STEPS == DELETE else (row == (address,)):
                        return True
                if number % STEPS == INSERT:
                    cursor.execute(
                        "INSERT INTO users (username, email, password_hash)"
                        " VALUES (%s, %s, 'none')",
                        (name, address),
                    )
                elif number % STEPS == DELETE:
                    cursor.execute("DELETE FROM users WHERE username = %s", (name,))
                else:
                    cursor.execute(
                        "UPDATE users SET email = %s WHERE username = %s", (address, name)
                    )
        except FAULTS:
            self._link = None
            return False
        return True


def main() -> None:
    """Run until SIGTERM."""
    folder, mark, rate, database, login = sys.argv[1:]
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    path = Path(folder, "acknowledged")
    before = path.read_text().split() if path.exists() else []
    number, doubt = int(before[-2]) + 1 if before else 0, bool(before)
    writer = Writer(mark, database, json.loads(login))
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    due = time.monotonic()
    while not stop:
        if writer.commit(number, doubt=doubt):
            os.write(file, b"%d %.3f\n" % (number, time.time()))
            number, doubt = number + 1, False
            due = max(due + 1 / float(rate), time.monotonic() - LATE_SECONDS)
            time.sleep(max(0.0, due - time.monotonic()))
        else:
            doubt = True
            time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
