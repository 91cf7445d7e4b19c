"""TiCDC's OpenAPI v2, as far as one changefeed needs it."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from typing import Any

ABSENT = "CDC:ErrChangeFeedNotExists"
# What TiCDC answers to an update that changes nothing.
SAME = "config is the same with the old one"
ANSWER_SECONDS = 10.0
# Until TiCDC has asked Kafka; it gives up by itself before.
MAKING_SECONDS = 90.0
POLL_SECONDS = 0.5
# Of TiDB's history of DDL, how many of the newest are asked for.
_HISTORY = 1024
# Within the cluster, whatever proxy the machine has for the rest of the world.
_NO_PROXY = urllib.request.ProxyHandler({})


class CdcError(Exception):
    """TiCDC refused, or does not answer; ``code`` is its own where it gave one."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Client:
    """One changefeed, asked about at one TiCDC server: any passes on to the one that decides."""

    def __init__(self, server: str, name: str, tls: ssl.SSLContext | None = None) -> None:
        self.server = server
        self._name = name
        self._url = f"{'https' if tls else 'http'}://{server}/api/v2"
        handlers = [urllib.request.HTTPSHandler(context=tls)] if tls else []
        self._opener = urllib.request.build_opener(_NO_PROXY, *handlers)

    def shown(self) -> dict[str, Any] | None:
        """Give the changefeed as it is, None where it is not."""
        try:
            return self._ask("GET", f"changefeeds/{self._name}")
        except CdcError as error:
            if error.code == ABSENT:
                return None
            raise

    def status(self) -> dict[str, Any]:
        """Give its state and checkpoint with the last warning and error."""
        return self._ask("GET", f"changefeeds/{self._name}/status")

    def create(self, wanted: dict[str, Any]) -> None:
        """Make it, from now on."""
        self._ask("POST", "changefeeds", {"changefeed_id": self._name, **wanted}, MAKING_SECONDS)

    def update(self, wanted: dict[str, Any]) -> None:
        """Change its settings, or leave them where nothing differs; it must be at rest."""
        try:
            self._ask("PUT", f"changefeeds/{self._name}", wanted, MAKING_SECONDS)
        except CdcError as error:
            if SAME not in str(error):
                raise

    def pause(self) -> None:
        """Put it to rest; it keeps its place."""
        self._ask("POST", f"changefeeds/{self._name}/pause", {}, MAKING_SECONDS)

    def resume(self, position: int = 0) -> None:
        """Continue from where it was, or from another position (a TSO)."""
        body = {"overwrite_checkpoint_ts": position} if position else {}
        self._ask("POST", f"changefeeds/{self._name}/resume", body, MAKING_SECONDS)

    def _ask(
        self, method: str, path: str, body: object = None, seconds: float = ANSWER_SECONDS
    ) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - HTTP or HTTPS
            f"{self._url}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=seconds) as answer:
                raw = answer.read()
        except urllib.error.HTTPError as error:
            raise _refusal(error.code, error.read()) from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise CdcError(f"{self.server} does not answer ({reason})") from None
        try:
            told = json.loads(raw) if raw.strip() else {}
        except ValueError:
            raise CdcError(f"{self.server} answers {path} with what is no JSON") from None
        return told if isinstance(told, dict) else {}


def context(ca_path: str | None, client_cert: str, client_key: str) -> ssl.SSLContext | None:
    """Give what TLS is spoken by, None without an authority. Raises CdcError."""
    if not ca_path:
        return None
    try:
        made = ssl.create_default_context(cafile=ca_path)
        made.load_cert_chain(client_cert, client_key)
    except OSError as error:
        files = f"{ca_path}, {client_cert} or {client_key}"
        raise CdcError(
            f"{files} cannot be read ({error}): has TiUP switched TLS on within the cluster? "
            "playbooks/site.yml does, where tidb_tiup_cluster_tls is true"
        ) from None
    return made


def find(
    servers: list[str], name: str, deadline: float, tls: ssl.SSLContext | None = None
) -> Client:
    """Give the first server that can tell of the changefeed, or that it is not there.

    It waits until the monotonic ``deadline``: a server that has just started, or has lost the one
    that decides, answers with an error. Raises CdcError with the reason of each.
    """
    while True:
        reasons = []
        for server in servers:
            client = Client(server, name, tls)
            try:
                client.shown()
            except CdcError as error:
                reasons.append(str(error))
            else:
                return client
        if time.monotonic() >= deadline:
            raise CdcError("no TiCDC server can be asked: " + "; ".join(reasons))
        time.sleep(POLL_SECONDS)


def statement_end(servers: list[str], begin: int, tls: ssl.SSLContext | None) -> int:
    """Give the TSO at which a DDL ended that began at the TSO ``begin``, 0 where it is not known.

    Asks TiDB's status ports (``servers``, host:port) for the history of DDL.
    """
    handlers = [urllib.request.HTTPSHandler(context=tls)] if tls else []
    opener = urllib.request.build_opener(_NO_PROXY, *handlers)
    for server in servers:
        url = f"{'https' if tls else 'http'}://{server}/ddl/history?limit={_HISTORY}"
        try:
            with opener.open(url, timeout=ANSWER_SECONDS) as answer:
                jobs = json.loads(answer.read())
        except (OSError, ValueError):
            continue
        for job in jobs if isinstance(jobs, list) else []:
            if isinstance(job, dict) and job.get("start_ts") == begin:
                return int((job.get("binlog") or {}).get("FinishedTS") or 0)
    return 0


def _refusal(status: int, raw: bytes) -> CdcError:
    try:
        told = json.loads(raw)
        return CdcError(str(told["error_msg"]), str(told.get("error_code", "")))
    except (ValueError, KeyError, TypeError):
        words = raw[:200].decode(errors="replace").strip()
        return CdcError(f"TiCDC answers with HTTP {status} {words}".strip())
