"""``/gaps``: spans in which the record may be incomplete, for admins."""

from datetime import datetime
from typing import Annotated

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from helfy import gaps, jsonlog
from helfy.api import answers
from helfy.api.errors import request_fields
from helfy.api.models import Id, Shape
from helfy.api.responses import FOR_USERS, MAY_CONFLICT, OF_ONE
from helfy.api.security import current_session
from helfy.api.services import services
from helfy.database import transaction

log = jsonlog.get(__name__)

blueprint = APIBlueprint(
    "gaps",
    __name__,
    url_prefix="/gaps",
    abp_tags=[Tag(name="gaps", description="Where the record may be incomplete")],
    abp_responses=FOR_USERS,
)


class Gap(Shape):
    """Between two moments the record of changes may be incomplete or untrue."""

    id: int
    cause: str
    """A code, such as `snapshot`."""
    reason: str
    """The cause in words."""
    source_id: str
    """What identifies the cause where it arose."""
    starts_at: datetime | None
    """null where it is not known."""
    ends_at: datetime | None
    detail: str
    detected_at: datetime
    acknowledged_at: datetime | None
    """null while nobody acknowledged it."""
    acknowledged_by: str | None


class GapPage(Shape):
    """Some gaps, newest first; `next` is what the page after it is asked for by, or null."""

    items: list[Gap]
    next: int | None


class GapQuery(Shape):
    """Which gaps."""

    open: bool = False
    """Only those that nobody acknowledged."""
    limit: Annotated[int, Field(ge=1, le=gaps.LARGEST_PAGE)] = 50
    after: Id | None = None
    """`next` of an answer before."""


class GapPath(Shape):
    """Which gap."""

    gap_id: Id = Field(alias="gap_id")


@blueprint.get("", operation_id="listGaps", responses={200: GapPage})
def show_page(query: GapQuery) -> Response:
    """List gaps, newest first."""
    with services().engine.connect() as connection:
        found = gaps.newest(
            connection, only_open=query.open, before=query.after, limit=query.limit + 1
        )
    items = [shape(each) for each in found[: query.limit]]
    return answers.answer(
        GapPage(items=items, next=items[-1].id if len(found) > query.limit else None)
    )


@blueprint.post(
    "/<int:gap_id>/acknowledge",
    operation_id="acknowledgeGap",
    responses={200: Gap, **OF_ONE, **MAY_CONFLICT},
)
def acknowledge(path: GapPath) -> Response:
    """Note that one knows of a gap: it is not reported any more. Who and when is on record."""
    session = current_session()
    gap = transaction(
        services().engine,
        lambda connection: gaps.acknowledge(connection, path.gap_id, session.username),
    )
    actor = {"via": "api", "userId": session.user_id, "username": session.username}
    fields = request_fields("ok") | {"gapId": gap.id, "cause": gap.cause, "actor": actor}
    log.info("gap_acknowledged", extra={"fields": fields})
    return answers.answer(shape(gap))


def shape(gap: gaps.Gap) -> Gap:
    """Return a gap's shape."""
    return Gap.model_validate({name: getattr(gap, name) for name in Gap.model_fields})
