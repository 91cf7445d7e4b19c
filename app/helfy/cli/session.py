"""``helfy session``: who is logged in, and an end to it."""

from typing import Any, Final

import click

from helfy import sessions, users
from helfy.cli.context import Context, Refusal, command, written

_COLUMNS: Final = {
    "id": "ID",
    "ip": "ADDRESS",
    "client": "CLIENT",
    "createdAt": "CREATED",
    "lastSeenAt": "LAST SEEN",
    "expiresAt": "EXPIRES",
}


@click.group()
def session() -> None:
    """List and end sessions."""


@session.command("list")
@click.argument("user", metavar="USERNAME|EMAIL")
@command
def list_(context: Context, user: str) -> None:
    """List the sessions of an account that are good now, newest first."""
    found = users.find(context.engine, user)
    rows: list[dict[str, Any]] = []
    after: int | None = None
    while True:
        page = sessions.page(context.engine, context.rules, found.id, after=after)
        rows += [
            {
                "id": each.id,
                "ip": each.ip,
                "client": each.user_agent,
                "createdAt": written(each.created_at),
                "lastSeenAt": written(each.last_seen_at),
                "expiresAt": written(each.expires_at),
            }
            for each in page.items
        ]
        if page.next is None:
            break
        after = page.next
    context.table(rows, _COLUMNS)


@session.command()
@click.argument("user", metavar="USERNAME|EMAIL")
@click.argument("session_id", metavar="[ID]", type=int, required=False)
@click.option("--all", "every", is_flag=True, help="End all of them.")
@command
def end(context: Context, user: str, session_id: int | None, *, every: bool) -> None:
    """End a session of an account, or all of them."""
    if every == (session_id is not None):
        raise click.UsageError("give the id of a session, or --all")
    found = users.find(context.engine, user)
    with context.audit.failures("sessions_ended", targetId=found.id):
        if session_id is None:
            ended = sessions.end_all(context.engine, found.id)
        else:
            ended = int(sessions.end(context.engine, session_id, found.id))
    if session_id is not None and not ended:
        raise Refusal(f"{found.username} has no session {session_id} that could be ended")
    context.audit.write("sessions_ended", "ok", targetId=found.id, sessionsEnded=ended)
    context.say({"id": found.id, "sessionsEnded": ended}, f"sessions ended: {ended}")
