"""``POST /login`` and ``POST /logout``."""

from datetime import timedelta

from flask import Response, jsonify, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from helfy import jsonlog
from helfy.api import models
from helfy.api.errors import NotAuthenticatedError, request_fields
from helfy.api.security import current_session
from helfy.api.services import services
from helfy.api.sessions import Account, NewSession, find_account, open_session, revoke_session
from helfy.api.tokens import new_session_id

log = jsonlog.get(__name__)

blueprint = APIBlueprint(
    "auth",
    __name__,
    abp_tags=[Tag(name="auth", description="Sessions come and go")],
    abp_responses={400: models.Error, 401: models.Error, 503: models.Error},
)


@blueprint.post(
    "/login", operation_id="login", responses={200: models.LoginAnswer, 415: models.Error}
)
def login(body: models.LoginRequest) -> Response:
    """Log in by username or email address.

    An unknown account, a disabled one and a wrong password get the same 401 after the same
    work. The token is in the body and in the header `x-auth-token`.
    """
    # A throttle, when there is one, is asked here: before any work is done.
    here = services()
    account = find_account(here.engine, body.username_or_email)
    usable = account is not None and account.status == "active"
    stored = account.password_hash if account is not None and usable else None
    # No connection is held meanwhile: this takes longer than all statements together.
    if not here.hasher.matches(body.password, stored) or account is None:
        raise _refused(account, "wrong_password" if usable else None)
    new_hash = None
    if here.hasher.is_outdated(account.password_hash):
        new_hash = here.hasher.hash(body.password)
    new = NewSession(
        session_id=new_session_id(),
        lifetime=timedelta(seconds=here.settings.sessions.lifetime_seconds),
        ip=request.remote_addr,
        user_agent=request.user_agent.string,
    )
    expires_at = open_session(here.engine, account, new, new_hash)
    if expires_at is None:
        raise _refused(account, "account_changed")
    fields = request_fields("ok") | {"userId": account.id, "rehashed": new_hash is not None}
    log.info("login", extra={"fields": fields})
    token = here.tokens.sign(new.session_id)
    user = models.Account(id=account.id, username=account.username, email=account.email)
    answer = models.LoginAnswer(token=token, expires_at=expires_at, user=user)
    response = jsonify(answer.model_dump(mode="json", by_alias=True))
    response.headers["x-auth-token"] = token
    return response


@blueprint.post("/logout", operation_id="logout", responses={200: models.Message})
def logout() -> Response:
    """Revoke the session of the token."""
    session = current_session()
    revoke_session(services().engine, session.id)
    log.info("logout", extra={"fields": request_fields("ok")})
    return jsonify(models.Message().model_dump())


def _refused(account: Account | None, reason: str | None) -> NotAuthenticatedError:
    """Log why, for the operator alone, and return the one answer.

    What was typed as the username is not logged: now and then it is a password.
    """
    if account is None:
        reason = "unknown_account"
    fields = request_fields("invalid_credentials") | {
        "userId": account.id if account is not None else None,
        "reason": reason or "disabled_account",
    }
    log.warning("login", extra={"fields": fields})
    return NotAuthenticatedError("invalid credentials")
