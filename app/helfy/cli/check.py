"""``helfy check``: the parts as they are seen from this machine, in some seconds."""

import http.client
import json
import time
from typing import Any, Final

import click

from helfy import capture_states, gaps
from helfy.cli.context import UNWELL, Context, Refusal, command
from helfy.database import UNAVAILABLE, error_code
from helfy.feed.groups import Groups

WAIT_SECONDS: Final = 8.0
ASK_SECONDS: Final = 3.0
MOST_GAPS: Final = 20
_COLUMNS: Final = {"part": "PART", "state": "STATE", "said": ""}


@click.command()
@command
def check(context: Context) -> None:
    """Say of each part whether it is well; exit status 4 where one is not."""
    rows = [*_database(context), *_stream(context)]
    rows += [_process(address) for address in context.settings.server.processes]
    context.table(rows, _COLUMNS)
    if any(row["state"] != "up" for row in rows):
        raise Refusal("not all is well", UNWELL)


def _row(part: str, *, up: bool, said: str) -> dict[str, Any]:
    return {"part": part, "state": "up" if up else "down", "said": said}


def _database(context: Context) -> list[dict[str, Any]]:
    """The database, and what it tells of the record and of change capture."""
    try:
        with context.engine.connect() as connection:
            opened = gaps.newest(connection, only_open=True, limit=MOST_GAPS)
            states = capture_states.read(connection, context.settings.stream.capture_report_seconds)
    except UNAVAILABLE as error:
        said = f"does not answer (error {error_code(error)})"
        return [_row("database", up=False, said=said)]
    rows = [_row("database", up=True, said="answers")]
    rows += [
        _row(f"capture {each.source}", up=each.state == "running", said=each.said)
        for each in states
    ]
    if not opened:
        return [*rows, _row("record", up=True, said="no gap is open")]
    return [*rows, *(_row("record", up=False, said=f"{gaps.sentence(gap)}") for gap in opened)]


def _stream(context: Context) -> list[dict[str, Any]]:
    reader = context.feed.reader
    until = time.monotonic() + WAIT_SECONDS
    # A heartbeat comes every few seconds, and the reader begins with records of before.
    while reader.pulse.state() != "ok" and time.monotonic() < until:
        time.sleep(0.1)
    reached = reader.pulse.feed() != "cutOff"
    said = "answers" if reached else "does not answer, or has no such topic"
    rows = [_row("kafka", up=reached, said=said)]
    well = reader.pulse.state() == "ok"
    silent = f"no record within {WAIT_SECONDS:.0f} s"
    rows.append(_row("capture", up=well, said="records come" if well else silent))
    groups = Groups(context.stream, reader)
    try:
        for group in groups.look():
            said = group.said or "Kafka tells nothing of it"
            rows.append(_row(f"consumer {group.name}", up=group.well, said=said))
    finally:
        groups.close()
    return rows


def _process(address: str) -> dict[str, Any]:
    part = f"api {address}"
    connection = http.client.HTTPConnection(address, timeout=ASK_SECONDS)
    try:
        connection.request("GET", "/health/ready", headers={"Host": "localhost"})
        answer = connection.getresponse()
        said = json.loads(answer.read())
        well = answer.status == http.client.OK
        text = f"ready; change stream {said.get('changeStream')}" if well else said.get("message")
        return _row(part, up=well, said=str(text))
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
        return _row(part, up=False, said=f"does not answer ({type(error).__name__})")
    finally:
        connection.close()
