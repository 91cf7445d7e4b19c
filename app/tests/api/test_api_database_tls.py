"""TLS to the database: with whom the authority vouches for, and with nobody else."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from authority import Authority
from mariadb_server import API_PASSWORD, MariaDB
from pydantic import SecretStr, ValidationError
from sqlalchemy import text

from helfy.database import UNAVAILABLE, Database, connect, error_code

CANNOT_CONNECT = 2003


@pytest.fixture(name="home", scope="module")
def _home() -> Iterator[Path]:
    # A short path: see the session's MariaDB.
    folder = Path(tempfile.mkdtemp(prefix="helfy-mariadb-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(name="authority", scope="module")
def _authority(home: Path) -> Authority:
    return Authority(home)


@pytest.fixture(name="server", scope="module")
def _server(home: Path, authority: Authority) -> Iterator[MariaDB]:
    server = MariaDB(home, authority.vouch("127.0.0.1"))
    try:
        server.install()
        server.start()
        server.execute("CREATE USER helfy_migrate@'127.0.0.1'")
        server.execute(
            f"CREATE USER helfy_api@'127.0.0.1' IDENTIFIED BY '{API_PASSWORD}' REQUIRE SSL"
        )
        server.create_database("helfy")
        yield server
    finally:
        server.stop()


def cipher(server: MariaDB, ca_file: Path) -> str:
    """Connect as the API does and give the cipher in use, empty where there is none."""
    settings = Database(host=server.host, port=server.port, user="helfy_api", ca_file=str(ca_file))
    engine = connect(settings, SecretStr(API_PASSWORD))
    try:
        with engine.connect() as connection:
            row = connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()
            return str(row[1])
    finally:
        engine.dispose()


def test_with_whom_the_authority_vouches_for(server: MariaDB, authority: Authority) -> None:
    assert cipher(server, authority.file).startswith("TLS_")


def test_not_with_whom_another_authority_vouches_for(server: MariaDB, tmp_path: Path) -> None:
    with pytest.raises(UNAVAILABLE, match="CERTIFICATE_VERIFY_FAILED") as refused:
        cipher(server, Authority(tmp_path).file)
    assert error_code(refused.value) == CANNOT_CONNECT


def test_not_with_a_certificate_for_another_address(server: MariaDB, authority: Authority) -> None:
    home = Path(tempfile.mkdtemp(prefix="helfy-mariadb-"))
    other = MariaDB(home, authority.vouch("192.0.2.1"))
    try:
        other.install()
        other.start()
        with pytest.raises(UNAVAILABLE, match="CERTIFICATE_VERIFY_FAILED"):
            cipher(other, authority.file)
    finally:
        other.stop()
        shutil.rmtree(home)
    assert cipher(server, authority.file)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="cannot be read \\(No such file"):
        Database(user="helfy_api", ca_file=str(tmp_path / "ca.pem"))
