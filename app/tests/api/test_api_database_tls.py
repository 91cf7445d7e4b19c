"""TLS to the database: with whom the authority vouches for, and with nobody else."""

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme
from mariadb_server import API_LOGIN, API_PASSWORD, MariaDB
from pydantic import ValidationError
from sqlalchemy import text

from helfy.database import UNAVAILABLE, Database, connect, error_code

CANNOT_CONNECT = 2003
NO_TLS = 2026


@pytest.fixture(name="home", scope="module")
def _home() -> Iterator[Path]:
    # A short path: see the session's MariaDB.
    folder = Path(tempfile.mkdtemp(prefix="helfy-mariadb-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(name="authority", scope="module")
def _authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(name="ca_file", scope="module")
def _ca_file(home: Path, authority: trustme.CA) -> Path:
    return ca_file_of(authority, home)


def ca_file_of(authority: trustme.CA, folder: Path) -> Path:
    """Write an authority's certificate into a folder; give the file."""
    file = folder / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return file


def vouch(authority: trustme.CA, folder: Path, address: str) -> Path:
    """Write a key and a certificate for an address into a folder; give the file that has both."""
    file = folder / "server.pem"
    file.touch(mode=0o600)
    authority.issue_cert(address).private_key_and_cert_chain_pem.write_to_path(file)
    return file


@pytest.fixture(name="server", scope="module")
def _server(home: Path, authority: trustme.CA) -> Iterator[MariaDB]:
    server = MariaDB(home, vouch(authority, home, "127.0.0.1"))
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
    settings = Database(host=server.host, port=server.port, ca_file=str(ca_file))
    engine = connect(settings, API_LOGIN)
    try:
        with engine.connect() as connection:
            row = connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()
            return str(row[1])
    finally:
        engine.dispose()


def test_with_whom_the_authority_vouches_for(server: MariaDB, ca_file: Path) -> None:
    assert cipher(server, ca_file).startswith("TLS_")


def test_not_with_whom_another_authority_vouches_for(server: MariaDB, tmp_path: Path) -> None:
    with pytest.raises(UNAVAILABLE, match="CERTIFICATE_VERIFY_FAILED") as refused:
        cipher(server, ca_file_of(trustme.CA(), tmp_path))
    assert error_code(refused.value) == CANNOT_CONNECT


def test_not_with_a_certificate_for_another_address(
    server: MariaDB, authority: trustme.CA, ca_file: Path
) -> None:
    home = Path(tempfile.mkdtemp(prefix="helfy-mariadb-"))
    other = MariaDB(home, vouch(authority, home, "192.0.2.1"))
    try:
        other.install()
        other.start()
        with pytest.raises(UNAVAILABLE, match="CERTIFICATE_VERIFY_FAILED"):
            cipher(other, ca_file)
    finally:
        other.stop()
        shutil.rmtree(home)
    assert cipher(server, ca_file)


@contextmanager
def listening_in(server: MariaDB) -> Iterator[tuple[Database, bytearray]]:
    """Stand before a server and let its greeting through; give all that a client sends then."""
    heard = bytearray()
    front = socket.create_server(("127.0.0.1", 0))
    front.settimeout(10)

    def relay() -> None:
        address = (server.host, server.port)
        with front.accept()[0] as client, socket.create_connection(address) as behind:
            client.sendall(behind.recv(4096))
            client.settimeout(1)
            with suppress(TimeoutError, ConnectionError):
                while piece := client.recv(4096):
                    heard.extend(piece)

    thread = threading.Thread(target=relay)
    thread.start()
    try:
        yield Database(port=front.getsockname()[1]), heard
    finally:
        thread.join()
        front.close()


def test_a_server_without_tls_is_refused_and_told_nothing(mariadb: MariaDB, ca_file: Path) -> None:
    for trusted in (str(ca_file), None):
        with listening_in(mariadb) as (settings, heard):
            engine = connect(settings.model_copy(update={"ca_file": trusted}), API_LOGIN)
            with pytest.raises(UNAVAILABLE) as refused:
                engine.connect()
            engine.dispose()
        if trusted:
            assert error_code(refused.value) == NO_TLS
            assert heard == b""
        else:  # who asks for no TLS sends name and answer: they would have been heard
            assert b"helfy_api" in heard


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="cannot be read \\(No such file"):
        Database(ca_file=str(tmp_path / "ca.pem"))
