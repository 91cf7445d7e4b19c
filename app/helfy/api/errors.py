"""One answer for every error: ``{"message", "requestId"}``, plus ``"fields"`` for bad input.

What went wrong inside is in the log under the same request id, never in the answer.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus

from flask import Flask, Response, g, jsonify, request
from pydantic import ValidationError
from werkzeug.exceptions import BadRequest, Forbidden, HTTPException, Unauthorized
from werkzeug.http import HTTP_STATUS_CODES

from helfy import jsonlog
from helfy.accounts import AccountError, FieldsError, InvalidError, UnknownUserError
from helfy.api.models import Error
from helfy.database import UNAVAILABLE, error_code, is_conflict
from helfy.gaps import GapError, UnknownGapError
from helfy.hashing import RETRY_SECONDS as BUSY_SECONDS
from helfy.hashing import BusyError, CrowdedError
from helfy.throttle import ThrottledError

log = jsonlog.get(__name__)

RETRY_SECONDS = 5
CONFLICT_RETRY_SECONDS = 1
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}")
_WRONG_TYPE = {
    "string_type": "must be a string",
    "string_unicode": "must be valid Unicode",
    "model_type": "must be an object",
    "bool_type": "must be true or false",
    "extra_forbidden": "is not known here",
}


class InputError(BadRequest):
    """400: the request's body is bad; ``fields`` says by field what is wrong with it."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("the request is not valid")
        self.fields = dict(fields)


class NotAuthenticatedError(Unauthorized):
    """401, with the way to authenticate in ``WWW-Authenticate``."""


class NotAllowedError(Forbidden):
    """403: the session is good, but not for this."""


def on_validation_error(error: ValidationError) -> None:
    """Raise an :class:`InputError` for what pydantic found (flask-openapi3's callback)."""
    fields: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        name = ".".join(str(part) for part in problem["loc"])
        # A field that is not known has the name that the client gave it.
        name = name if _FIELD.fullmatch(name) else "body"
        fields.setdefault(name, _field_message(problem["type"], problem["msg"]))
    raise InputError(fields)


def register(app: Flask) -> None:
    """Make :func:`answer` the one handler of all errors."""
    app.register_error_handler(Exception, answer)


def answer(error: Exception) -> Response:
    """Turn any exception into its answer, and log it where it is ours and not the client's."""
    if isinstance(error, UNAVAILABLE):
        return _account_busy(error) if is_conflict(error) else _database_away(error)
    if isinstance(error, AccountError | GapError):
        return _not_done(error)
    if isinstance(error, ThrottledError | BusyError):
        return _put_off(error)
    if not isinstance(error, HTTPException) or error.code is None:
        log.error("request_failed", exc_info=error, extra={"fields": request_fields("error")})
        return respond(500, "internal error")
    fields = error.fields if isinstance(error, InputError) else None
    ours = (BadRequest, Unauthorized, NotAllowedError)
    message = (error.description if isinstance(error, ours) else None) or ""
    response = respond(error.code, message, fields)
    for name, value in error.get_headers():
        # Allow, Retry-After, WWW-Authenticate; the body is not werkzeug's HTML.
        if name.lower() not in ("content-type", "content-length"):
            response.headers.setdefault(name, value)
    if error.code == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def respond(status: int, message: str = "", fields: Mapping[str, str] | None = None) -> Response:
    """Return the answer with ``status``, by default with its usual name as the message."""
    text = message or HTTP_STATUS_CODES.get(status, "error").lower()
    body = Error(
        message=text, request_id=g.request_id, fields=dict(fields) if fields else None
    ).model_dump(by_alias=True, exclude_none=True)
    response = jsonify(body)
    response.status_code = status
    return response


def request_fields(outcome: str) -> dict[str, object]:
    """Return what every log line of a request carries."""
    session = g.get("session")
    return {
        "userId": session.user_id if session is not None else None,
        "ip": request.remote_addr,
        "requestId": g.request_id,
        "outcome": outcome,
    }


def _database_away(error: Exception) -> Response:
    fields = request_fields("unavailable") | {
        "error": type(error).__name__,
        "code": error_code(error),
    }
    log.error("database_unavailable", extra={"fields": fields})
    return _later(respond(503, "the database is away, try again"), RETRY_SECONDS)


def _account_busy(error: Exception) -> Response:
    """Another transaction holds what this one needs; the database is available."""
    g.outcome = "account_busy"
    fields = request_fields(g.outcome) | {"code": error_code(error)}
    log.warning("account_busy", extra={"fields": fields})
    return _later(respond(503, "the account is busy, try again"), CONFLICT_RETRY_SECONDS)


def _not_done(error: AccountError | GapError) -> Response:
    status = 404 if isinstance(error, UnknownUserError | UnknownGapError) else 409
    if isinstance(error, InvalidError):
        status = 400
    return respond(status, str(error), error.fields if isinstance(error, FieldsError) else None)


def _put_off(error: ThrottledError | BusyError) -> Response:
    if isinstance(error, ThrottledError):
        return _later(respond(429, str(error)), error.seconds)
    if isinstance(error, CrowdedError):
        return _later(respond(429, "too many attempts"), BUSY_SECONDS)
    g.outcome = "busy"
    return _later(respond(503, "busy, try again"), BUSY_SECONDS)


def _later(response: Response, seconds: int) -> Response:
    response.headers["Retry-After"] = str(seconds)
    return response


def _field_message(kind: str, message: str) -> str:
    if kind == "missing":
        return "is missing"
    if kind in _WRONG_TYPE:
        return _WRONG_TYPE[kind]
    text = message.removeprefix("Value error, ").replace("String should have", "must have")
    return text[:1].lower() + text[1:]
