"""A stand-in for TiKV: it tells PD that it is there. It stores nothing."""

from __future__ import annotations

import threading
import time
import urllib.error
from typing import Any

import serving

# What PD said last.
LEADERS = {"leaders": 0}


def report(pds: list[str], address: str, tls: serving.TLS | None) -> None:
    """Tell PD again and again; one that is told that it is a tombstone says no more."""
    while True:
        for pd in pds:
            try:
                LEADERS.update(serving.ask(pd, "/stand-in/heartbeat", {"address": address}, tls))
            except urllib.error.HTTPError:
                return
            except OSError:
                continue
            break
        time.sleep(0.5)


def answer(method: str, path: str, _body: Any) -> serving.Answer | None:
    """Answer a request at the status port."""
    return (200, {"version": serving.version()}) if (method, path) == ("GET", "/status") else None


def metrics() -> str:
    """Say how many leaders there are, as TiUP reads it."""
    count = f'tikv_raftstore_region_count{{type="leader"}} {LEADERS["leaders"]}'
    return f"# TYPE tikv_raftstore_region_count gauge\n{count}\n"


def main(arguments: list[str]) -> None:
    """Run as tikv-server."""
    given = serving.options(arguments)
    serving.listen(serving.port(given["addr"]))
    names = ("ca-path", "cert-path", "key-path")
    tls = serving.spoken(serving.security(given), names, demands=False)
    told = (given["pd"].split(","), given["advertise-addr"], tls)
    threading.Thread(target=report, args=told, daemon=True).start()
    serving.serve(serving.port(given["status-addr"]), answer, metrics, tls=tls)
