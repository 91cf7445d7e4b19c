"""A stand-in for TiCDC 8.5's OpenAPI v2: one changefeed, answered about as the samples are.

What it copies of the real one, since it matters to whoever asks: an absent changefeed is 400; one
that runs takes no update; an update sets what it does not name to nothing, not to its default; the
URI is shown with its parameters in another order and passwords masked; Kafka is asked when a
changefeed is made; an authority without a certificate and its key is refused, as is an update that
changes nothing; a rename of a table that its rules do not name onto one that they do, or any other
statement ``ahead`` of its position, makes it fail until it is past it. It captures nothing.
"""

from __future__ import annotations

import copy
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

SAMPLES = Path(__file__).parent / "samples/ticdc"
SCALARS = {
    "memory_quota": 0,
    "case_sensitive": False,
    "force_replicate": False,
    "ignore_ineligible_table": False,
    "check_gc_safe_point": False,
}
# pkg/sink/kafka/options.go, applyTLS: all three or none.
TLS_FILES = ("ca", "cert", "key")
INCOMPLETE_TLS = "ca, cert and key files should all be supplied"


def sample(name: str) -> Any:
    """Give an answer, or a request, of a real TiCDC."""
    return json.loads((SAMPLES / f"{name}.json").read_text())


def ahead(sql: str, begin: int, end: int, old: str = "") -> dict[str, Any]:
    """Give a statement that TiCDC cannot apply, for ``StandIn.feed["ahead"]``.

    begin, end: TSO. old: the table that it renames, whose name the rules have to have; without
    one, there is no way but past it.
    """
    if old:
        code = "CDC:ErrSyncRenameTableFailed"
        message = (
            "table's old name is not in filter rule, and its new name in filter rule table id "
            f"'112', ddl query: [{sql}], it's an unexpected behavior, if you want to replicate "
            "this table, please add its old name to filter rule."
        )
    else:
        code = "CDC:ErrHandleDDLFailed"
        message = (
            f"handle ddl failed, query: {sql}, startTs: {begin}. If you want to skip this DDL and "
            "continue with replication, you can manually execute this DDL downstream. Afterwards, "
            f"add `ignore-txn-start-ts=[{begin}]` to the changefeed in the filter configuration.: "
            "[CDC:ErrSnapshotTableNotFound]table 110 not found in schema snapshot"
        )
    error = {"time": "", "addr": "10.0.3.207:8300", "code": code, "message": f"[{code}]{message}"}
    return {"end": end, "old": old, "error": error}


@dataclass
class StandIn:
    """Its state; a test changes it as an operator, a fault or time would."""

    feed: dict[str, Any] | None = None
    leader: bool = True
    kafka: bool = True
    # GETs of the changefeed until a pause has come through.
    slow_pause: int = 0
    after_resume: str = "normal"
    behind_seconds: float = 0.4
    refuses_updates: bool = False
    asked: list[str] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    address: str = ""

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Answer a request to /api/v2/PATH."""
        if method != "GET":
            self.asked.append(f"{method} {path}")
        if not self.leader:
            return 503, _error("CDC:ErrOwnerNotFound", "owner not found")
        if (method, path) == ("POST", "changefeeds"):
            return self._create(body)
        name, _, verb = path.removeprefix("changefeeds/").partition("/")
        if self.feed is None or self.feed["id"] != name:
            return 400, sample("absent_400")
        return self._about(method, verb, body)

    def _about(self, method: str, verb: str, body: dict[str, Any]) -> tuple[int, Any]:
        assert self.feed is not None
        if method == "GET":
            return 200, self._status() if verb == "status" else self._shown()
        if method == "PUT":
            return self._update(body)
        assert method == "POST"
        if verb == "pause":
            if not self.slow_pause:
                self.feed["state"] = "stopped"
            self.feed["pausing"] = self.slow_pause
        else:
            assert verb == "resume"
            self.feed["state"] = self.after_resume if self.kafka else "warning"
            self.meet(int(body.get("overwrite_checkpoint_ts") or 0))
        return 200, {}

    def meet(self, position: int = 0) -> None:
        """Come to the statement that is ahead, and fail there or pass it."""
        assert self.feed is not None
        statement = self.feed.get("ahead")
        if not statement:
            return
        self.feed["checkpoint_ts"] = position or self.feed["checkpoint_ts"]
        rules = [rule.lower() for rule in self.feed["config"]["filter"]["rules"]]
        if self.feed["checkpoint_ts"] >= statement["end"] or statement["old"].lower() in rules:
            # "next": the one after it.
            self.feed["ahead"] = statement = statement.get("next")
            if not statement:
                return
        moment = datetime.fromtimestamp((statement["end"] >> 18) / 1000 + 0.1, UTC)
        statement["error"]["time"] = moment.isoformat().replace("+00:00", "123Z")
        self.feed["state"] = "failed"

    def _create(self, body: dict[str, Any]) -> tuple[int, Any]:
        if self.feed is not None:
            return 400, _error("CDC:ErrChangeFeedAlreadyExists", "changefeed already exists")
        if incomplete_tls(body["sink_uri"]):
            return 500, _error("CDC:ErrKafkaInvalidConfig", INCOMPLETE_TLS)
        if not self.kafka:
            told = sample("status_kafka_down")["last_warning"]
            return 500, {"error_msg": told["message"], "error_code": told["code"]}
        shown = sample("changefeed")
        # What the OpenAPI sets where the request says nothing.
        shown["config"] |= {"ignore_ineligible_table": False, "check_gc_safe_point": True}
        shown["config"] |= body["replica_config"]
        self.feed = shown | {"id": body["changefeed_id"], "sink_uri": body["sink_uri"]}
        return 200, self._shown()

    def _update(self, body: dict[str, Any]) -> tuple[int, Any]:
        assert self.feed is not None
        if self.feed["state"] not in ("stopped", "failed"):
            return 400, sample("update_while_running_400")
        if self.refuses_updates:
            return 400, _error("CDC:ErrChangefeedUpdateRefused", "something is wrong with it")
        if incomplete_tls(body["sink_uri"]):
            message = f"changefeed update error: [CDC:ErrKafkaInvalidConfig]{INCOMPLETE_TLS}"
            return 400, _error("CDC:ErrChangefeedUpdateRefused", message)
        config = self.feed["config"] | SCALARS | body["replica_config"]
        if (config, body["sink_uri"]) == (self.feed["config"], self.feed["sink_uri"]):
            message = "changefeed config is the same with the old one, do nothing"
            return 400, _error(
                "CDC:ErrChangefeedUpdateRefused", f"changefeed update error: {message}"
            )
        self.updates.append(body)
        self.feed["config"] = config
        self.feed["sink_uri"] = body["sink_uri"]
        return 200, self._shown()

    def _shown(self) -> dict[str, Any]:
        assert self.feed is not None
        if self.feed.get("pausing"):
            self.feed["pausing"] -= 1
            if not self.feed["pausing"]:
                self.feed["state"] = "stopped"
        shown = copy.deepcopy(self.feed)
        shown.pop("ahead", None)
        uri = urlsplit(shown["sink_uri"])
        parameters = sorted(parse_qsl(uri.query), reverse=True)
        masked = [(name, "xxxxx" if "password" in name else value) for name, value in parameters]
        shown["sink_uri"] = urlunsplit(uri._replace(query=urlencode(masked)))
        return shown

    def _status(self) -> dict[str, Any]:
        assert self.feed is not None
        checkpoint = int((time.time() - self.behind_seconds) * 1000) << 18
        status = {"state": self.feed["state"], "checkpoint_ts": checkpoint}
        if self.feed.get("ahead"):
            status["checkpoint_ts"] = self.feed["checkpoint_ts"]
            status["last_error"] = self.feed["ahead"]["error"]
        elif status["state"] in ("warning", "failed"):
            told = sample("status_kafka_down")["last_warning"]
            status["last_error" if status["state"] == "failed" else "last_warning"] = told
        return status


def incomplete_tls(sink_uri: str) -> bool:
    """Whether the URI names some of TLS's files, but not all."""
    named = dict(parse_qsl(urlsplit(sink_uri).query)).keys() & set(TLS_FILES)
    return bool(named) and len(named) < len(TLS_FILES)


def _error(code: str, message: str) -> dict[str, str]:
    return {"error_msg": f"[{code}]{message}", "error_code": code}


@contextmanager
def running(tls: ssl.SSLContext | None = None) -> Iterator[StandIn]:
    """Give a stand-in that listens on a port of its own, with TLS where it is given."""
    stand_in = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.removeprefix("/api/v2/")
            status, told = stand_in.answer(self.command, path, json.loads(body or b"{}"))
            data = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PUT = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        # The handshake is each connection's own, so that one that fails holds up nobody.
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    stand_in.address = f"127.0.0.1:{server.server_port}"
    try:
        yield stand_in
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
