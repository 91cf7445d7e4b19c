"""What happens around every request: its id, the check of its body, its line in the log."""

import re
import secrets
import time
from http import HTTPStatus

from flask import Flask, Response, g, request
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from helfy import jsonlog
from helfy.api.errors import InputError, request_fields

log = jsonlog.get(__name__)

LONGEST_BODY_BYTES = 16 * 1024
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNLOGGED = ("health.", "metrics")


def register_first(app: Flask) -> None:
    """Register what must come before everything else, errors included."""
    app.config["MAX_CONTENT_LENGTH"] = LONGEST_BODY_BYTES
    app.before_request(_begin)
    app.after_request(_finish)


def register_last(app: Flask) -> None:
    """Register what only an authenticated request gets to."""
    app.before_request(_check_body)


def _begin() -> None:
    g.started = time.monotonic()
    given = request.headers.get("X-Request-ID", "")
    # Anything else could forge log lines, or fill them.
    g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


def _check_body() -> None:
    """Refuse a body that is no JSON object, before flask-openapi3 takes it for an empty one."""
    has_body = bool(request.content_length) or request.headers.get("Transfer-Encoding")
    if request.routing_exception is not None or not has_body:
        return
    if not request.is_json:
        raise UnsupportedMediaType
    try:
        document = request.get_json()
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except BadRequest:
        raise BadRequest("the body is not JSON") from None
    if not isinstance(document, dict):
        raise InputError({"body": "must be a JSON object"})


def _finish(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    # Answers hold tokens and accounts, errors are of the moment.
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    quiet = g.get("unlogged", False) and response.status_code == HTTPStatus.OK
    if not (quiet or (request.endpoint or "").startswith(_UNLOGGED)):
        _log_request(response)
    return response


def _log_request(response: Response) -> None:
    # The rule and not the path: a path can hold anything, and is different every time.
    rule = request.url_rule.rule if request.url_rule is not None else None
    outcome = "ok"
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        outcome = "refused"
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        outcome = g.get("outcome", "error")
    fields = request_fields(outcome) | {
        "method": request.method if request.method in _METHODS else "other",
        "route": rule,
        "status": response.status_code,
        "durationMs": round((time.monotonic() - g.started) * 1000, 1),
    }
    log.info("request", extra={"fields": fields})
