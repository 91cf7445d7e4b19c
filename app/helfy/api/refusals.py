"""What Waitress answers by itself, before the application is asked, in the API's form.

That is a request that is no HTTP, a header or a body beyond any limit, or a failure of its own.
"""

import json
import secrets
from typing import Any

from waitress import channel, task  # type: ignore[import-untyped]

_MESSAGES = {
    400: "bad request",
    413: "request entity too large",
    431: "request header fields too large",
    500: "internal error",
    501: "not implemented",
}


class _JsonError:
    """Stands in for Waitress's error, whose text is no JSON and repeats what was sent."""

    def __init__(self, error: Any) -> None:
        self.code: int = error.code
        self.reason: str = error.reason

    def to_response(self, _ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Give status line, headers and body."""
        request_id = secrets.token_hex(16)
        message = _MESSAGES.get(self.code, self.reason.lower())
        body = json.dumps({"message": message, "requestId": request_id}).encode()
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("X-Request-ID", request_id),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        return f"{self.code} {self.reason}", headers, body


class _ErrorTask(task.ErrorTask):  # type: ignore[misc]  # Waitress has no types
    def execute(self) -> None:
        self.request.error = _JsonError(self.request.error)
        super().execute()


class Channel(channel.HTTPChannel):  # type: ignore[misc]  # Waitress has no types
    """A connection whose errors are JSON."""

    error_task_class = _ErrorTask
