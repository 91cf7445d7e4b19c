"""Default deny: without a valid session only the endpoints listed here answer."""

from typing import NoReturn

from flask import Flask, g, request

from helfy.api.errors import NotAuthenticatedError
from helfy.api.services import services
from helfy.api.sessions import ActiveSession, find_session
from helfy.api.tokens import InvalidTokenError

PUBLIC_ENDPOINTS = frozenset({"auth.login", "health.live", "health.ready", "openapi"})


def register(app: Flask) -> None:
    """Require a session before each request to any endpoint that is not public."""
    app.before_request(_require_session)


def current_session() -> ActiveSession:
    """Return the session of the current request; 401 without one."""
    session = g.get("session")
    if not isinstance(session, ActiveSession):
        _refuse()
    return session


def _require_session() -> None:
    g.session = None
    # An unknown path or method has no endpoint: it is answered by 404 or 405.
    if request.routing_exception is not None or request.endpoint in PUBLIC_ENDPOINTS:
        return
    token = _presented_token()
    if token is None:
        _refuse()
    try:
        session_id = services().tokens.read(token)
    except InvalidTokenError:
        _refuse()
    g.session = find_session(services().engine, session_id)
    if g.session is None:
        _refuse()


def _presented_token() -> str | None:
    token = request.headers.get("x-auth-token", "").strip()
    if token:
        return token
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _refuse() -> NoReturn:
    # One answer for absent, forged, expired and revoked: which it was is nobody's business.
    raise NotAuthenticatedError("a valid token is needed")
