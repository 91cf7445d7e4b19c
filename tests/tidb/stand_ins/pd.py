"""A stand-in for PD: health, members, copies, stores, leaders, as TiUP and the role ask for them.

It is alone: it takes no other member. Its etcd, which TiUP writes the topology to, is a real one
(Debian's), a child of this process. With TLS each of the two speaks it, and demands a certificate.
What the other stand-ins have to remember together, this keeps for them under /stand-in.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path
from types import FrameType
from typing import Any, Final
from urllib.parse import urlsplit

import serving

# Until a store that is not heard of is Disconnected (PD: 20), and until one that is taken out has
# handed over its data (of which there is none).
SILENCE_SECONDS: Final = 3
HAND_OVER_SECONDS: Final = 4
ETCD_PORT: Final = 12379
# Of each store, for as long as they cannot move.
LEADERS: Final = 3
EVICT: Final = "evict-leader-scheduler"
_STATES: Final = {"Up": 0, "Offline": 1, "Tombstone": 2}


class PD:
    """What it keeps on disk, and what it heard since it began."""

    def __init__(self, given: dict[str, str]) -> None:
        """Read what there is; the settings count at the first start alone, as PD's."""
        self.name = given["name"]
        self.client_url = given["advertise-client-urls"]
        self.peer_url = given["advertise-peer-urls"]
        self.file = Path(given["data-dir"]) / "stand-in.json"
        self.heard: dict[str, float] = {}
        self.lock = threading.Lock()
        settings = tomllib.loads(Path(given["config"]).read_text())
        copies = settings.get("replication", {}).get("max-replicas", 3)
        self.kept: dict[str, Any] = {
            "replication": {"max-replicas": copies},
            "stores": {},
            "evicted": [],
            "notes": {},
        }
        if self.file.exists():
            self.kept |= json.loads(self.file.read_text())

    def keep(self) -> None:
        """Write it down."""
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(self.kept))
        new.rename(self.file)

    def answer(self, method: str, path: str, body: Any) -> serving.Answer | None:
        """Answer a request."""
        with self.lock:
            if path.startswith("/stand-in/"):
                return self._remember(method, path, body)
            name = path.removeprefix("/pd/api/v1/")
            if method == "GET":
                told = self._told().get(name)
                return None if told is None else (200, told)
            if method == "DELETE":
                return self._remove(name)
            return self._change(name, body)

    def _told(self) -> dict[str, Any]:
        """What there is to read, by path."""
        member = {
            "name": self.name,
            "member_id": 1,
            "peer_urls": [self.peer_url],
            "client_urls": [self.client_url],
        }
        copies = self.kept["replication"]
        stores = [self._store(address) for address in self.kept["stores"]]
        return {
            "/pd/ping": {},
            "/pd/api/v2/ready": {},
            "version": {"version": serving.version()},
            "leader": member,
            "members": {"members": [member], "leader": member, "etcd_leader": member},
            "cluster": {"id": 7, "max_peer_count": copies["max-replicas"]},
            "config": {"replication": copies, "pd-server": {"dashboard-address": "none"}},
            "config/replicate": copies,
            "stores": {"count": len(stores), "stores": stores},
        }

    def _change(self, name: str, body: Any) -> serving.Answer | None:
        if name == "config/replicate":
            self.kept["replication"] |= body
            self.keep()
        elif name == "schedulers" and body["name"] == EVICT:
            self.kept["evicted"].append(body["store_id"])
            self.keep()
        elif name not in ("stores/limit", "config/schedule"):
            return None
        return 200, {}

    def _remove(self, name: str) -> serving.Answer | None:
        if name == "stores/remove-tombstone":
            for address in list(self.kept["stores"]):
                if self._state(address) == "Tombstone":
                    del self.kept["stores"][address]
            self.keep()
            return 200, {}
        kind, _, which = name.partition("/")
        if kind == "store":
            return self._take_out(int(which))
        return self._evict_no_more(which) if kind == "schedulers" else None

    def _evict_no_more(self, name: str) -> serving.Answer:
        for number in self.kept["evicted"]:
            if name == f"{EVICT}-{number}":
                self.kept["evicted"].remove(number)
                self.keep()
                return 200, {}
        return 404, "scheduler not found"

    def _leaders(self, address: str) -> int:
        """Count a store's leaders: they move only to a store that has copies, and may have them."""
        evicted = self.kept["evicted"]
        numbers = {store["id"] for store in self.kept["stores"].values()}
        moves = self.kept["replication"]["max-replicas"] > 1 and numbers - set(evicted)
        return 0 if self.kept["stores"][address]["id"] in evicted and moves else LEADERS

    def _remember(self, method: str, path: str, body: Any) -> serving.Answer | None:
        if path == "/stand-in/heartbeat":
            return self._hear(body["address"])
        if method == "POST":
            self.kept["notes"][path] = body
            self.keep()
        return 200, self.kept["notes"].get(path)

    def _hear(self, address: str) -> serving.Answer:
        if address not in self.kept["stores"]:
            ids = [store["id"] for store in self.kept["stores"].values()]
            self.kept["stores"][address] = {"id": max(ids, default=0) + 1, "leaving_since": None}
            self.keep()
        if self._state(address) == "Tombstone":
            return 400, {"error": "this store is a tombstone"}
        self.heard[address] = time.time()
        return 200, {"leaders": self._leaders(address)}

    def _take_out(self, number: int) -> serving.Answer:
        for store in self.kept["stores"].values():
            if store["id"] == number:
                store["leaving_since"] = store["leaving_since"] or time.time()
                self.keep()
                return 200, {}
        return 404, "store not found"

    def _state(self, address: str) -> str:
        since = self.kept["stores"][address]["leaving_since"]
        if since is None:
            return "Up"
        return "Offline" if time.time() < since + HAND_OVER_SECONDS else "Tombstone"

    def _store(self, address: str) -> dict[str, Any]:
        state = self._state(address)
        silent = time.time() - self.heard.get(address, 0) > SILENCE_SECONDS
        # PD just started has heard of nobody yet, and takes its stores for down.
        name = state if state != "Up" or not silent else "Disconnected"
        if name == "Disconnected" and address not in self.heard:
            name = "Down"
        return {
            "store": {
                "id": self.kept["stores"][address]["id"],
                "address": address,
                "state": _STATES[state],
                "state_name": name,
                "version": serving.version().removeprefix("v"),
            },
            "status": {"leader_count": self._leaders(address), "region_count": LEADERS},
        }


def etcd(given: dict[str, str], tls: serving.TLS | None) -> subprocess.Popen[bytes]:
    """Start PD's etcd, which has no peers; its clients come through PD."""
    clients = f"{'https' if tls else 'http'}://127.0.0.1:{ETCD_PORT}"
    peers = f"http://127.0.0.1:{ETCD_PORT + 1}"
    files = {"trusted-ca-file": tls.ca, "cert-file": tls.cert, "key-file": tls.key} if tls else {}
    return subprocess.Popen(
        [
            *("/usr/bin/etcd", "--name=stand-in", f"--data-dir={given['data-dir']}/etcd"),
            *(f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}"),
            *(f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}"),
            f"--initial-cluster=stand-in={peers}",
            *(f"--{name}={file}" for name, file in files.items()),
            *(["--client-cert-auth"] if tls else []),
        ],
        stderr=subprocess.DEVNULL,
    )


def main(arguments: list[str]) -> None:
    """Run as pd-server."""
    given = serving.options(arguments)
    Path(given["data-dir"]).mkdir(parents=True, exist_ok=True)
    names = ("cacert-path", "cert-path", "key-path")
    tls = serving.spoken(serving.security(given), names, demands=True)
    child = etcd(given, tls)

    def end(_signal: int, _frame: FrameType | None) -> None:
        child.terminate()
        child.wait()
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    pd = PD(given)
    serving.listen(urlsplit(given["peer-urls"]).port or 2380)
    serving.serve(urlsplit(given["client-urls"]).port or 2379, pd.answer, grpc=ETCD_PORT, tls=tls)
