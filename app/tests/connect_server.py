"""A real Kafka Connect with Debezium for tests: what a VM runs, without a VM.

The jars are those that the roles pin, and the settings of the worker, the connector and MariaDB are
rendered from the roles' templates with the roles' defaults: only addresses, paths and passwords
differ. MariaDB and Kafka run beside it, with accounts that have the rights that they have on a VM.

The fixture ``connect`` (one a session) has the worker running without a connector. A test begins
one, for a database of its own, and reads what it writes to a topic of its own::

    def test_update_of_a_row_makes_a_record(connect: Connect) -> None:
        connect.mariadb.execute("CREATE DATABASE fruit")
        connect.mariadb.execute("CREATE TABLE fruit.t (id INT PRIMARY KEY, a INT)")
        with connect.connector("fruit", {"t": ["id", "a"]}) as connector:
            connect.mariadb.execute("INSERT INTO fruit.t VALUES (1, 2)")
            [record] = connector.records()

Rows that are there before become the snapshot, those written within ``with`` the stream.
``connector.records()`` waits until all that was committed has arrived, and raises
ConnectorFailedError where the connector failed; ``records(settle=False)`` gives what is there.
``connect.stop(signal.SIGKILL)`` and ``connect.start()`` take the process, with its connectors, down
and up again. One connector at a time: they share the names of their metrics. Variables of the role
(``debezium_heartbeat_seconds=1``) are further arguments of ``connector``; ``properties`` replaces
or adds lines of the connector's properties.
"""

import contextlib
import functools
import importlib
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from kafka import KafkaConsumer, TopicPartition  # type: ignore[import-untyped]
from kafka.admin import ACLOperation, ResourceType  # type: ignore[import-untyped]
from kafka_server import ADMIN, ROLES, Kafka, artifacts, free_port, jars
from mariadb_server import MariaDB, option_file
from pydantic import SecretStr

from helfy.config import Login
from helfy.consumer.change import Record
from helfy.kafka_consumer import KafkaLogin, security

PASSWORD: Final = "password-4-the-tests"
MARKER: Final = "settle_marker"
_CAPTURE: Final = KafkaLogin("helfy_capture", PASSWORD)
_CAPTURE_USER: Final = f"{_CAPTURE.username}@'127.0.0.1'"
_START_SECONDS: Final = 60
_SETTLE_SECONDS: Final = 60
_WORKER_FILES: Final = ("worker.properties", "log4j2.properties", "logging.properties")


class ConnectorFailedError(Exception):
    """The connector or its task is FAILED; the message is its stack trace."""


class Connect:
    """ConnectStandalone with the role's settings, and the MariaDB and the Kafka that it needs.

    ``url`` is its REST interface, ``offsets`` the file of its offsets, ``process`` what runs.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._numbers = itertools.count(1)
        self._connectors: list[Connector] = []
        self._port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"
        self.offsets = home / "offsets"
        self.kafka = _kafka(home / "kafka")
        self.mariadb = _mariadb(home / "mariadb")
        (home / "credentials").mkdir()
        login = Login("helfy_capture", SecretStr(PASSWORD))
        (home / "credentials/database_login").write_text(option_file(login))
        (home / "credentials/kafka_password").write_text(PASSWORD)
        self._unpack()
        for name in _WORKER_FILES:
            (home / name).write_text(self.rendered(name))

    def start(self) -> None:
        """Start it, with the connectors that it had, and wait until it answers."""
        rewind = [sys.executable, "-I", str(ROLES / "debezium/files/rewind_offsets.py")]
        subprocess.run([*rewind, str(self.offsets)], check=True)
        command = [*self._command(), *(str(each.file) for each in self._connectors)]
        # A zone that is not ours: values must stay in UTC all the same.
        environment = {**os.environ, "TZ": "Asia/Kolkata"}
        with (self._home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self._home, env=environment
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.ask("GET", "/connectors")
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"Kafka Connect does not run:\n{self.log()[-5000:]}")
                time.sleep(0.1)
            else:
                return

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it by its process id, if it runs."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(60)
            self.process = None

    def close(self) -> None:
        """Stop it and all that it needs."""
        self.stop(signal.SIGKILL)
        self.kafka.stop(signal.SIGKILL)
        self.mariadb.stop()

    @contextlib.contextmanager
    def connector(
        self,
        database: str,
        captured: Mapping[str, Sequence[str]],
        *,
        properties: Mapping[str, str] | None = None,
        **overrides: object,
    ) -> "Iterator[Connector]":
        """Capture a database for a while: these columns, by table. It streams when it begins."""
        if self.process is None:
            self.start()
        connector = Connector(self, next(self._numbers), database, captured)
        connector.write_file(properties or {}, overrides)
        self._connectors.append(connector)
        try:
            connector.create()
            connector.settle()
            yield connector
        finally:
            connector.close()
            self._connectors.remove(connector)
            if self.process is None:
                self.start()
            with contextlib.suppress(urllib.error.HTTPError):
                self.ask("DELETE", f"/connectors/{connector.name}")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask its REST interface. Raises OSError, HTTPError for an answer that is an error."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            error.close()
            raise
        return json.loads(content) if content else None

    def log(self) -> str:
        """Give what it has logged: on a VM, the journal of kafka-connect."""
        return (self._home / "log").read_text(errors="replace")

    def rendered(self, name: str, state: Path | None = None, **overrides: object) -> str:
        """Render a template of the role; ``state`` is the folder of what it keeps."""
        said = render(
            "debezium",
            name,
            **{
                "debezium_rest_port": self._port,
                "database_host": self.mariadb.host,
                "database_port": self.mariadb.port,
                "kafka_bootstrap_servers": [self.kafka.server],
                **overrides,
            },
        )
        version = variables("debezium")["debezium_version"]
        for deployed, here in (
            (f"/opt/debezium/{version}", self._home / "plugins"),
            ("/run/credentials/kafka-connect.service", self._home / "credentials"),
            ("/var/lib/kafka-connect", state or self._home),
            ("/etc/kafka-connect", self._home),
        ):
            said = said.replace(deployed, str(here))
        return said

    def _command(self) -> list[str]:
        """Give the unit's command, but for the connector's properties."""
        unit = self.rendered("kafka-connect.service").replace("\\\n", "")
        [said] = re.findall(r"^ExecStart=(.*) \S+connector\.properties$", unit, re.MULTILINE)
        java, *rest = shlex.split(said.replace("/opt/kafka/current/libs", str(jars())))
        return [java, "-XX:TieredStopAtLevel=1", *rest]  # starts faster

    def _unpack(self) -> None:
        [archive] = artifacts("debezium").glob("*.tar.gz")
        (self._home / "plugins").mkdir()
        shutil.unpack_archive(archive, self._home / "plugins", filter="data")


class Connector:
    """A connector of ``connect``, with its database and its topic.

    ``state`` is the folder of its schema history, ``file`` its properties.
    """

    def __init__(
        self, connect: Connect, number: int, database: str, captured: Mapping[str, Sequence[str]]
    ) -> None:
        self._connect = connect
        self.captured = {f"{database}.{table}": tuple(names) for table, names in captured.items()}
        self._captured = {**captured, MARKER: ["id"]}
        self._markers = itertools.count(1)
        self._log_begins = len(connect.log())
        self._records: list[Record] = []
        self._offset = 0
        self.database = database
        self.name = f"helfy-changes-{number}"
        self.topic = f"changes_{number}"
        self.state = connect.offsets.parent / self.name
        self.state.mkdir()
        self.file = self.state / "connector.properties"

    def write_file(self, properties: Mapping[str, str], overrides: Mapping[str, object]) -> None:
        """Render the connector's properties."""
        said = self._connect.rendered(
            "connector.properties",
            self.state,
            debezium_connector=self.name,
            debezium_topic=self.topic,
            debezium_database=self.database,
            debezium_captured_columns=self._captured,
            debezium_secret_columns={},
            **overrides,
        )
        kept = [line for line in said.splitlines() if line.partition("=")[0] not in properties]
        self.file.write_text(
            "\n".join([*kept, *(f"{name}={value}" for name, value in properties.items())])
        )

    def properties(self) -> dict[str, str]:
        """Give the properties that it was begun with."""
        lines = (line.strip() for line in self.file.read_text().splitlines())
        pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
        return {name: value.replace("\\\\", "\\") for name, _, value in pairs}

    def create(self) -> None:
        """Make its topic and its marker's table, and begin it."""
        connect = self._connect
        connect.kafka.make_topic(self.topic, 1, **{"max.message.bytes": "16777216"})
        for operation in (ACLOperation.WRITE, ACLOperation.DESCRIBE):
            connect.kafka.allow(_CAPTURE, ResourceType.TOPIC, self.topic, operation)
        connect.mariadb.execute(
            f"CREATE OR REPLACE TABLE {self.database}.{MARKER} (id BIGINT PRIMARY KEY)"
        )
        for privileges in _capture_privileges(self.database):
            connect.mariadb.execute(f"GRANT {privileges} TO {_CAPTURE_USER}")
        connect.ask("PUT", f"/connectors/{self.name}/config", self.properties())

    def close(self) -> None:
        """Stop reading the topic."""
        if "_consumer" in self.__dict__:
            self._consumer.close()

    def status(self) -> dict[str, Any]:
        """Give what Kafka Connect says of it: ``connector`` and ``tasks``, each with a state."""
        said: dict[str, Any] = self._connect.ask("GET", f"/connectors/{self.name}/status")
        return said

    def states(self) -> list[str]:
        """Give the connector's state and its tasks'."""
        status = self.status()
        return [part["state"] for part in (status["connector"], *status["tasks"])]

    def wait_for(self, state: str, seconds: float = _SETTLE_SECONDS) -> dict[str, Any]:
        """Wait until the connector or a task is in a state; give the status."""
        deadline = time.monotonic() + seconds
        while state not in self.states():
            if time.monotonic() > deadline:
                pytest.fail(f"{self.name} does not become {state}: {self.status()}")
            time.sleep(0.1)
        return self.status()

    def log(self) -> str:
        """Give what Kafka Connect has logged since this connector was made."""
        return self._connect.log()[self._log_begins :]

    def records(self, *, settle: bool = True) -> list[Record]:
        """Give the records of the topic so far, without heartbeats and what the marker made."""
        if settle:
            self.settle()
        else:
            self._read()
        return [record for record in self._records if not _is_own(record)]

    def settle(self) -> None:
        """Wait until all that is committed is on the topic. Raises ConnectorFailedError."""
        operation = "r"
        while operation == "r":  # the snapshot's: the stream has not begun
            operation = self._wait_for_marker()

    def _wait_for_marker(self) -> str:
        marker = time.time_ns()
        self._connect.mariadb.execute(f"INSERT INTO {self.database}.{MARKER} VALUES ({marker})")
        deadline = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < deadline:
            for record in self._read():
                value = json.loads(record.value or b"{}")
                if _table(value) == MARKER and (value.get("after") or {}).get("id") == marker:
                    return str(value["op"])
            self._fail_if_failed()
        pytest.fail(f"{self.name} does not settle: {self.status()}\n{self.log()[-5000:]}")

    def _fail_if_failed(self) -> None:
        if self._connect.process is None:
            return
        with contextlib.suppress(urllib.error.HTTPError):  # not known yet
            status = self.status()
            for part in (status["connector"], *status["tasks"]):
                if part["state"] == "FAILED":
                    raise ConnectorFailedError(part.get("trace", ""))

    def _read(self) -> list[Record]:
        """Read what has come since the last time; wait half a second for it."""
        partition = TopicPartition(self.topic, 0)
        consumer = self._consumer
        if consumer.assignment() != {partition}:
            consumer.assign([partition])
            consumer.seek(partition, self._offset)
        came: list[Record] = []
        while batch := consumer.poll(timeout_ms=500 if not came else 0).get(partition, ()):
            came += [
                Record(self.topic, 0, each.offset, each.key, each.value, each.timestamp)
                for each in batch
            ]
        self._records += came
        return came

    @functools.cached_property
    def _consumer(self) -> Any:
        return KafkaConsumer(
            bootstrap_servers=self._connect.kafka.server,
            enable_auto_commit=False,
            max_partition_fetch_bytes=32 << 20,
            **security(ADMIN),
        )


def variables(role: str) -> dict[str, Any]:
    """Give the project's and a role's variables, as they are written."""
    loader = _ansible()[0]
    found: dict[str, Any] = {}
    shared = sorted((ROLES.parent / "playbooks/group_vars/all").glob("*.yml"))
    for path in (*shared, ROLES / role / "defaults/main.yml", ROLES / role / "vars/main.yml"):
        found |= loader.load_from_file(str(path), trusted_as_template=True) or {}
    return found


def evaluate(role: str, expression: str, **overrides: object) -> Any:
    """Evaluate a Jinja expression with a role's variables, as a task of the role does.

    But for ``overrides`` they are the defaults; passwords are PASSWORD, and there is no TLS.
    """
    loader, templar, trust = _ansible()
    secrets = ("kafka_capture", "database_capture", "database_api", "database_migrate")
    given = {
        **variables(role),
        "role_path": str(ROLES / role),
        **{f"secret_{each}": PASSWORD for each in secrets},
        "service_address": "127.0.0.1",
        "database_client_addresses": ["127.0.0.1"],
        "database_capture_addresses": ["127.0.0.1"],
        "database_accounts_in_use": {
            each: each.replace("database", "helfy") for each in secrets[1:]
        },
        "tls_ca_file": "",
        "tls_certificate_file": "",
        **overrides,
    }
    return templar(loader, given).template(trust("{{ " + expression + " }}"))


def render(role: str, name: str, **overrides: object) -> str:
    """Render a role's template as the template module does; variables as for ``evaluate``."""
    path = ROLES / role / "templates" / f"{name}.j2"
    return str(evaluate(role, f"lookup('ansible.builtin.template', '{path}')", **overrides))


@functools.cache
def _ansible() -> tuple[Any, Any, Any]:
    """Import Ansible, where it is needed: a loader, Templar and what trusts a template."""
    loader, plugins, template = (
        importlib.import_module(f"ansible.{name}")
        for name in ("parsing.dataloader", "plugins.loader", "template")
    )
    plugins.init_plugin_loader()
    return loader.DataLoader(), template.Templar, template.trust_as_template


def _kafka(home: Path) -> Kafka:
    home.mkdir()
    server = Kafka(home, [ADMIN, _CAPTURE])
    server.start()
    return server


def _mariadb(home: Path) -> MariaDB:
    home.mkdir()
    server = MariaDB(home)
    server.install()
    said = render("mariadb", "helfy.cnf", mariadb_port=server.port)
    server.defaults_file = home / "helfy.cnf"
    server.defaults_file.write_text(said.replace("/var/lib/mysql", f"{home}/data"))
    server.start()
    server.execute(f"CREATE USER {_CAPTURE_USER} IDENTIFIED BY '{PASSWORD}'")
    return server


def _capture_privileges(database: str) -> list[str]:
    """Give what the role grants to change capture: ``SELECT,LOCK TABLES ON helfy.*`` and such."""
    accounts = evaluate("mariadb", "__mariadb_accounts", mariadb_database=database)
    [account] = [each for each in accounts if each["name"] == _CAPTURE.username]
    parts = (part.partition(":") for part in account["priv"].split("/"))
    return [f"{privileges} ON {scope}" for scope, _, privileges in parts]


def _table(value: dict[str, Any]) -> str | None:
    source = value.get("source")
    return source.get("table") if isinstance(source, dict) else None


def _is_own(record: Record) -> bool:
    """Whether a record is a heartbeat or of the marker's table."""
    if record.value is None:
        return False
    value = json.loads(record.value)
    return "source" not in value or _table(value) == MARKER
