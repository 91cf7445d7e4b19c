"""The shapes of requests and answers, which the OpenAPI document is made from.

Names are camelCase in JSON. Times are RFC 3339 in UTC with a ``Z``.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr
from pydantic.alias_generators import to_camel

from helfy.passwords import encode
from helfy.schema import EMAIL_LENGTH


class Shape(BaseModel):
    """What all shapes share; an error about one never quotes the value: it may be a password."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


def _short_enough(password: str) -> str:
    encode(password)
    return password


class LoginRequest(Shape):
    """Who wants to log in."""

    username_or_email: Annotated[StrictStr, Field(min_length=1, max_length=EMAIL_LENGTH)]
    """Upper and lower case are the same, white space around it does not count."""
    password: Annotated[StrictStr, Field(min_length=1), AfterValidator(_short_enough)]
    """At most 72 bytes in UTF-8; a longer one is a 400, never cut."""


class Account(Shape):
    """The account that logged in."""

    id: int
    username: str
    email: str


class LoginAnswer(Shape):
    """A new session. The token is in the header ``x-auth-token`` too."""

    model_config = ConfigDict(
        openapi_extra={  # type: ignore[typeddict-unknown-key]  # flask-openapi3's own
            "headers": {"x-auth-token": {"description": "The token", "schema": {"type": "string"}}}
        }
    )

    message: Literal["ok"] = "ok"
    token: str
    expires_at: datetime
    user: Account


class Session(Shape):
    """The session that the request's token belongs to."""

    id: int
    created_at: datetime
    expires_at: datetime


class Profile(Account):
    """The account that the request's token belongs to."""

    role: str
    """``user`` or ``admin``."""
    created_at: datetime
    password_changed_at: datetime
    session: Session


class Message(Shape):
    """Done."""

    message: Literal["ok"] = "ok"


class Live(Shape):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str
    release: str


class Ready(Shape):
    """The database answers; the stream of changes is reported beside it."""

    status: Literal["ok"] = "ok"
    database: Literal["ok"] = "ok"
    change_stream: Literal["ok", "degraded"]


class Error(Shape):
    """Every error. ``requestId`` is the one in the log and in the header ``X-Request-ID``."""

    message: str
    request_id: str
    fields: dict[str, str] | None = None
    """By field, what is wrong with it; where the request's body was bad."""


class NotReadyError(Error):
    """The database does not answer: no logins."""

    database: Literal["down"] = "down"
    change_stream: Literal["ok", "degraded"]
