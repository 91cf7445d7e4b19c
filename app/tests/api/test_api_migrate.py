"""The command ``helfy-migrate``: upgrade, current and seed."""

import io
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from api_support import run_migrate
from mariadb_server import MariaDB

from helfy.migrations import runner
from helfy.migrations.__main__ import main as migrate
from helfy.passwords import Hasher

HEAD = "0003"
ADMIN = {
    "username": "Admin",
    "email": "Admin@Example.com",
    "password": "password",
    "role": "admin",
}


def seed(
    monkeypatch: pytest.MonkeyPatch, options: list[str], accounts: object, *more: str
) -> list[str]:
    """Put the accounts on stdin and return the command line."""
    text = accounts if isinstance(accounts, str) else json.dumps(accounts)
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    return [*options, "seed", "--bcrypt-cost", "4", *more]


def test_current_and_upgrade_say_what_there_is_to_do(
    options: list[str], capsys: pytest.CaptureFixture[str], mariadb: MariaDB
) -> None:
    current = run_migrate(capsys, *options, "current")
    assert current == {"current": None, "head": HEAD, "pending": 3, "known": True}
    assert mariadb.execute("SHOW TABLES", database="fresh") == [], "current changes nothing"

    upgraded = run_migrate(capsys, *options, "upgrade")
    assert upgraded == {"changed": True, "from": None, "to": HEAD}
    again = run_migrate(capsys, *options, "upgrade")
    assert again == {"changed": False, "from": HEAD, "to": HEAD}
    current = run_migrate(capsys, *options, "current")
    assert current == {"current": HEAD, "head": HEAD, "pending": 0, "known": True}


def test_a_database_newer_than_the_release_is_left_alone(
    options: list[str], capsys: pytest.CaptureFixture[str], mariadb: MariaDB
) -> None:
    run_migrate(capsys, *options, "upgrade")
    mariadb.execute("UPDATE alembic_version SET version_num = '9999'", database="fresh")

    current = run_migrate(capsys, *options, "current")
    assert current == {"current": "9999", "head": HEAD, "pending": 0, "known": False}
    assert migrate([*options, "upgrade"]) == 1
    assert "9999" in capsys.readouterr().err


def test_two_upgrades_at_once_do_not_collide(options: list[str], mariadb: MariaDB) -> None:
    command = [sys.executable, "-m", "helfy.migrations", *options, "upgrade"]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"}
    both = [
        subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True)
        for _ in range(2)
    ]
    results = [process.communicate(timeout=60) for process in both]

    assert [process.returncode for process in both] == [0, 0], results
    assert sorted(json.loads(out)["changed"] for out, _ in results) == [False, True]
    assert mariadb.execute("SELECT * FROM alembic_version", database="fresh") == [(HEAD,)]


def test_the_lock_is_waited_for_and_let_go(engine: sa.Engine, mariadb: MariaDB) -> None:
    holder = mariadb.connect()
    cursor = holder.cursor()
    cursor.execute("SELECT GET_LOCK('helfy.migrate', 0)")
    refused = pytest.raises(runner.MigrationError, match="another migration")
    with refused, runner.exclusively(engine, seconds=0):
        pass
    threading.Timer(0.3, holder.close).start()
    started = time.monotonic()
    with runner.exclusively(engine, seconds=20):
        assert time.monotonic() - started < 10
    with runner.exclusively(engine, seconds=0):
        pass


def test_seed_makes_what_is_missing_and_touches_nothing_else(
    options: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    mariadb: MariaDB,
) -> None:
    query = "SELECT username, email, role, password_hash, updated_at FROM users"
    rehearsed = run_migrate(capsys, *seed(monkeypatch, options, [ADMIN], "--dry-run"))
    assert rehearsed == {"changed": True, "created": ["admin"]}, "even without tables"
    run_migrate(capsys, *options, "upgrade")

    rehearsed = run_migrate(capsys, *seed(monkeypatch, options, [ADMIN], "--dry-run"))
    assert rehearsed == {"changed": True, "created": ["admin"]}
    assert mariadb.execute(query, database="fresh") == []

    seeded = run_migrate(capsys, *seed(monkeypatch, options, [ADMIN]))
    assert seeded == {"changed": True, "created": ["admin"]}
    [row] = mariadb.execute(query, database="fresh")
    assert row[:3] == ("admin", "admin@example.com", "admin")
    assert Hasher(4).matches("password", row[3])

    other = ADMIN | {"password": "another", "email": "other@example.com", "role": "user"}
    for more in ([], ["--dry-run"]):
        again = run_migrate(capsys, *seed(monkeypatch, options, [other], *more))
        assert again == {"changed": False, "created": []}
    assert mariadb.execute(query, database="fresh") == [row]

    mariadb.execute("UPDATE users SET username = 'boss'", database="fresh")
    for more in ([], ["--dry-run"]):
        renamed = run_migrate(capsys, *seed(monkeypatch, options, [ADMIN], *more))
        assert renamed == {"changed": False, "created": []}, "it has a new name, not a new self"
    mariadb.execute(
        "UPDATE users SET username = 'admin', updated_at = %s", row[4], database="fresh"
    )

    assert migrate(seed(monkeypatch, options, [ADMIN | {"username": "second"}])) == 1
    assert "account second: its email" in capsys.readouterr().err
    assert mariadb.execute(query, database="fresh") == [row]


def test_a_deleted_account_does_not_come_again_with_its_known_password(
    options: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    mariadb: MariaDB,
) -> None:
    run_migrate(capsys, *options, "upgrade")
    run_migrate(capsys, *seed(monkeypatch, options, [ADMIN]))
    # As if the release before had made it, which kept no list.
    mariadb.execute("DELETE FROM seeded_accounts", database="fresh")
    again = run_migrate(capsys, *seed(monkeypatch, options, [ADMIN, ADMIN]))
    assert again == {"changed": False, "created": []}
    mariadb.execute("DELETE FROM users", database="fresh")

    again = run_migrate(capsys, *seed(monkeypatch, options, [ADMIN]))

    assert again == {"changed": False, "created": []}
    assert mariadb.execute("SELECT * FROM users", database="fresh") == []


@pytest.mark.parametrize(
    ("accounts", "named"),
    [
        ("", "(all)"),
        ("{}", "(all)"),
        ([{"username": "x"}], "0.email"),
        ([ADMIN, ADMIN | {"username": "a@b"}], "1: username"),
        ([ADMIN | {"username": "a b"}], "username"),
        ([ADMIN | {"email": "nobody"}], "email"),
        ([ADMIN | {"password": "s3cret" * 13}], "72 bytes"),
        ([ADMIN | {"password": ""}], "0.password"),
        ([ADMIN | {"role": "s3cret"}], "0.role"),
        ([ADMIN | {"passwort": "s3cret"}], "0.passwort"),
    ],
)
def test_a_bad_list_of_accounts_is_refused_by_name(
    options: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    accounts: object,
    named: str,
) -> None:
    assert migrate(seed(monkeypatch, options, accounts)) == 2
    error = capsys.readouterr().err
    assert named in error
    assert "s3cret" not in error


def test_seed_before_upgrade_says_so(
    options: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert migrate(seed(monkeypatch, options, [ADMIN])) == 1
    assert "run upgrade first" in capsys.readouterr().err


def test_a_database_that_is_away_or_refuses_is_named(
    options: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, mariadb: MariaDB
) -> None:
    (tmp_path / "login").write_text("[client]\nuser=helfy_migrate\npassword=wrong-pw\n")
    assert migrate([*options, "current"]) == 1
    error = capsys.readouterr().err
    assert f"{mariadb.host}:{mariadb.port}" in error
    assert "the account helfy_migrate (MySQL error 1045)" in error
    assert "wrong-pw" not in error
    with mariadb.stopped():
        assert migrate([*options, "upgrade"]) == 1
    error = capsys.readouterr().err
    assert f"{mariadb.host}:{mariadb.port}" in error
    assert "Traceback" not in error
