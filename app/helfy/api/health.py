"""``GET /health/live`` and ``GET /health/ready``: for nginx, systemd, Ansible and monitoring."""

from flask import Response, g, jsonify
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from sqlalchemy import select

from helfy import __release__, __version__, jsonlog
from helfy.api import models
from helfy.api.errors import RETRY_SECONDS, request_fields
from helfy.api.services import services
from helfy.database import UNAVAILABLE, error_code

log = jsonlog.get(__name__)

blueprint = APIBlueprint(
    "health",
    __name__,
    url_prefix="/health",
    abp_tags=[Tag(name="health", description="Is it up")],
    abp_responses={400: models.Error},
)


@blueprint.get("/live", operation_id="live", responses={200: models.Live})
def live() -> Response:
    """Say that the process answers, whatever the state of what it needs."""
    return jsonify(models.Live(version=__version__, release=__release__).model_dump())


@blueprint.get(
    "/ready",
    operation_id="ready",
    responses={200: models.Ready, 503: models.NotReadyError},
)
def ready() -> Response:
    """Say whether logins work: whether the database answers.

    The change stream's state is told beside it and never makes this a 503.
    """
    here = services()
    stream = here.feed.reader.pulse.state()
    try:
        with here.engine.connect() as connection:
            connection.execute(select(1)).one()
    except UNAVAILABLE as error:
        fields = request_fields("unavailable") | {"code": error_code(error)}
        log.warning("not_ready", extra={"fields": fields})
        body = models.NotReadyError(
            message="the database is away", request_id=g.request_id, change_stream=stream
        )
        response = jsonify(body.model_dump(by_alias=True, exclude_none=True))
        response.status_code = 503
        response.headers["Retry-After"] = str(RETRY_SECONDS)
        return response
    return jsonify(models.Ready(change_stream=stream).model_dump(by_alias=True))
