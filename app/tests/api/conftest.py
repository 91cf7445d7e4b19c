"""The API's tests: an application on a migrated database with three accounts in it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from api_process import Process
from api_support import COST, HASH, KEY, PROXY_KEY, Log, MakeApp, ProxyClient, services_of
from flask import Flask
from flask.testing import FlaskClient
from mariadb_server import API_LOGIN, MIGRATE_LOGIN, MariaDB, migrate_options
from pydantic import SecretStr

from helfy.api import create_app
from helfy.api.settings import Settings
from helfy.database import Database, connect
from helfy.migrations.__main__ import main as migrate
from helfy.schema import metadata


@pytest.fixture(scope="session")
def _migrated(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> MariaDB:
    mariadb.create_database("helfy")
    home = tmp_path_factory.mktemp("migrate")
    assert migrate([*migrate_options(home, mariadb, "helfy"), "upgrade"]) == 0
    return mariadb


@pytest.fixture
def database(_migrated: MariaDB) -> MariaDB:
    """The database ``helfy`` with the accounts alice (1), bob (2, disabled) and root (3, admin)."""
    rows = [
        (1, "alice", "alice@example.com", HASH, "user", "active"),
        (2, "bob", "bob@example.com", HASH, "user", "disabled"),
        (3, "root", "root@example.com", HASH, "admin", "active"),
    ]
    with closing(_migrated.connect("helfy")) as connection, connection.cursor() as cursor:
        # Not TRUNCATE: that takes a third of a second, each time.
        for table in metadata.tables:
            cursor.execute(f"DELETE FROM {table}")
        cursor.executemany(
            "INSERT INTO users (id, username, email, password_hash, role, status)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            rows,
        )
    return _migrated


@pytest.fixture
def settings(database: MariaDB) -> Settings:
    """Settings for the test database, at the lowest cost."""
    return Settings.model_validate(
        {
            "database": {"host": database.host, "port": database.port},
            "passwords": {"bcrypt_cost": COST},
            "database_login": API_LOGIN,
            "token_keys": (SecretStr(KEY),),
            "proxy_keys": (SecretStr(PROXY_KEY),),
        }
    )


@pytest.fixture
def make_app(settings: Settings) -> Iterator[MakeApp]:
    """Make applications whose settings differ by sections: ``make_app(token_keys=…)``."""
    made: list[Flask] = []

    def make(**changes: Any) -> Flask:
        app = create_app(settings.model_copy(update=changes))
        app.test_client_class = ProxyClient
        made.append(app)
        return app

    yield make
    for app in made:
        services_of(app).engine.dispose()


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """An application."""
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Its client."""
    return app.test_client()


@pytest.fixture
def processes(tmp_path: Path, database: MariaDB) -> Iterator[Callable[..., Process]]:
    """Start processes of the API, each with more settings where wanted."""
    made: list[Process] = []

    def make(more: str = "") -> Process:
        made.append(Process(tmp_path / f"process-{len(made)}", database, more))
        return made[-1]

    yield make
    for process in made:
        process.clean_up()


@pytest.fixture
def process(processes: Callable[..., Process]) -> Process:
    """A running process."""
    return processes()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    """What the application logs, from info up."""
    caplog.set_level("INFO")
    return Log(caplog)


@pytest.fixture
def options(mariadb: MariaDB, tmp_path: Path) -> Iterator[list[str]]:
    """Options of ``helfy-migrate`` for an empty database, ``fresh``."""
    mariadb.create_database("fresh")
    yield migrate_options(tmp_path, mariadb, "fresh")
    mariadb.execute("DROP DATABASE fresh")


@pytest.fixture
def engine(mariadb: MariaDB, options: list[str]) -> Iterator[sa.Engine]:
    """An engine for the same."""
    assert options
    settings = Database(host=mariadb.host, port=mariadb.port, name="fresh")
    engine = connect(settings, MIGRATE_LOGIN)
    yield engine
    engine.dispose()
