"""``/users/ID/sessions``: those of anybody, for admins."""

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from helfy import users
from helfy.api import answers, models
from helfy.api.responses import FOR_USERS, OF_ONE
from helfy.api.services import services
from helfy.api.sessions import end_all, end_one

blueprint = APIBlueprint(
    "user_sessions",
    __name__,
    url_prefix="/users/<int:user_id>/sessions",
    abp_tags=[Tag(name="users", description="Accounts, for the role admin")],
    abp_responses={**FOR_USERS, **OF_ONE},
)


@blueprint.get("", operation_id="listSessionsOfUser", responses={200: models.SessionPage})
def show(path: models.UserPath, query: models.SessionQuery) -> Response:
    """List an account's sessions that are good now, newest first."""
    user = users.get(services().engine, path.user_id)
    return answers.answer(answers.session_page(user.id, query))


@blueprint.delete("", operation_id="endSessionsOfUser", responses={200: models.Ended})
def end_every(path: models.UserPath) -> Response:
    """End all sessions of an account."""
    return end_all(users.get(services().engine, path.user_id).id)


@blueprint.delete(
    "/<int:session_id>", operation_id="endSessionOfUser", responses={200: models.Message}
)
def end(path: models.UserSessionPath) -> Response:
    """End one session of an account."""
    return end_one(path.session_id, path.user_id)
