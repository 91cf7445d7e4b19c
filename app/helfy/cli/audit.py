"""One line in the journal for each thing that was changed or refused: who, what, of whom.

``journalctl -t helfy`` shows them. Where there is no journal, they go to stderr.
"""

import os
import pwd
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import DBAPIError

from helfy import jsonlog
from helfy.accounts import AccountError
from helfy.consumer import journal
from helfy.database import error_code, is_conflict

IDENTIFIER = "helfy"


def operator() -> str:
    """Return the account of the caller, before sudo."""
    if user := os.environ.get("SUDO_USER"):
        return user
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


class Audit:
    """Writes the lines. No password, hash or token is ever given to it."""

    def __init__(self) -> None:
        self._stream: socket.socket | None = None

    def write(self, action: str, outcome: str, **fields: Any) -> None:
        """Write a line, as the API does; ``by`` is the user who called, before sudo."""
        line = {
            "timestamp": jsonlog.rfc3339(time.time()),
            "level": "info" if outcome == "ok" else "warning",
            "action": action,
            "userId": None,
            "ip": None,
            "outcome": outcome,
            "command": IDENTIFIER,
            "by": operator(),
            **fields,
        }
        text = (jsonlog.dumps(line) + "\n").encode()
        try:
            if self._stream is None:
                self._stream = journal.connect(IDENTIFIER)
            self._stream.sendall(text)
        except OSError:
            sys.stderr.buffer.write(text)
            sys.stderr.flush()

    @contextmanager
    def failures(self, action: str, **fields: Any) -> Iterator[None]:
        """Write a line where what is done inside is rejected or meets another transaction."""
        try:
            yield
        except AccountError:
            self.write(action, "refused", **fields)
            raise
        except DBAPIError as error:
            if is_conflict(error):
                self.write(action, "account_busy", code=error_code(error), **fields)
            raise

    def close(self) -> None:
        """Close the way to the journal."""
        if self._stream is not None:
            self._stream.close()
