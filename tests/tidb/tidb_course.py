"""Two machines that a cluster is laid out on, runs of the playbooks, and how they may end."""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tiup_mirror
import yaml
from machine import Machine
from plays import Play, play

FIRST, SECOND = tiup_mirror.VERSIONS
# What of site.yml the two roles need around them.
WHOLE: Final = ("--tags", "common,firewall,tidb_tiup,kafka,ticdc_changefeed")
META: Final = "/home/tiup/.tiup/storage/cluster/clusters/helfy/meta.yaml"
UNITS: Final = ("pd-2379", "tikv-20160", "tidb-4000", "cdc-8300")


@dataclass
class Mirror:
    """The mirror, as a folder of this machine and at a URL that the VMs reach."""

    folder: Path
    url: str

    @contextlib.contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Let one of its files be lost meanwhile."""
        aside = self.folder.parent / name
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

    def play(self, name: str, *arguments: str, both: bool = False, **given: Any) -> Play:
        """Run a playbook with some variables; with both, the inventory has the second host too."""
        os.environ["HELFY_INVENTORY"] = str(self.both if both else self.alone)
        os.environ["TIDB_TIUP_MIRROR"] = self.mirror
        if "tidb_tiup_version" not in given:
            given["tidb_tiup_version"] = self.version
        return play(name, *arguments, "-e", json.dumps({"tidb_tiup_wait_seconds": 90} | given))

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
        told = [it.run(f"curl -sf http://{it.address}:{path}") for path in asked]
        return {yaml.safe_load(each)["version"].rpartition("v")[2] for each in told}

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
