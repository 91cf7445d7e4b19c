"""From what the database knows to what an answer says."""

from flask import Response, jsonify
from pydantic import BaseModel

from helfy import sessions, users
from helfy.api import models
from helfy.api.security import current_session
from helfy.api.services import services


def answer(body: BaseModel, status: int = 200) -> Response:
    """Return the answer with this body."""
    response = jsonify(body.model_dump(mode="json", by_alias=True))
    response.status_code = status
    return response


def session(found: sessions.Session) -> models.Session:
    """Return a session's shape."""
    return models.Session(
        id=found.id,
        current=found.id == current_session().id,
        ip=found.ip,
        client=found.user_agent,
        created_at=found.created_at,
        last_seen_at=found.last_seen_at,
        expires_at=found.expires_at,
        idle_expires_at=min(found.last_seen_at + services().rules.idle, found.expires_at),
    )


def session_page(user_id: int, query: models.SessionQuery) -> models.SessionPage:
    """Return a page of a user's sessions."""
    here = services()
    page = sessions.page(here.engine, here.rules, user_id, limit=query.limit, after=query.after)
    return models.SessionPage(items=[session(each) for each in page.items], next=page.next)


def user(found: users.User) -> models.User:
    """Return an account's shape."""
    return models.User.model_validate(
        {name: getattr(found, name) for name in models.User.model_fields}
    )
