"""First accounts: those that a new installation begins with."""

from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from sqlalchemy import Connection, insert, inspect, select

from helfy.accounts import email_problem, normalise, username_problem
from helfy.migrations.runner import MigrationError
from helfy.passwords import Hasher, encode
from helfy.schema import seeded_accounts, users


class SeedAccount(BaseModel):
    """An account to be, as in the JSON list on standard input."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    username: str
    email: str
    password: Annotated[SecretStr, Field(min_length=1)]
    role: Literal["user", "admin"] = "user"

    @model_validator(mode="after")
    def _acceptable(self) -> Self:
        if problem := username_problem(normalise(self.username)):
            raise ValueError(f"username {problem}")
        if problem := email_problem(normalise(self.email)):
            raise ValueError(f"email {problem}")
        try:
            encode(self.password.get_secret_value())
        except ValueError as error:
            raise ValueError(f"password {error}") from None
        return self


class SeedInputError(Exception):
    """The list of accounts is not what it must be; the text never holds a password."""


def parse(text: str) -> list[SeedAccount]:
    """Read a JSON list of ``{"username", "email", "password", "role"}``.

    Raises:
        SeedInputError: it is something else; every bad field is named.
    """
    try:
        return TypeAdapter(list[SeedAccount]).validate_json(text)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        lines = [
            f"{'.'.join(map(str, p['loc'])) or '(all)'}: {p['msg'].removeprefix('Value error, ')}"
            for p in problems
        ]
        raise SeedInputError("\n".join(lines)) from None


def seed(
    connection: Connection, accounts: list[SeedAccount], hasher: Hasher, *, dry_run: bool = False
) -> list[str]:
    """Insert the accounts whose username does not exist and return their usernames.

    An existing account is never touched, whatever else of it differs, and one that was made
    here before does not come again, whether it was renamed or deleted. With ``dry_run``
    nothing is inserted, and what would be is returned.

    Raises:
        MigrationError: the email address of a new account belongs to another one.
    """
    created: list[str] = []
    before = _seeded(connection)
    for account in accounts:
        username, email = normalise(account.username), normalise(account.email)
        if username in before or username in created:
            continue
        if _exists(connection, "username", username):
            _note(connection, username, dry_run=dry_run)
            before.add(username)
            continue
        if _exists(connection, "email", email):
            raise MigrationError(
                f"account {username}: its email address belongs to another account already"
            )
        if not dry_run:
            row = {
                "username": username,
                "email": email,
                "password_hash": hasher.hash(account.password.get_secret_value()),
                "role": account.role,
            }
            connection.execute(insert(users).values(row))
        _note(connection, username, dry_run=dry_run)
        created.append(username)
    return created


def _exists(connection: Connection, column: str, value: str) -> bool:
    query = select(users.c.id).where(users.c[column] == value)
    return connection.execute(query).first() is not None


def _seeded(connection: Connection) -> set[str]:
    # In a rehearsal the tables may still be those of the release before.
    if not inspect(connection).has_table(seeded_accounts.name):
        return set()
    return set(connection.execute(select(seeded_accounts.c.username)).scalars())


def _note(connection: Connection, username: str, *, dry_run: bool) -> None:
    if not dry_run:
        connection.execute(insert(seeded_accounts).values(username=username))
