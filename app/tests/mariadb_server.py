"""A real MariaDB for tests, started and stopped at will."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
from pydantic import SecretStr

from helfy.config import Login

PACKAGE = "mariadb-server-core"
API_PASSWORD = "api-pw-4tests"
MIGRATE_PASSWORD = "migrate-pw-4tests"
API_LOGIN = Login("helfy_api", SecretStr(API_PASSWORD))
MIGRATE_LOGIN = Login("helfy_migrate", SecretStr(MIGRATE_PASSWORD))


def option_file(login: Login) -> str:
    """Return an option file of MySQL's clients, as a credential has it."""
    return f"[client]\nuser={login.user}\npassword={login.password.get_secret_value()}\n"


_START_SECONDS = 30
_SYSTEM_TABLES = (
    "mysql_system_tables.sql",
    "mysql_performance_tables.sql",
    "mysql_system_tables_data.sql",
)


class MariaDB:
    """A MariaDB server in a directory of its own, on a free port of 127.0.0.1.

    Accounts: ``root`` without a password, ``helfy_api`` and ``helfy_migrate`` with the rights
    that they have on a VM. Nothing of the host's configuration is read. With ``certificate``, a
    file with the key too, it speaks TLS. With ``defaults_file``, a configuration as on a VM, it
    starts with that.
    """

    def __init__(self, home: Path, certificate: Path | None = None) -> None:
        self._home = home
        self._certificate = certificate
        self.defaults_file: Path | None = None
        self._binary = _binary()
        self._process: subprocess.Popen[bytes] | None = None
        self.host = "127.0.0.1"
        self.port = _free_port()

    @property
    def socket(self) -> str:
        """Where its root logs in."""
        return f"{self._home}/socket"

    def install(self) -> None:
        """Make the data directory (mariadb-install-db needs a second package for this)."""
        (self._home / "data" / "mysql").mkdir(parents=True)
        sql = "USE mysql;\n" + "".join(
            Path("/usr/share/mysql", name).read_text() for name in _SYSTEM_TABLES
        )
        done = subprocess.run(
            [*self._command(), "--bootstrap"], input=sql.encode(), capture_output=True, check=False
        )
        if done.returncode:
            pytest.fail(f"mariadbd --bootstrap failed:\n{done.stderr.decode()}")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._command() if self.defaults_file is None else self._configured()),
                    f"--port={self.port}",
                    f"--socket={self._home}/socket",
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.connect().close()
            except pymysql.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"mariadbd does not run:\n{(self._home / 'log').read_text()}")
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop the server by its process id, if it runs."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Have the server stopped for a while: connections are refused."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Have the server silent for a while: connections are made, nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def connect(self, database: str | None = None) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """Return a connection as root, in UTC, committing every statement."""
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user="root",
            database=database,
            charset="utf8mb4",
            autocommit=True,
            init_command="SET time_zone = '+00:00'",
        )

    def execute(
        self, sql: str, *values: object, database: str | None = None
    ) -> list[tuple[object, ...]]:
        """Run one statement as root and return its rows."""
        with contextlib.closing(self.connect(database)) as connection:
            cursor = connection.cursor()
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

    def create_database(self, name: str) -> None:
        """Make an empty database and give the accounts their rights to it."""
        # In a character set that is not ours: the migrations must not rely on a default.
        self.execute(f"CREATE DATABASE {name} CHARACTER SET latin1")
        self.execute(f"GRANT ALL ON {name}.* TO helfy_migrate@'127.0.0.1'")
        self.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.* TO helfy_api@'127.0.0.1'")

    def _configured(self) -> list[str]:
        return [self._binary, f"--defaults-file={self.defaults_file}", *self._places()]

    def _places(self) -> list[str]:
        return [
            f"--datadir={self._home}/data",
            f"--pid-file={self._home}/pid",
            "--lc-messages-dir=/usr/share/mysql",
            "--innodb-log-file-size=8M",
            *(["--user=root"] if os.getuid() == 0 else []),
        ]

    def _command(self) -> list[str]:
        return [
            self._binary,
            "--no-defaults",
            *self._places(),
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=16M",
            # Tests outlive no power cut.
            "--innodb-flush-log-at-trx-commit=0",
            # A zone that is not ours: whatever is stored must be in UTC all the same.
            "--default-time-zone=+05:30",
            *(
                [f"--ssl-cert={self._certificate}", f"--ssl-key={self._certificate}"]
                if self._certificate
                else []
            ),
        ]


def _binary() -> str:
    found = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.fail(f"mariadbd is missing; install it: apt-get install {PACKAGE}", pytrace=False)
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def migrate_options(home: Path, mariadb: "MariaDB", database: str) -> list[str]:
    """Write what ``helfy-migrate`` reads and return its options."""
    (home / "login").write_text(option_file(MIGRATE_LOGIN))
    (home / "migrate.toml").write_text(
        f'[database]\nhost = "{mariadb.host}"\nport = {mariadb.port}\nname = "{database}"\n'
    )
    return ["--config", str(home / "migrate.toml"), "--login-file", str(home / "login")]
