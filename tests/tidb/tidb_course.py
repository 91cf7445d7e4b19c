"""Two machines that a cluster is laid out on, runs of the playbooks, and how they may end."""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tiup_mirror
from machine import Machine, MachineError
from plays import Play, play

FIRST, SECOND = tiup_mirror.VERSIONS
# What of site.yml the two roles need around them.
WHOLE: Final = ("--tags", "common,firewall,internal_tls,tidb_tiup,kafka,ticdc_changefeed")
META: Final = "/home/tiup/.tiup/storage/cluster/clusters/helfy/meta.yaml"
# What TiUP gives a node where they speak TLS with each other.
TLS: Final = "/opt/tidb/deploy/cdc-8300/tls"
UNITS: Final = ("pd-2379", "tikv-20160", "tidb-4000", "cdc-8300")
NODES: Final = frozenset({2379, 20160, 4000, 8300})
KAFKA: Final = 9092
# Which ports of an address take a connection; one that is neither taken nor refused ends it.
REACH: Final = """
import json, socket, sys
given = json.load(sys.stdin)
found = []
for port in given["ports"]:
    try:
        socket.create_connection((given["host"], port), timeout=5).close()
    except ConnectionRefusedError:
        continue
    found.append(port)
print(json.dumps(found))
"""


@dataclass
class Mirror:
    """The mirror, as a folder of this machine and at a URL that the VMs reach."""

    folder: Path
    url: str

    @contextlib.contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Let one of its files be lost meanwhile."""
        aside = self.folder.parent / name
        # A run that was killed meanwhile did not put it back.
        if not aside.exists():
            (self.folder / name).rename(aside)
        try:
            yield
        finally:
            aside.rename(self.folder / name)


@dataclass
class Cluster:
    """The machines, and runs of the playbooks against the first of them alone or both."""

    one: Machine
    two: Machine
    alone: Path
    both: Path
    mirror: str

    @property
    def version(self) -> str:
        """The version that the cluster has by TiUP's records, else the one that comes first."""
        told = self.one.run(f"sed -n 's/^tidb_version: v//p' {META} 2>/dev/null || true").strip()
        return told or FIRST

    @property
    def tls(self) -> bool:
        """Whether its nodes speak TLS with each other, by TiUP's records."""
        return self.one.attempt(f"grep -q 'enable_tls: true' {META}").returncode == 0

    def play(self, name: str, *arguments: str, both: bool = False, **given: Any) -> Play:
        """Run a playbook with some variables; with both, the inventory has the second host too.

        Version and TLS are what the cluster has already, unless they are given.
        """
        os.environ["HELFY_INVENTORY"] = str(self.both if both else self.alone)
        os.environ["TIDB_TIUP_MIRROR"] = self.mirror
        usual: dict[str, Any] = {"tidb_tiup_wait_seconds": 90}
        if "tidb_tiup_version" not in given:
            usual["tidb_tiup_version"] = self.version
        if "internal_tls_enabled" not in given:
            usual["internal_tls_enabled"] = self.tls
        return play(name, *arguments, "-e", json.dumps(usual | given))

    def site(self, *arguments: str, **given: Any) -> Play:
        """Run site.yml, of it what this course is about."""
        return self.play("site", "--tags", "tidb_tiup,ticdc_changefeed", *arguments, **given)

    def processes(self, machine: Machine | None = None) -> dict[str, str]:
        """The process of each node of a machine, the first one's without another word."""
        shown = (machine or self.one).run(
            f"systemctl show --property MainPID --value {' '.join(UNITS)}"
        )
        return dict(zip(UNITS, shown.split(), strict=True))

    def versions(self, machine: Machine | None = None) -> set[str]:
        """The versions that the programs themselves say, as they run."""
        it = machine or self.one
        paths = ("2379/pd/api/v1/version", "20180/status", "10080/status", "8300/api/v2/status")
        asked = paths if it is self.one else paths[1:]
        told = [self.ask(path, it) for path in asked]
        return {each["version"].rpartition("v")[2] for each in told}

    def answers(self) -> bool:
        """Whether each node of the first machine answers, as TiUP sees it."""
        try:
            return self.versions() == {self.version} and "Down" not in self.one.run(
                "tiup cluster display helfy"
            )
        except (MachineError, ValueError):
            return False

    def reached_by(self, machine: Machine) -> set[int]:
        """The ports of the first machine's nodes, and Kafka's, that a machine can reach."""
        given = {"host": self.one.address, "ports": [*NODES, KAFKA]}
        return set(machine.python(REACH, given))

    def ask(self, path: str, machine: Machine | None = None) -> Any:
        """Ask a node of a machine, by port and path, as the other nodes ask it: for JSON."""
        it = machine or self.one
        how = "http"
        if self.tls:
            how = f"--cacert {TLS}/ca.crt --cert {TLS}/cdc.crt --key {TLS}/cdc.pem https"
        return json.loads(it.run(f"curl -sSf {how}://{it.address}:{path}"))

    def spoil(self, unit: str, machine: Machine | None = None) -> None:
        """Let a unit not start any more."""
        (machine or self.one).run(
            f"mkdir -p /etc/systemd/system/{unit}.service.d"
            f" && printf '[Service]\\nExecStartPre=/bin/false\\n'"
            f" >/etc/systemd/system/{unit}.service.d/spoilt.conf && systemctl daemon-reload"
        )

    def mend(self, unit: str, machine: Machine | None = None) -> None:
        """Let it start again."""
        (machine or self.one).run(
            f"rm /etc/systemd/system/{unit}.service.d/spoilt.conf && systemctl daemon-reload"
        )


def succeeded(run: Play) -> Play:
    """Give a run that ended well; show the end of one that did not."""
    assert run.code == 0, run.output[-6000:]
    return run


def refused(run: Play, *words: str) -> Play:
    """Give a run that failed with these words and changed nothing."""
    assert run.code != 0, run.output[-6000:]
    said = " ".join(run.output.split())
    for word in words:
        assert word in said, run.output[-6000:]
    assert run.changed == set(), run.output[-6000:]
    return run
