"""``helfy gaps``: spans in which the record may be incomplete, and who acknowledged them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import click
from sqlalchemy import Connection

from helfy import gaps as record
from helfy.cli.audit import operator
from helfy.cli.changes import Moment
from helfy.cli.context import Context, Refusal, command, written
from helfy.database import transaction
from helfy.schema import USERNAME_LENGTH

RECENT: Final = 20
_COLUMNS: Final = {
    "id": "ID",
    "startsAt": "FROM",
    "endsAt": "TO",
    "cause": "CAUSE",
    "acknowledgedBy": "ACKNOWLEDGED BY",
    "detail": "DETAIL",
}


@click.group(invoke_without_command=True)
@click.option("--all", "every", is_flag=True, help=f"All of them, not the {RECENT} newest alone.")
@click.option("--open", "only_open", is_flag=True, help="Only those that nobody acknowledged.")
@command
def gaps(context: Context, *, every: bool, only_open: bool) -> None:
    """List the gaps of the record (those that nobody acknowledged first), add, acknowledge.

    Between FROM and TO the record may be incomplete.
    """
    if click.get_current_context().invoked_subcommand is None:
        found = _listed(context, every=every)
        rows = [_row(gap) for gap in found if gap.open or not only_open]
        context.table(rows, _COLUMNS)


def _listed(context: Context, *, every: bool) -> list[record.Gap]:
    with context.engine.connect() as connection:
        if not every:
            # Whatever is open is listed.
            known = {gap.id: gap for gap in _every(connection, only_open=True)}
            known |= {gap.id: gap for gap in record.newest(connection, limit=RECENT)}
        else:
            known = {gap.id: gap for gap in _every(connection, only_open=False)}
    return sorted(known.values(), key=lambda gap: (not gap.open, -gap.id))


def _every(connection: Connection, *, only_open: bool) -> list[record.Gap]:
    found: list[record.Gap] = []
    while page := record.newest(
        connection, only_open=only_open, before=found[-1].id if found else None
    ):
        found += page
    return found


@gaps.command()
@click.option("--cause", required=True, help="A code, such as skipped_transaction.")
@click.option(
    "--source-id", required=True, help="What identifies it at its source: it is added once."
)
@click.option("--from", "starts", type=Moment(), help="When it begins, if that is known.")
@click.option("--to", "ends", type=Moment(), help="When it ends, if that is known.")
@click.option("--detail", required=True, help="What is known of it, without values of statements.")
@command
def add(  # noqa: PLR0913, PLR0917 - one for each option
    context: Context,
    cause: str,
    source_id: str,
    starts: float | None,
    ends: float | None,
    detail: str,
) -> None:
    """Announce a gap; one with this source id is not announced again."""
    if len(detail) > record.DETAIL_LENGTH:
        raise click.UsageError(f"--detail must have at most {record.DETAIL_LENGTH} characters")
    try:
        new = record.NewGap(cause, source_id, detail, _moment(starts), _moment(ends))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    made = transaction(context.engine, lambda connection: record.announce(connection, new))
    if made is None:
        context.say({"added": False}, f"{source_id} is on record already")
        return
    context.audit.write("gap_announced", "ok", gapId=made.id, cause=cause, sourceId=source_id)
    context.say({"added": True, **_row(made)}, f"gap {made.id} added")


@gaps.command()
@click.argument("ids", metavar="ID...", type=click.IntRange(1), nargs=-1, required=True)
@command
def acknowledge(context: Context, ids: tuple[int, ...]) -> None:
    """Note that you know of a gap: it is not reported any more. Who and when is on record."""
    by = operator()[:USERNAME_LENGTH]
    refused: list[str] = []
    rows: list[dict[str, Any]] = []
    for gap_id in dict.fromkeys(ids):
        try:
            gap = transaction(context.engine, _acknowledgement(gap_id, by))
        except record.GapError as error:
            context.audit.write("gap_acknowledged", "refused", gapId=gap_id)
            refused.append(f"gap {gap_id}: {error}")
            continue
        context.audit.write("gap_acknowledged", "ok", gapId=gap_id, cause=gap.cause)
        rows.append(_row(gap))
    if rows:
        context.say(rows, "\n".join(f"gap {row['id']} acknowledged" for row in rows))
    if refused:
        raise Refusal("; ".join(refused))


def _acknowledgement(gap_id: int, by: str) -> Callable[[Connection], record.Gap]:
    return lambda connection: record.acknowledge(connection, gap_id, by)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _row(gap: record.Gap) -> dict[str, Any]:
    moments = (gap.starts_at, gap.ends_at, gap.detected_at, gap.acknowledged_at)
    starts, ends, detected, acknowledged = (each and written(each) for each in moments)
    return {
        "id": gap.id,
        "cause": gap.cause,
        "sourceId": gap.source_id,
        "startsAt": starts,
        "endsAt": ends,
        "detail": gap.detail,
        "detectedAt": detected,
        "acknowledgedAt": acknowledged,
        "acknowledgedBy": gap.acknowledged_by,
        "sentence": record.sentence(gap),
    }
