"""One machine: a shell on it, its database, its Python."""

import json
import shlex
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

import testinfra  # type: ignore[import-untyped]  # it has no marker file

T = TypeVar("T")

ROOT: Final = Path(__file__).resolve().parents[2]


class MachineError(Exception):
    """A command on a machine failed, or what was waited for did not come."""


def wait_for(
    probe: Callable[[], T | None], what: str, seconds: float = 30.0, pause: float = 0.2
) -> T:
    """Ask until the answer is neither None nor False; raise MachineError when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer is not None and answer is not False:
            return answer
        if time.monotonic() >= deadline:
            raise MachineError(f"not within {seconds:g} s: {what}")
        time.sleep(pause)


@dataclass(frozen=True)
class Machine:
    """One host of the inventory. ``vars`` has the names in machines.WANTED."""

    name: str
    groups: frozenset[str]
    vars: dict[str, Any]
    ssh: dict[str, str]
    sockets: Path

    @property
    def address(self) -> str:
        """Where the machine is reached from here."""
        return str(self.vars["ansible_host"])

    @property
    def api_units(self) -> list[str]:
        """The API's processes, as units."""
        first, count = self.vars["helfy_api_first_port"], int(self.vars["helfy_api_processes"])
        return [f"helfy-api@{port}.service" for port in range(first, first + count)]

    @cached_property
    def testinfra(self) -> Any:
        """The same machine, as testinfra sees it, as root."""
        return testinfra.get_host(
            f"ssh://{self.ssh['user']}@{self.address}:{self.ssh['port']}",
            ssh_extra_args=shlex.join(self._options()),
            sudo=True,
        )

    @property
    def sql_login(self) -> dict[str, str]:
        """How a program on the machine logs in as the database's root, for pymysql."""
        if "tidb" in self.groups:
            return {"read_default_file": "/root/.my.cnf"}
        return {"unix_socket": "/run/mysqld/mysqld.sock", "user": "root"}

    def attempt(
        self, script: str, stdin: str = "", *, root: bool = True, seconds: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell script, as root or else as the user who logs in."""
        command = f"{'sudo ' if root else ''}/bin/sh -c {shlex.quote(script)}"
        return subprocess.run(
            ["ssh", *self._options(), "-p", self.ssh["port"], self._target(), command],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            cwd=ROOT,
        )

    def run(self, script: str, stdin: str = "", *, root: bool = True, seconds: float = 60.0) -> str:
        """Do the same and give its output; raise MachineError where it fails."""
        done = self.attempt(script, stdin, root=root, seconds=seconds)
        if done.returncode != 0:
            raise MachineError(
                f"{self.name}: exit status {done.returncode} of: {script}\n"
                f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        return done.stdout

    def python(self, program: str, given: Any = None, seconds: float = 60.0) -> Any:
        """Run a Python program as root: JSON on its stdin, and on its stdout.

        It has the modules of Helfy's release beside the system's.
        """
        libraries = "PYTHONPATH=/opt/helfy/current/lib PYTHONDONTWRITEBYTECODE=1"
        script = f"{libraries} python3 -W ignore -c {shlex.quote(program)}"
        return json.loads(self.run(script, json.dumps(given), seconds=seconds))

    def sql(self, statements: str) -> list[list[str]]:
        """Run SQL as the database's root and give the rows; a NULL is the string NULL."""
        script = f"mariadb --batch --skip-column-names {self.vars['database_name']}"
        return [row.split("\t") for row in self.run(script, statements).splitlines()]

    def hang_up(self) -> None:
        """End the shared connection, which a restart of the machine has cut."""
        subprocess.run(
            ["ssh", *self._options(), "-O", "exit", self._target()],
            capture_output=True,
            check=False,
        )

    def _target(self) -> str:
        return f"{self.ssh['user']}@{self.address}"

    def _options(self) -> list[str]:
        shared = ["ControlMaster=auto", "ControlPersist=60", f"ControlPath={self.sockets}/%C"]
        more = ["BatchMode=yes", "LogLevel=ERROR", "ConnectTimeout=5", "ServerAliveInterval=5"]
        options = [part for option in (*shared, *more) for part in ("-o", option)]
        key = ["-i", self.ssh["key"]] if self.ssh["key"] else []
        return [*options, *shlex.split(self.ssh["args"]), *key]


def control_address(machine: Machine) -> str:
    """Give the address of this machine that the machine sees."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect((machine.address, 9))
        return str(way.getsockname()[0])
