"""A cluster that the real TiUP lays out on two machines, of stand-ins for TiDB's components.

The tests are one course: each leads on from where the one before it ended, in the order of the
files and in them. Where one fails, those after it are not tried.
"""

import functools
import http.server
import os
import threading
from collections.abc import Iterator
from typing import Any, Final

import pytest
import tiup_mirror
import yaml
from machine import ROOT
from machines import Machines
from tidb_course import Cluster, Mirror

# What the stand-ins are made of, from Debian: TiDB's SQL, PD's etcd. No role installs it.
BEHIND: Final = "mariadb-server-core etcd-server"
# On the scenario's own bridge, where nobody else listens.
PORT: Final = 8899
_FAILED: list[str] = []


def pytest_runtest_makereport(item: pytest.Item, call: "pytest.CallInfo[None]") -> None:
    """Note where the course ended."""
    if call.excinfo is not None and not _FAILED:
        _FAILED.append(item.name)


def pytest_runtest_setup() -> None:
    """Try nothing on a cluster that is not as the course should have left it."""
    if _FAILED:
        pytest.fail(f"the course ended at {_FAILED[0]}", pytrace=False)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


def _hosts() -> Any:
    return yaml.safe_load((ROOT / "molecule/tidb_tiup/inventory/hosts.yml").read_text())


@pytest.fixture(scope="session")
def mirror() -> Iterator[Mirror]:
    """Have the mirror made, and serve it on the bridge that the VMs hang on."""
    folder = tiup_mirror.made()
    handler = functools.partial(_Quiet, directory=str(folder))
    gateway = _hosts()["all"]["vars"]["lab_network"]["gateway"]
    server = http.server.ThreadingHTTPServer((gateway, PORT), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Mirror(folder, f"http://{gateway}:{PORT}")
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def cluster(
    all_of_them: Machines, mirror: Mirror, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Two machines with what the stand-ins need and no more; the inventory begins with one."""
    one, two = all_of_them.by_name.values()
    for machine in (one, two):
        install = "apt-get install -y -qq --no-install-recommends"
        machine.run(
            "systemctl mask etcd && apt-get update -qq"
            f" && DEBIAN_FRONTEND=noninteractive {install} curl {BEHIND}",
            seconds=300,
        )
    both, alone = (tmp_path_factory.mktemp(name) for name in ("both", "alone"))
    for place in (both, alone):
        everything = _hosts()["all"]
        if place == alone:
            for listed in (everything, *everything["children"].values()):
                listed["hosts"].pop(two.name, None)
        (place / "hosts.yml").write_text(yaml.safe_dump({"all": everything}))
        (place / "group_vars").symlink_to(ROOT / "inventory/tidb/group_vars")
    before = {name: os.environ.get(name) for name in ("HELFY_INVENTORY", "TIDB_TIUP_MIRROR")}
    yield Cluster(one, two, alone, both, mirror.url)
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
