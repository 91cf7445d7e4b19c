"""``POST /login`` and ``POST /logout``."""

from flask import Response, jsonify, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from sqlalchemy.exc import DBAPIError

from helfy import jsonlog, sessions
from helfy.api import answers, models
from helfy.api.errors import NotAuthenticatedError, request_fields
from helfy.api.responses import FOR_EVERYBODY, FOR_USERS, WITH_BODY, WITH_PASSWORD
from helfy.api.security import current_session, presented_session
from helfy.api.services import services
from helfy.database import is_conflict
from helfy.hashing import RETRY_SECONDS, BusyError, CrowdedError
from helfy.logins import Attempt, RefusedError
from helfy.throttle import ThrottledError

log = jsonlog.get(__name__)

blueprint = APIBlueprint(
    "auth", __name__, abp_tags=[Tag(name="auth", description="Sessions come and go")]
)


@blueprint.post(
    "/login",
    operation_id="login",
    responses={
        200: models.LoginAnswer,
        401: models.Error,
        **FOR_EVERYBODY,
        **WITH_BODY,
        **WITH_PASSWORD,
    },
)
def login(body: models.LoginRequest) -> Response:
    """Log in by username or email address.

    An unknown account, a disabled one and a wrong password get the same 401 after the same
    work. The token is in the body and in the header `x-auth-token`. A token that the request
    has is worth nothing from then on.
    """
    here = services()
    user_agent = _as_sent(request.user_agent.string)
    attempt = Attempt(body.username_or_email, body.password, request.remote_addr, user_agent)
    try:
        opened = here.logins.open(attempt)
    except RefusedError as error:
        # What was typed as the username is not logged: now and then it is a password.
        _log("invalid_credentials", userId=error.user_id, reason=str(error))
        raise NotAuthenticatedError("invalid credentials") from None
    except ThrottledError as error:
        _log("throttled", retrySeconds=error.seconds)
        raise
    except CrowdedError:
        _log("throttled", retrySeconds=RETRY_SECONDS)
        raise
    except BusyError:
        _log("busy")
        raise
    except DBAPIError as error:
        if is_conflict(error):
            _log("account_busy")
        raise
    before = presented_session()
    if before is not None:
        # Whoever logs in anew has done with it.
        sessions.end(here.engine, before.id)
    account = opened.account
    _log("ok", userId=account.id, rehashed=opened.rehashed)
    token = here.tokens.sign(opened.session_id)
    shown = models.LoginAnswer(
        token=token,
        expires_at=opened.expires_at,
        user=models.Account(id=account.id, username=account.username, email=account.email),
        must_change_password=True if account.password_expired_at is not None else None,
    )
    response = jsonify(shown.model_dump(mode="json", by_alias=True, exclude_none=True))
    response.headers["x-auth-token"] = token
    return response


@blueprint.post("/logout", operation_id="logout", responses={200: models.Message, **FOR_USERS})
def logout() -> Response:
    """End the session of the token."""
    sessions.end(services().engine, current_session().id)
    log.info("logout", extra={"fields": request_fields("ok")})
    return answers.answer(models.Message())


def _log(outcome: str, **more: object) -> None:
    fields = {"fields": request_fields(outcome) | more}
    if outcome == "ok":
        log.info("login", extra=fields)
    else:
        log.warning("login", extra=fields)


def _as_sent(header: str) -> str:
    """Return a header in the characters of its client: WSGI hands its bytes on as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header
