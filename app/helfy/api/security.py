"""Default deny, twice: what is not listed here needs a session, and a session of an admin."""

from typing import NoReturn

from flask import Flask, g, request

from helfy.api.errors import NotAllowedError, NotAuthenticatedError
from helfy.api.services import services
from helfy.hashing import Party
from helfy.sessions import ActiveSession, find
from helfy.throttle import party_of
from helfy.tokens import InvalidTokenError

PUBLIC_ENDPOINTS = frozenset(
    {"auth.login", "health.live", "health.ready", "openapi", "docs", "docs_file"}
    # Not passed on by nginx.
    | {"metrics", "metrics_hour"}
)
"""These need nothing."""
MUST_CHANGE_ENDPOINTS = frozenset({"auth.logout", "profile.show", "profile.change_password"})
"""All that is left to somebody who has to change the password first."""
USER_ENDPOINTS = MUST_CHANGE_ENDPOINTS | {"sessions.show", "sessions.end", "sessions.end_others"}
"""These need a session of anybody. All others are for admins."""


def register(app: Flask) -> None:
    """Require a session before each request to any endpoint that is not public."""
    app.before_request(_require_session)


def current_session() -> ActiveSession:
    """Return the session of the current request; 401 without one."""
    session = g.get("session")
    if not isinstance(session, ActiveSession):
        _refuse()
    return session


def current_party() -> Party:
    """Return who of the current request's session waits for a hash."""
    return party_of(request.remote_addr, current_session().user_id)


def _require_session() -> None:
    g.session = None
    # An unknown path or method has no endpoint: it is answered by 404 or 405.
    if request.routing_exception is not None or request.endpoint in PUBLIC_ENDPOINTS:
        return
    g.session = presented_session()
    if g.session is None:
        _refuse()
    _check_allowed(g.session)


def presented_session() -> ActiveSession | None:
    """Return the session whose token the request has, if it has one and the session is good."""
    token = _presented_token()
    if token is None:
        return None
    try:
        session_id = services().tokens.read(token)
    except InvalidTokenError:
        return None
    return find(services().engine, session_id, services().rules)


def _check_allowed(session: ActiveSession) -> None:
    if session.password_expired_at is not None and request.endpoint not in MUST_CHANGE_ENDPOINTS:
        raise NotAllowedError("the password must be changed first")
    if session.role != "admin" and request.endpoint not in USER_ENDPOINTS:
        raise NotAllowedError("this needs the role admin")


def _presented_token() -> str | None:
    token = request.headers.get("x-auth-token", "").strip()
    if token:
        return token
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _refuse() -> NoReturn:
    # One answer for absent, forged, expired and revoked: which it was is nobody's business.
    raise NotAuthenticatedError("a valid token is needed")
