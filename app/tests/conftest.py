"""What all unit tests share: the package on the path, and a real MariaDB of their own."""

import importlib
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mariadb_server import API_PASSWORD, MIGRATE_PASSWORD, MariaDB

if TYPE_CHECKING:
    from connect_server import Connect
    from kafka_server import Kafka

# The tests are of the tree they stand in, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# kafka-python 3.0 reads its schemas, at import, by a function that Python 3.11 deprecates;
# warnings are errors in the tests, but not those of other people's imports.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    importlib.import_module("kafka")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to ``make test`` what needs a Kafka: it takes longer than all the rest."""
    for item in items:
        if {"kafka", "connect"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A running server without any database of ours."""
    # A short path: a Unix socket's name has 107 bytes at most.
    home = Path(tempfile.mkdtemp(prefix="helfy-mariadb-"))
    server = MariaDB(home)
    try:
        server.install()
        server.start()
        for user, password in (
            ("helfy_api", API_PASSWORD),
            ("helfy_migrate", MIGRATE_PASSWORD),
        ):
            server.execute(f"CREATE USER {user}@'127.0.0.1' IDENTIFIED BY '{password}'")
        yield server
    finally:
        server.stop()
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def kafka() -> "Iterator[Kafka]":
    """A running Kafka without any topic of ours."""
    home = Path(tempfile.mkdtemp(prefix="helfy-kafka-"))
    try:
        # Not before kafka-python was imported as above.
        server: Kafka = importlib.import_module("kafka_server").Kafka(home)
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def connect() -> "Iterator[Connect]":
    """A running Kafka Connect without a connector; see connect_server.py."""
    home = Path(tempfile.mkdtemp(prefix="helfy-connect-"))
    server: Connect = importlib.import_module("connect_server").Connect(home)
    try:
        server.start()
        yield server
    finally:
        server.close()
        shutil.rmtree(home)
