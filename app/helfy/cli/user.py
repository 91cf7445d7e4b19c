"""``helfy user``: accounts."""

import sys
from dataclasses import asdict
from typing import Any, Final

import click

from helfy import user_changes, users
from helfy.cli.context import Context, Refusal, command
from helfy.schema import ROLES, STATUSES

_LONGEST_LINE: Final = 4096
_COLUMNS: Final = {
    "id": "ID",
    "username": "USERNAME",
    "email": "EMAIL",
    "role": "ROLE",
    "status": "STATUS",
    "must_change_password": "MUST CHANGE PASSWORD",
    "created_at": "CREATED",
}


@click.group()
def user() -> None:
    """Add, list and change accounts."""


_must_change = click.option(
    "--must-change/--keep",
    default=True,
    show_default=True,
    help="Whether the password has to be changed at the next login.",
)


@user.command()
@click.argument("username")
@click.argument("email")
@click.option("--role", type=click.Choice(ROLES), default="user", show_default=True)
@_must_change
@command
def add(context: Context, username: str, email: str, role: str, *, must_change: bool) -> None:
    """Add an account. The password is asked for, or read from standard input."""
    context.engine  # noqa: B018 - what is wrong with the settings comes before the prompt
    new = user_changes.NewUser(username, email, read_password(), role, must_change)
    with context.audit.failures("user_created"):
        made = user_changes.create(context.engine, context.hasher, new)
    context.audit.write("user_created", "ok", targetId=made.id, role=made.role)
    context.say(_document(made), f"{made.username} is account {made.id}")


@user.command()
@click.argument("user", metavar="USERNAME|EMAIL")
@_must_change
@command
def passwd(context: Context, user: str, *, must_change: bool) -> None:
    """Give an account another password, which ends its sessions."""
    found = users.find(context.engine, user)
    new = user_changes.NewPassword(read_password(), must_change)
    with context.audit.failures("password_set", targetId=found.id):
        ended = user_changes.set_password(context.engine, context.hasher, found.id, new)
    context.audit.write("password_set", "ok", targetId=found.id, sessionsEnded=ended)
    context.say(
        {"id": found.id, "sessionsEnded": ended},
        f"{found.username} has another password; sessions ended: {ended}",
    )


@user.command("list")
@click.option("--search", default="", help="A piece of the username or of the email address.")
@click.option("--role", type=click.Choice(ROLES))
@click.option("--status", type=click.Choice(STATUSES))
@command
def list_(context: Context, search: str, role: str | None, status: str | None) -> None:
    """List accounts, by id."""
    rows: list[dict[str, Any]] = []
    after = 0
    while True:
        page = users.page(context.engine, users.Filter(search, role, status, after))
        rows += [_document(each, plain=not context.json) for each in page.items]
        if page.next is None:
            break
        after = page.next
    context.table(rows, _COLUMNS)


@user.command()
@click.argument("user", metavar="USERNAME|EMAIL")
@command
def disable(context: Context, user: str) -> None:
    """Disable an account, which ends its sessions."""
    _set_status(context, user, "disabled")


@user.command()
@click.argument("user", metavar="USERNAME|EMAIL")
@command
def enable(context: Context, user: str) -> None:
    """Let a disabled account log in again."""
    _set_status(context, user, "active")


@user.command()
@click.argument("user", metavar="USERNAME|EMAIL")
@click.option("--yes", is_flag=True, help="Do not ask.")
@command
def delete(context: Context, user: str, *, yes: bool) -> None:
    """Delete an account with its sessions."""
    found = users.find(context.engine, user)
    if not yes and not _confirm_deletion(found):
        raise Refusal("nothing was deleted")
    with context.audit.failures("user_deleted", targetId=found.id):
        user_changes.remove(context.engine, found.id)
    context.audit.write("user_deleted", "ok", targetId=found.id)
    context.say({"id": found.id}, f"{found.username} is deleted")


def read_password() -> str:
    """Ask for a password twice, or read a line of standard input where it is no terminal."""
    if sys.stdin.isatty():
        asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return asked
    try:
        line = sys.stdin.buffer.readline(_LONGEST_LINE).decode()
    except UnicodeDecodeError:
        raise Refusal("the password on standard input is not UTF-8") from None
    password = line.removesuffix("\n").removesuffix("\r")
    if not password:
        raise Refusal("no password came on standard input; give it as the first line")
    return password


def _confirm_deletion(found: users.User) -> bool:
    """Ask; an admin's username has to be typed."""
    if found.role != "admin":
        return click.confirm(f"Delete the account {found.username} ({found.email})?")
    asked = f"Delete the admin {found.username} ({found.email})? Type the username to confirm"
    return bool(click.prompt(asked, default="", show_default=False) == found.username)


def _set_status(context: Context, name: str, status: str) -> None:
    found = users.find(context.engine, name)
    with context.audit.failures("user_changed", targetId=found.id, changed=["status"]):
        user_changes.change(context.engine, found.id, user_changes.Changes(status=status))
    fields = {"targetId": found.id, "changed": ["status"], "status": status}
    context.audit.write("user_changed", "ok", **fields)
    context.say({"id": found.id, "status": status}, f"{found.username} is {status}")


def _document(found: users.User, *, plain: bool = False) -> dict[str, Any]:
    """An account as JSON, named as in HTTP; ``plain``: by the names of the columns."""
    values = asdict(found) | {"must_change_password": found.must_change_password}
    if plain:
        return values
    return {
        "id": found.id,
        "username": found.username,
        "email": found.email,
        "role": found.role,
        "status": found.status,
        "mustChangePassword": found.must_change_password,
        "createdAt": found.created_at.isoformat().replace("+00:00", "Z"),
        "updatedAt": found.updated_at.isoformat().replace("+00:00", "Z"),
        "passwordChangedAt": found.password_changed_at.isoformat().replace("+00:00", "Z"),
    }
