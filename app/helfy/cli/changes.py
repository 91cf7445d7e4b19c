"""``helfy changes``: the record of changes, as it was and as it goes on."""

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from helfy.cli.context import Context, command
from helfy.feed.entry import UNDECODABLE, Entry, Wanted
from helfy.feed.feed import MOST_LINES, Feed, Lost
from helfy.jsonlog import printable

PAUSE_SECONDS: Final = 0.2
MOST_KNOWN: Final = 10_000
Show = Callable[[list[Entry]], None]
_TYPES: Final = ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "DDL", "SNAPSHOT", UNDECODABLE)
_SPAN: Final = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Moment(click.ParamType[float]):
    """A time, or how long ago."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Give it in Unix seconds."""
        if isinstance(value, float):
            return value
        if span := _SPAN.fullmatch(value):
            return time.time() - timedelta(**{_UNITS[span[2]]: int(span[1])}).total_seconds()
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is no time: 2026-11-23T20:00:00Z, or 90s, 10m, 2h, 1d", param, ctx
            )
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what is new (end with Ctrl-C).")
@click.option("--since", type=Moment(), help="From a time on, or from so long ago: 10m, 2h, 1d.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, MOST_LINES),
    default=20,
    show_default=True,
    help="The last lines, without --since.",
)
@click.option("--table", help="Of a table, with or without its database.")
@click.option("--type", "kind", type=click.Choice(_TYPES, case_sensitive=False))
@click.option("--key", help="Of a row: its key's value, or the key as a JSON object.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "jsonl"]),
    default="text",
    show_default=True,
    help="jsonl: the lines as they are.",
)
@command
def changes(  # noqa: PLR0913, PLR0917 - one for each option
    context: Context,
    follow: bool,
    since: float | None,
    lines: int,
    table: str | None,
    kind: str | None,
    key: str | None,
    form: str,
) -> None:
    """Show changes, oldest first."""
    wanted = Wanted(table, kind.upper() if kind else None, key)
    show = _json if form == "jsonl" or context.json else Texts().show
    feed = context.reached_feed()
    if since is None:
        after = _last(feed, wanted, lines, show)
    else:
        with feed.pager.turn() as turn:
            after = turn.since(since)
            end = {partition: stop for partition, (_, stop) in turn.bounds().items()}
        after = _go_on(feed, wanted, after, end, show)
    while follow:
        time.sleep(PAUSE_SECONDS)
        after = _go_on(feed, wanted, after, None, show)


def _last(feed: Feed, wanted: Wanted, lines: int, show: Show) -> dict[int, int]:
    """Print the last lines and give where they end."""
    found: list[Entry] = []
    page, now = feed.newest(wanted, max(1, lines))
    found += page.entries
    while page.more and len(found) < lines:
        page, _ = feed.newest(wanted, lines - len(found), page.end)
        found += page.entries
    show(found[:lines][::-1])
    return now


def _go_on(
    feed: Feed, wanted: Wanted, after: dict[int, int], end: dict[int, int] | None, show: Show
) -> dict[int, int]:
    """Print what comes after a cursor, up to now or to an end, and give where that is."""
    while True:
        page = feed.following(wanted, MOST_LINES, after)
        for lost in page.lost:
            _tell(lost)
        show(page.entries)
        after = page.end
        late = end is not None and any(after.get(part, 0) < stop for part, stop in end.items())
        if not page.more and not late:
            return after
        if not page.more:
            time.sleep(PAUSE_SECONDS)  # our reader has still to get there


def _json(entries: list[Entry]) -> None:
    for entry in entries:
        click.echo(entry.text.decode())


class Texts:
    """Lines for people. What capture has sent again is marked, of the last MOST_KNOWN changes."""

    def __init__(self) -> None:
        self._known: dict[str, None] = {}

    def show(self, entries: list[Entry]) -> None:
        """Print them."""
        for entry in entries:
            line = json.loads(entry.text)
            known = line.get("change", {}).get("id")
            again = known in self._known
            if known is not None:
                self._known[known] = None
            while len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
            click.echo(text(entry) + ("  (replay)" if again else ""))


def text(entry: Entry) -> str:
    """Give a line for people: when, what, of which row, and the columns that changed."""
    line = json.loads(entry.text)
    if line["action"] != "db_change":
        return f"{line['timestamp']}  {entry.type}  {line.get('reason', '')}"
    change = line["change"]
    parts = [change["committedAt"] or line["timestamp"], change["type"].ljust(8), entry.table]
    parts += [f"{name}={_value(value)}" for name, value in (change.get("key") or {}).items()]
    if change["type"] == "UPDATE":
        parts += [
            f"{name}: {_value(value)} -> {_value(change['data'].get(name))}"
            for name, value in change["old"].items()
            if name != "updated_at"
        ]
    if change.get("hiddenChange"):
        parts.append("(hidden change)")
    if change.get("keyOnly"):
        parts.append("(row too large: only its key)")
    if "sql" in change:
        parts.append(str(change["sql"]))
    # A value may hold what a terminal would obey.
    return "  ".join(printable(part) for part in parts)


def _tell(lost: Lost) -> None:
    if lost.last is None:
        said = f"the topic was made anew; what came after offset {lost.first} before is not known"
    else:
        said = f"offsets {lost.first} to {lost.last} are gone (retention)"
    click.echo(f"helfy: partition {lost.partition}: {said}", err=True)


def _value(value: Any) -> str:
    """Write a value as it stands in the line, a text without its quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
