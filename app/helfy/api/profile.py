"""``GET /profile`` and ``PUT /profile/password``."""

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from helfy import jsonlog, own_password
from helfy.api import answers, models
from helfy.api.errors import request_fields
from helfy.api.responses import FOR_USERS, WITH_BODY, WITH_PASSWORD
from helfy.api.security import current_party, current_session
from helfy.api.services import services

log = jsonlog.get(__name__)

blueprint = APIBlueprint(
    "profile",
    __name__,
    abp_tags=[Tag(name="profile", description="One's own account")],
    abp_responses=FOR_USERS,
)


@blueprint.get("/profile", operation_id="showProfile", responses={200: models.Profile})
def show() -> Response:
    """Show the account and the session that the token belongs to."""
    found = current_session()
    profile = models.Profile.model_validate(
        {
            "id": found.user_id,
            "username": found.username,
            "email": found.email,
            "role": found.role,
            "must_change_password": found.password_expired_at is not None,
            "created_at": found.user_created_at,
            "password_changed_at": found.password_changed_at,
            "session": answers.session(found),
        }
    )
    return answers.answer(profile)


@blueprint.put(
    "/profile/password",
    operation_id="changePassword",
    responses={200: models.Ended, **WITH_BODY, **WITH_PASSWORD},
)
def change_password(body: models.PasswordChange) -> Response:
    """Change the own password, which ends all other sessions of the account."""
    here, session = services(), current_session()
    change = own_password.Change(body.current_password, body.new_password, request.remote_addr)
    with here.room.place(current_party()):
        ended = own_password.change(here.engine, here.hasher, here.throttle, session, change)
    fields = request_fields("ok") | {"targetId": session.user_id, "sessionsEnded": ended}
    log.info("password_changed", extra={"fields": fields})
    return answers.answer(models.Ended(ended=ended))
