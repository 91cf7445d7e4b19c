"""A real Kafka for tests: one node, started and stopped at will, of the jars that a VM gets.

With accounts, clients have to log in by SCRAM-SHA-512 and may do what a rule says, as on a VM.
"""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition  # type: ignore[import-untyped]
from kafka.admin import (  # type: ignore[import-untyped]
    ACL,
    ACLOperation,
    ACLPermissionType,
    NewPartitions,
    NewTopic,
    ResourcePattern,
    ResourceType,
)

from helfy.kafka_consumer import KafkaLogin, security

ROLES: Final = Path(__file__).resolve().parents[2] / "roles"
_START_SECONDS = 60
_CLUSTER = "0AAAAAAAAAAAAAAAAAAAAA"
_CONFIG = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=CLIENT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENT
listener.security.protocol.map=CLIENT:{protocol},CONTROLLER:{protocol}
log.dirs={home}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.check.interval.ms=1000
log.segment.delete.delay.ms=100
"""
ADMIN: Final = KafkaLogin("admin", "password-of-the-admin")
CONTROLLER: Final = KafkaLogin("controller", "password-of-the-controller")
_ACCESS = f"""\
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.client.scram-sha-512.sasl.jaas.config=\\
  org.apache.kafka.common.security.scram.ScramLoginModule required \\
  username="{ADMIN.username}" password="{ADMIN.password}";
sasl.mechanism.controller.protocol=PLAIN
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config=\\
  org.apache.kafka.common.security.plain.PlainLoginModule required \\
  username="{CONTROLLER.username}" password="{CONTROLLER.password}" \\
  user_{CONTROLLER.username}="{CONTROLLER.password}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{ADMIN.username};User:{CONTROLLER.username}
"""


class Kafka:
    """A Kafka in a directory of its own, on free ports of 127.0.0.1.

    ``accounts`` are those that there are to begin with, ADMIN among them where the other methods
    are to be used, who may do everything; None is a Kafka that asks for no login.
    """

    def __init__(self, home: Path, accounts: Sequence[KafkaLogin] | None = None) -> None:
        self._accounts = accounts
        self._login = None if accounts is None else ADMIN
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.server = f"127.0.0.1:{self.port}"
        controller = free_port()
        self.controller = f"127.0.0.1:{controller}"
        protocol = "PLAINTEXT" if accounts is None else "SASL_PLAINTEXT"
        (home / "server.properties").write_text(
            _CONFIG.format(home=home, port=self.port, controller=controller, protocol=protocol)
            + ("" if accounts is None else _ACCESS)
        )
        format_it = ["format", "-t", _CLUSTER, "-c", str(home / "server.properties")]
        for each in accounts or ():
            said = f"name={each.username},password={each.password}"
            format_it += ["--add-scram", f"SCRAM-SHA-512=[{said}]"]
        done = subprocess.run(
            [*self._java("kafka.tools.StorageTool"), *format_it], capture_output=True, check=False
        )
        if done.returncode:
            pytest.fail(f"Kafka's storage cannot be made:\n{done.stdout!r}\n{done.stderr!r}")

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java("kafka.Kafka"), str(self._home / "server.properties")],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _START_SECONDS
        # By hand: kafka-python leaves each socket that was refused to the garbage collector.
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"Kafka does not run:\n{(self._home / 'log').read_text()[-3000:]}")
            time.sleep(0.1)
        if self._accounts is None or ADMIN in self._accounts:
            self.admin().close()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it by its process id, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def admin(self) -> Any:
        """Give a client that administrates; to be closed."""
        return KafkaAdminClient(
            bootstrap_servers=self.server, bootstrap_timeout_ms=20_000, **security(self._login)
        )

    def make_topic(self, name: str, partitions: int = 1, **settings: str) -> None:
        """Make a topic."""
        admin = self.admin()
        try:
            admin.create_topics([NewTopic(name, partitions, 1, topic_configs=settings)])
        finally:
            admin.close()

    def delete_topic(self, name: str) -> None:
        """Delete a topic."""
        admin = self.admin()
        try:
            admin.delete_topics([name])
        finally:
            admin.close()

    def more_partitions(self, name: str, count: int) -> None:
        """Give a topic so many partitions."""
        admin = self.admin()
        try:
            admin.create_partitions({name: NewPartitions(total_count=count)})
        finally:
            admin.close()

    def delete_records(self, name: str, partition: int, before: int) -> None:
        """Drop a partition's records before an offset, as retention does."""
        admin = self.admin()
        try:
            admin.delete_records({TopicPartition(name, partition): before})
        finally:
            admin.close()

    def log_bytes(self, name: str) -> int:
        """Give the size of the log of a topic's first partition."""
        return self._log(name).stat().st_size

    def cut_log(self, name: str, size: int) -> None:
        """Cut that log off, as where a disk lost what was written last; Kafka must not run."""
        os.truncate(self._log(name), size)
        for file in self._log(name).parent.glob("*.snapshot"):
            file.unlink()
        # It reads the whole log anew, as after a crash.
        (self._home / "data" / ".kafka_cleanshutdown").unlink(missing_ok=True)

    def _log(self, name: str) -> Path:
        return self._home / "data" / f"{name}-0" / f"{0:020}.log"

    def producer(self) -> Any:
        """Give a producer that waits for Kafka to have stored what it sends; to be closed."""
        return KafkaProducer(
            bootstrap_servers=self.server, acks="all", linger_ms=0, **security(self._login)
        )

    def allow(self, login: KafkaLogin, kind: ResourceType, name: str, what: ACLOperation) -> None:
        """Let an account do something."""
        admin = self.admin()
        try:
            admin.create_acls(
                [
                    ACL(
                        principal=f"User:{login.username}",
                        host="*",
                        operation=what,
                        permission_type=ACLPermissionType.ALLOW,
                        resource_pattern=ResourcePattern(kind, name),
                    )
                ]
            )
        finally:
            admin.close()

    def _java(self, main: str) -> list[str]:
        flags = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
        return ["java", *flags, "-cp", f"{jars()}/*", main]


def jars() -> Path:
    """Give the folder of Kafka's jars."""
    return artifacts("kafka")


def artifacts(role: str) -> Path:
    """Give the folder of what a role takes from Maven; resolve it where it is not cached."""
    java = shutil.which("java")
    assert java, "java is missing: run 'make setup'"
    [sums] = sorted((ROLES / role / "files/maven").glob("*.sha256"))
    cache = os.environ.get("HELFY_CACHE") or (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "helfy"
    )
    folder = Path(cache) / "maven" / hashlib.sha256(sums.read_bytes()).hexdigest()[:16]
    if len(list(folder.glob("*"))) == len(sums.read_text().splitlines()):
        return folder
    done = subprocess.run(
        [
            "bash",
            str(ROLES / "maven_artifacts/files/resolve.sh"),
            str(sums.parent / "pom.xml"),
            str(sums),
            str(Path(cache) / "maven"),
            "libs",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"the artifacts of {role} cannot be resolved:\n{done.stderr}")
    return Path(done.stdout.strip()).with_suffix("")


def free_port() -> int:
    """Give a port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
