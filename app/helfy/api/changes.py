"""``GET /changes``: the live feed of the topic. An answer never waits for changes to come."""

from datetime import datetime
from typing import Annotated, Final, Literal

from flask import Response, g, jsonify
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import AfterValidator, Field

from helfy import jsonlog
from helfy.api import responses
from helfy.api.errors import InputError, request_fields, respond
from helfy.api.models import Shape
from helfy.api.services import services
from helfy.feed import cursor
from helfy.feed.entry import Wanted
from helfy.feed.feed import MOST_LINES, Feed, Page
from helfy.feed.pager import BusyError, KafkaAwayError

log = jsonlog.get(__name__)

BEHIND_POLL_MS: Final = 3000
RETRY_SECONDS: Final = 2

blueprint = APIBlueprint(
    "changes",
    __name__,
    abp_tags=[Tag(name="changes", description="The record of changes, live")],
    abp_responses=responses.FOR_USERS,
)


def _cursor(text: str) -> str:
    cursor.read(text)
    return text


_Cursor = Annotated[str, Field(max_length=cursor.LONGEST), AfterValidator(_cursor)]
_Type = Literal[
    "INSERT", "UPDATE", "DELETE", "TRUNCATE", "DDL", "SNAPSHOT", "UNDECODABLE"
]  # as change.type says, and lines that are no change


class ChangesQuery(Shape):
    """Which lines."""

    limit: Annotated[int, Field(ge=1, le=MOST_LINES)] = 50
    """Lines at most. An answer also ends near 1 MiB."""
    after: _Cursor | None = None
    """Lines after this cursor, oldest first: `next` of an answer before."""
    before: _Cursor | None = None
    """Lines before this cursor, newest first: `older` of an answer before."""
    table: Annotated[str, Field(min_length=1, max_length=129)] | None = None
    """A table's name, with or without its database."""
    type: _Type | None = None
    """A type of change; UNDECODABLE for lines that are no change."""
    key: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """The value of a key of one column, or a whole key as a JSON object."""


class LostRecords(Shape):
    """Records that Kafka has no more, between the cursor and the lines given."""

    partition: int
    from_: Annotated[int, Field(alias="from")]
    """The first offset that is gone."""
    to: int | None
    """The last one; null where the topic was made anew."""


class Changes(Shape):
    """A page of the feed."""

    changes: list[dict[str, object]]
    """The lines, as the consumer writes them; `timestamp` and `lagMs` are of Kafka's storing."""
    state: Literal["live", "behind", "cutOff"]
    """`live`; `behind`: newer lines are still to come; `cutOff`: Kafka does not answer."""
    recorded_at: datetime | None
    """The time that Kafka's newest record tells of, heartbeats included; null before the first."""
    next: str | None
    """The cursor for `after`: the end of these lines, or the feed's end now."""
    older: str | None
    """The cursor for `before`; null where there are no older lines, or with `after`."""
    more: bool
    """Whether to ask on at once. A page may be empty and have more: few records matched."""
    lost: list[LostRecords]
    """What retention took after the cursor `after`."""
    poll_after_ms: int
    """When to ask again for what is new: the fewer ask, the sooner."""


@blueprint.get("/changes", operation_id="listChanges", responses={200: Changes})
def list_changes(query: ChangesQuery) -> Response:
    """List changes: the newest, those before a cursor, or those after one.

    A cursor names places in Kafka, so it is valid on every process. Lines in memory are given
    whether or not Kafka answers; `state` tells what they are worth. 503 is for what is not in
    memory while Kafka is away.
    """
    if query.after is not None and query.before is not None:
        raise InputError({"before": "must not be given together with after"})
    feed = services().feed
    wanted = Wanted(query.table, query.type, query.key)
    try:
        if query.after is not None:
            page = feed.following(wanted, query.limit, cursor.read(query.after))
            # A viewer asks so every second: nothing to fill the journal with.
            g.unlogged = True
            return _answer(feed, page, cursor.write(page.end) or query.after, None)
        before = None if query.before is None else cursor.read(query.before)
        page, now = feed.newest(wanted, query.limit, before)
    except KafkaAwayError as fault:
        return _unavailable("kafka_away", "Kafka does not answer, try again", fault)
    except BusyError as fault:
        return _unavailable("busy", "others are reading older changes, try again", fault)
    older = cursor.write(page.end) if page.more else None
    return _answer(feed, page, cursor.write(now) or None, older or None)


def _answer(feed: Feed, page: Page, following: str | None, older: str | None) -> Response:
    state = feed.reader.pulse.feed()
    answer = Changes(
        changes=[],
        state=state,
        recorded_at=feed.reader.pulse.told_at(),
        next=following,
        older=older,
        more=page.more,
        lost=[
            LostRecords(partition=lost.partition, from_=lost.first, to=lost.last)
            for lost in page.lost
        ],
        poll_after_ms=feed.pace.next_ms() if state == "live" else BEHIND_POLL_MS,
    )
    response = jsonify(answer.model_dump(mode="json", by_alias=True, exclude={"changes"}))
    # The lines are JSON already: to read and to write them again would cost each viewer.
    rest: bytes = response.get_data()
    lines = b",".join(entry.text for entry in page.entries)
    response.set_data(b'{"changes":[' + lines + b"]," + rest.lstrip()[1:])
    return response


def _unavailable(outcome: str, message: str, fault: Exception) -> Response:
    log.warning("changes", extra={"fields": request_fields(outcome) | {"reason": str(fault)}})
    response = respond(503, message)
    response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response
