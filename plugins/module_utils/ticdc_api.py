"""TiCDC's OpenAPI v2, as far as one changefeed needs it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

ABSENT = "CDC:ErrChangeFeedNotExists"
ANSWER_SECONDS = 10.0
# Until TiCDC has asked Kafka; it gives up by itself before.
MAKING_SECONDS = 90.0
POLL_SECONDS = 0.5
# Within the cluster, whatever proxy the machine has for the rest of the world.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class CdcError(Exception):
    """TiCDC refused, or does not answer; ``code`` is its own where it gave one."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Client:
    """One changefeed, asked about at one TiCDC server: any passes on to the one that decides."""

    def __init__(self, server: str, name: str) -> None:
        self.server = server
        self._name = name

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
        """Change its settings; it must be at rest."""
        self._ask("PUT", f"changefeeds/{self._name}", wanted, MAKING_SECONDS)

    def pause(self) -> None:
        """Put it to rest; it keeps its place."""
        self._ask("POST", f"changefeeds/{self._name}/pause", {}, MAKING_SECONDS)

    def resume(self) -> None:
        """Let it go on from where it was."""
        self._ask("POST", f"changefeeds/{self._name}/resume", {}, MAKING_SECONDS)

    def _ask(
        self, method: str, path: str, body: object = None, seconds: float = ANSWER_SECONDS
    ) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://{self.server}/api/v2/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with _DIRECT.open(request, timeout=seconds) as answer:
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


def find(servers: list[str], name: str, deadline: float) -> Client:
    """Give the first server that can tell of the changefeed, or that it is not there.

    It waits until the monotonic ``deadline``: a server that has just started, or has lost the one
    that decides, answers with an error. Raises CdcError with the reason of each.
    """
    while True:
        reasons = []
        for server in servers:
            client = Client(server, name)
            try:
                client.shown()
            except CdcError as error:
                reasons.append(str(error))
            else:
                return client
        if time.monotonic() >= deadline:
            raise CdcError("no TiCDC server can be asked: " + "; ".join(reasons))
        time.sleep(POLL_SECONDS)


def _refusal(status: int, raw: bytes) -> CdcError:
    try:
        told = json.loads(raw)
        return CdcError(str(told["error_msg"]), str(told.get("error_code", "")))
    except (ValueError, KeyError, TypeError):
        words = raw[:200].decode(errors="replace").strip()
        return CdcError(f"TiCDC answers with HTTP {status} {words}".strip())
