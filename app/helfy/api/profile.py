"""``GET /profile``."""

from flask import Response, jsonify
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from helfy.api import models
from helfy.api.security import current_session

blueprint = APIBlueprint(
    "profile",
    __name__,
    abp_tags=[Tag(name="profile", description="One's own account")],
    abp_responses={400: models.Error, 401: models.Error, 503: models.Error},
)


@blueprint.get("/profile", operation_id="showProfile", responses={200: models.Profile})
def show() -> Response:
    """Show the account and the session that the token belongs to."""
    found = current_session()
    answer = models.Profile.model_validate(
        {
            "id": found.user_id,
            "username": found.username,
            "email": found.email,
            "role": found.role,
            "createdAt": found.user_created_at,
            "passwordChangedAt": found.password_changed_at,
            "session": {
                "id": found.id,
                "createdAt": found.created_at,
                "expiresAt": found.expires_at,
            },
        }
    )
    return jsonify(answer.model_dump(mode="json", by_alias=True))
