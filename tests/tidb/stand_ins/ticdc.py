"""A stand-in for TiCDC: its OpenAPI, as the unit tests' stand-in answers. It captures nothing.

What it knows of the changefeed, PD's stand-in keeps. Where no broker of the changefeed's Kafka
takes a connection it says so, as TiCDC does: it makes none, and one that is there is in "warning".
With TLS it connects as TiCDC does, by the files of the URI, read as TiCDC's user.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import serving
import ticdc_stand_in

_NOTE = "/stand-in/notes/changefeed"


def reachable(sink_uri: str) -> bool:
    """Whether a broker of the URI takes a connection, with TLS where the URI says so."""
    uri = urlsplit(sink_uri)
    named = dict(parse_qsl(uri.query))
    for broker in filter(None, uri.netloc.split(",")):
        host = broker.rpartition(":")[0]
        try:
            with socket.create_connection((host, serving.port(broker)), timeout=2) as link:
                if "ca" in named:
                    made = ssl.create_default_context(cafile=named["ca"])
                    made.load_cert_chain(named["cert"], named["key"])
                    made.wrap_socket(link, server_hostname=host).close()
        except OSError:
            continue
        return True
    return False


class Capture:
    """One server of TiCDC."""

    def __init__(self, pd: str, address: str, tls: serving.TLS | None) -> None:
        """Know PD and the own address, and how PD is asked."""
        self.pd, self.address, self.tls = pd, address, tls

    def answer(self, method: str, path: str, body: Any) -> serving.Answer | None:
        """Answer a request."""
        known: dict[tuple[str, str], serving.Answer] = {
            ("GET", "/status"): (200, {}),
            ("GET", "/api/v1/health"): (200, {}),
            ("GET", "/api/v1/status"): (200, {"id": self.address, "liveness": 0}),
            ("GET", "/api/v2/status"): (200, {"version": serving.version()}),
            ("GET", "/api/v1/captures"): (200, [self._capture()]),
            ("PUT", "/api/v1/captures/drain"): (202, {"current_table_count": 0}),
            ("POST", "/api/v1/owner/resign"): (202, {}),
        }
        if path.startswith("/api/v2/changefeeds"):
            return self._changefeed(method, path.removeprefix("/api/v2/"), body or {})
        return known.get((method, path))

    def _capture(self) -> dict[str, Any]:
        return {"id": self.address, "is_owner": False, "address": self.address}

    def _changefeed(self, method: str, path: str, body: Any) -> serving.Answer:
        stand_in = ticdc_stand_in.StandIn()
        try:
            stand_in.feed = serving.ask(self.pd, _NOTE, tls=self.tls)
        except OSError as error:
            return 503, {"error_code": "CDC:ErrPDEtcdAPIError", "error_msg": f"PD: {error}"}
        before = str(stand_in.feed)
        uri = body.get("sink_uri") or (stand_in.feed or {}).get("sink_uri", "")
        stand_in.kafka = ticdc_stand_in.incomplete_tls(uri) or reachable(uri)
        feed = stand_in.feed
        if feed and feed["state"] in ("normal", "warning"):
            feed["state"] = "normal" if stand_in.kafka else "warning"
        told = stand_in.answer(method, path, body)
        if str(stand_in.feed) != before:
            serving.ask(self.pd, _NOTE, stand_in.feed, self.tls)
        return told


def main(arguments: list[str]) -> None:
    """Run as cdc server."""
    given = serving.options(arguments[1:])
    Path(given["data-dir"]).mkdir(parents=True, exist_ok=True)
    pd = given["pd"].split(",")[0]
    demands = serving.security(given).get("mtls", False)
    tls = serving.spoken(given, ("ca", "cert", "key"), demands=demands)
    capture = Capture(pd, given["advertise-addr"], tls)
    serving.serve(serving.port(given["addr"]), capture.answer, tls=tls)
