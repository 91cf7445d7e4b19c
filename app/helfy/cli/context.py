"""What the commands need: settings, the database, the feed; and how they speak."""

import functools
import json
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import click
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from helfy.accounts import AccountError
from helfy.api.settings import ApiFile, stream_with_login
from helfy.cli.audit import Audit
from helfy.config import ConfigError, load, login
from helfy.database import UNAVAILABLE, connect, error_code, is_conflict
from helfy.feed.feed import Feed
from helfy.feed.pager import BusyError, KafkaAwayError, Pager
from helfy.feed.reader import StreamReader
from helfy.feed.settings import Stream
from helfy.jsonlog import dumps, printable
from helfy.passwords import Hasher
from helfy.sessions import Rules

REFUSED: Final = 1
AWAY: Final = 3
UNWELL: Final = 4
REACH_SECONDS: Final = 8.0
# An unknown column, an unknown table.
_OTHER_TABLES: Final = frozenset({1054, 1146})


class Refusal(Exception):  # noqa: N818 - an end, with its exit status
    """The command ends here: why, and the exit status."""

    def __init__(
        self, message: str, exit_code: int = REFUSED, fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.fields = dict(fields or {})

    def show(self) -> None:
        """Say why, on stderr, by field where it is of one."""
        click.echo(f"helfy: {self}", err=True)
        for name, text in self.fields.items():
            click.echo(f"  {name} {text}", err=True)


class Context:
    """Opened as far as a command needs it. ``config`` and ``credentials`` are the API's."""

    def __init__(self, config: Path, credentials: Path) -> None:
        self.json = False
        self.audit = Audit()
        self._config = config
        self._credentials = credentials
        self._close: list[Callable[[], None]] = [self.audit.close]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for close in reversed(self._close):
            close()

    @cached_property
    def settings(self) -> ApiFile:
        """The API's settings, without secrets."""
        return load(self._config, ApiFile)

    @cached_property
    def engine(self) -> Engine:
        """The database."""
        account = login("database_login", self._credentials / "database_api")
        engine = connect(self.settings.database, account, pool_size=1)
        self._close.append(engine.dispose)
        return engine

    @cached_property
    def hasher(self) -> Hasher:
        """What makes password hashes, at the API's cost."""
        return Hasher(self.settings.passwords.bcrypt_cost)

    @property
    def rules(self) -> Rules:
        """How long sessions are good."""
        sessions = self.settings.sessions
        return Rules(
            timedelta(seconds=sessions.lifetime_seconds), timedelta(seconds=sessions.idle_seconds)
        )

    @cached_property
    def stream(self) -> Stream:
        """The topic of changes, with the login."""
        return stream_with_login(self.settings.stream, self._credentials / "kafka_feed")

    @cached_property
    def feed(self) -> Feed:
        """The feed, whose reader runs; it may be cut off still."""
        stream = self.stream
        feed = Feed(StreamReader(stream), Pager(stream))
        feed.reader.start()
        self._close += [feed.pager.close, lambda: feed.reader.stop(1)]
        return feed

    def reached_feed(self) -> Feed:
        """Give the feed when it has read up to now; a Refusal where Kafka does not answer."""
        until = time.monotonic() + REACH_SECONDS
        while not self.feed.reader.pulse.caught_up() and time.monotonic() < until:
            time.sleep(0.05)
        if self.feed.reader.pulse.feed() == "cutOff":
            raise Refusal("Kafka does not answer, or has no such topic", AWAY)
        return self.feed

    def say(self, document: Any, text: str) -> None:
        """Print the document with --json, else the text."""
        click.echo(dumps(document) if self.json else text)

    def table(self, rows: Sequence[dict[str, Any]], columns: dict[str, str]) -> None:
        """Print rows: as a JSON list, or in columns (by key of a row, its heading)."""
        if self.json:
            click.echo(json.dumps(rows, default=written))
            return
        cells = [[printable(str(written(row[key]))) for key in columns] for row in rows]
        lines = [list(columns.values()), *cells]
        widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            padded = (
                cell + " " * (width - _width(cell))
                for cell, width in zip(line, widths, strict=True)
            )
            click.echo("  ".join(padded).rstrip())


def _width(text: str) -> int:
    """Return how many columns of a terminal a printable text takes."""
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def written(value: Any) -> Any:
    """Write a time as RFC 3339, a truth as yes or no, nothing as a dash, else the value."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    return "-" if value is None else value


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command --json and the context, and turn what may happen into a Refusal."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @click.pass_obj  # type: ignore[arg-type]  # functools.wraps hides the signature
    @functools.wraps(function)
    def run(context: Context, *arguments: Any, as_json: bool, **more: Any) -> None:
        context.json = as_json
        try:
            function(context, *arguments, **more)
        except BrokenPipeError:
            # Whoever read has seen enough; nothing may be written at exit either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        except Exception as error:
            refusal = _refusal(error)
            if refusal is None:
                raise
            raise refusal from None

    return run


def _refusal(error: Exception) -> Refusal | None:
    if isinstance(error, DBAPIError) and (code := error_code(error)) in _OTHER_TABLES:
        said = f"the database's tables are not this release's (error {code}): deploy it"
        return Refusal(said)
    if isinstance(error, ConfigError):
        root = "" if os.geteuid() == 0 else " (you are not root: try sudo helfy)"
        return Refusal(f"{error}{root}", os.EX_CONFIG)
    if isinstance(error, AccountError):
        return Refusal(str(error), fields=getattr(error, "fields", None))
    return _away(error)


def _away(error: Exception) -> Refusal | None:
    if isinstance(error, KafkaAwayError | BusyError):
        return Refusal("Kafka does not answer", AWAY)
    if is_conflict(error):
        said = f"another transaction holds a lock on the account (error {error_code(error)})"
        return Refusal(f"{said}: try again, or see SHOW PROCESSLIST")
    if isinstance(error, UNAVAILABLE):
        return Refusal(f"the database does not answer (error {error_code(error)})", AWAY)
    return None
