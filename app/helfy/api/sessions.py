"""``/sessions``: one's own."""

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from werkzeug.exceptions import NotFound

from helfy import jsonlog, sessions
from helfy.api import answers, models
from helfy.api.errors import request_fields
from helfy.api.responses import FOR_USERS, OF_ONE
from helfy.api.security import current_session
from helfy.api.services import services

log = jsonlog.get(__name__)

blueprint = APIBlueprint(
    "sessions",
    __name__,
    url_prefix="/sessions",
    abp_tags=[Tag(name="sessions", description="Where one is logged in")],
    abp_responses=FOR_USERS,
)


@blueprint.get("", operation_id="listSessions", responses={200: models.SessionPage})
def show(query: models.SessionQuery) -> Response:
    """List one's own sessions that are good now, newest first."""
    return answers.answer(answers.session_page(current_session().user_id, query))


@blueprint.delete(
    "/<int:session_id>", operation_id="endSession", responses={200: models.Message, **OF_ONE}
)
def end(path: models.SessionPath) -> Response:
    """End one of one's own sessions; the one in use is a logout."""
    return end_one(path.session_id, current_session().user_id)


@blueprint.delete("", operation_id="endOtherSessions", responses={200: models.Ended})
def end_others() -> Response:
    """End all of one's own sessions but the one in use."""
    here = current_session()
    return end_all(here.user_id, but=here.id)


def end_one(session_id: int, user_id: int) -> Response:
    """End this session of this user, or answer that there is none."""
    if not sessions.end(services().engine, session_id, user_id):
        raise NotFound
    fields = request_fields("ok") | {"targetId": user_id, "sessionId": session_id}
    log.info("session_ended", extra={"fields": fields})
    return answers.answer(models.Message())


def end_all(user_id: int, but: int | None = None) -> Response:
    """End all sessions of this user, but for one, and say how many those were."""
    ended = sessions.end_all(services().engine, user_id, but)
    fields = request_fields("ok") | {"targetId": user_id, "sessionsEnded": ended}
    log.info("sessions_ended", extra={"fields": fields})
    return answers.answer(models.Ended(ended=ended))
