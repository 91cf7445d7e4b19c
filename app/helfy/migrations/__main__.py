"""``helfy-migrate``: the database's schema, and the accounts it begins with.

    helfy-migrate --config /etc/helfy/migrate.toml current
    helfy-migrate --config /etc/helfy/migrate.toml upgrade
    helfy-migrate --config /etc/helfy/migrate.toml seed [--dry-run] <accounts.json

Prints one line of JSON. Exit status: 0 done, 1 the database cannot be reached or refuses,
2 the command line, the settings or the list of accounts is wrong; then stderr says why.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from helfy.accounts import normalise
from helfy.config import ConfigError, Login, Section, load, login
from helfy.database import UNAVAILABLE, Database, connect, error_code
from helfy.migrations import runner, seed
from helfy.passwords import HIGHEST_COST, LOWEST_COST, Hasher

# For one statement: a table may be large, and the wait for the lock is one as well.
_STATEMENT_SECONDS = 3600.0
_NO_SUCH_TABLE = 1146


class MigrateFile(Section):
    """The settings file."""

    database: Database


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        settings = load(options.config, MigrateFile).database
        account = login("database_login", options.login_file)
        accounts = seed.parse(sys.stdin.read()) if options.command == "seed" else []
    except (ConfigError, seed.SeedInputError) as error:
        return _fail(2, str(error))
    engine = connect(
        settings,
        account,
        read_seconds=_STATEMENT_SECONDS,
        lock_seconds=int(_STATEMENT_SECONDS),
    )
    commands: dict[str, Callable[[], dict[str, Any]]] = {
        "current": lambda: _current(engine),
        "upgrade": lambda: _upgrade(engine),
        "seed": lambda: _seed(engine, accounts, options),
    }
    try:
        print(json.dumps(commands[options.command]()))
    except runner.MigrationError as error:
        return _fail(1, str(error))
    except UNAVAILABLE as error:
        return _fail(1, _unavailable(settings, account, error))
    except DBAPIError as error:
        return _fail(1, _refused(settings, error))
    finally:
        engine.dispose()
    return 0


def _current(engine: Engine) -> dict[str, Any]:
    with engine.connect() as connection:
        found = runner.position(connection)
    return {
        "current": found.current,
        "head": found.head,
        "pending": found.pending,
        "known": found.known,
    }


def _upgrade(engine: Engine) -> dict[str, Any]:
    with runner.exclusively(engine) as connection:
        before, after = runner.upgrade(connection)
    changed = before.current != after.current
    return {"changed": changed, "from": before.current, "to": after.current}


def _seed(
    engine: Engine, accounts: list[seed.SeedAccount], options: argparse.Namespace
) -> dict[str, Any]:
    hasher = Hasher(options.bcrypt_cost)
    with runner.exclusively(engine) as connection:
        if options.dry_run and runner.position(connection).current is None:
            # Nothing is there yet, as in a rehearsal of a first deployment: all would be new.
            created = sorted({normalise(account.username) for account in accounts})
            return {"changed": bool(created), "created": created}
        created = seed.seed(connection, accounts, hasher, dry_run=options.dry_run)
        connection.commit()
    return {"changed": bool(created), "created": created}


def _unavailable(settings: Database, account: Login, error: Exception) -> str:
    code = error_code(error)
    number = f" (MySQL error {code})" if code is not None else ""
    return (
        f"the database {settings.name} at {settings.host}:{settings.port} does not answer "
        f"or refuses the account {account.user}{number}; see that it runs, that the account "
        f"exists with its rights, and that the password is the right one"
    )


def _refused(settings: Database, error: DBAPIError) -> str:
    where = f"{settings.host}:{settings.port}"
    code = error_code(error)
    if code == _NO_SUCH_TABLE:
        return f"the database {settings.name} at {where} has no tables yet; run upgrade first"
    return f"the database {settings.name} at {where} refused a statement (MySQL error {code})"


def _fail(status: int, text: str) -> int:
    print(f"helfy-migrate: {text}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="helfy-migrate", description="The database's schema and first accounts."
    )
    parser.add_argument("--config", type=Path, required=True, help="for example migrate.toml")
    parser.add_argument(
        "--login-file",
        type=Path,
        help="option file with the account; by default $CREDENTIALS_DIRECTORY/database_login",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("current", help="say where the database stands; changes nothing")
    commands.add_parser("upgrade", help="bring the schema to the newest revision")
    seeding = commands.add_parser(
        "seed", help="insert the accounts on stdin (JSON) whose username does not exist"
    )
    seeding.add_argument("--dry-run", action="store_true", help="say what it would insert")
    seeding.add_argument(
        "--bcrypt-cost",
        type=int,
        choices=range(LOWEST_COST, HIGHEST_COST + 1),
        default=12,
        help="of the passwords' hashes (default: %(default)s); a login corrects it",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
