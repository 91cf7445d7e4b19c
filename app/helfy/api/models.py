"""The shapes of requests and answers, which the OpenAPI document is made from.

Names are camelCase in JSON. Times are RFC 3339 in UTC with a ``Z``.
"""

from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    model_validator,
)
from pydantic.alias_generators import to_camel

from helfy.password_rules import SHORTEST
from helfy.passwords import LONGEST_BYTES, encode
from helfy.schema import EMAIL_LENGTH, USERNAME_LENGTH


class Shape(BaseModel):
    """What all shapes share; an error about one never quotes the value: it may be a password."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    @classmethod
    def model_json_schema(cls, *arguments: Any, **named: Any) -> dict[str, Any]:
        """Give what pydantic does; flask-openapi3 asks for it, without a word, at each request."""
        if arguments or named:
            return super().model_json_schema(*arguments, **named)
        return _plain_schema(cls)


@cache
def _plain_schema(shape: type[Shape]) -> dict[str, Any]:
    # It takes longer to make than most requests take.
    return super(Shape, shape).model_json_schema()


def _short_enough(password: str) -> str:
    encode(password)
    return password


Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
Username = Annotated[StrictStr, Field(min_length=1, max_length=USERNAME_LENGTH)]
Email = Annotated[StrictStr, Field(min_length=3, max_length=EMAIL_LENGTH)]
Role = Literal["user", "admin"]
Status = Literal["active", "disabled"]
# A bound in characters beside that in bytes, so that the document can tell one.
TypedPassword = Annotated[
    StrictStr, Field(min_length=1, max_length=LONGEST_BYTES), AfterValidator(_short_enough)
]
NewPassword = Annotated[
    StrictStr, Field(min_length=SHORTEST, max_length=LONGEST_BYTES), AfterValidator(_short_enough)
]


class Body(Shape):
    """What a request sends; a field that is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class LoginRequest(Shape):
    """Who wants to log in."""

    username_or_email: Annotated[StrictStr, Field(min_length=1, max_length=EMAIL_LENGTH)]
    """Upper and lower case are the same, white space around it does not count."""
    password: TypedPassword
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
    must_change_password: Literal[True] | None = None
    """Present where the password must be changed before anything else can be done."""


class Session(Shape):
    """A session that is good now."""

    id: int
    current: bool
    """Whether it is the one that this request was made with."""
    ip: str | None
    client: str | None
    """What it called itself at login (the header User-Agent)."""
    created_at: datetime
    last_seen_at: datetime
    """Moves once a minute at most."""
    expires_at: datetime
    idle_expires_at: datetime
    """When it ends unless it is used before."""


class SessionPage(Shape):
    """Some sessions, newest first."""

    items: list[Session]
    next: int | None
    """To be sent as ``after`` for the page that follows; null on the last one."""


class SessionQuery(Shape):
    """Which page of sessions."""

    limit: Annotated[int, Field(ge=1, le=100)] = 50
    after: Id | None = None
    """``next`` of the page before."""


class SessionPath(Shape):
    """A session by its id."""

    session_id: Id = Field(alias="session_id")


class Profile(Account):
    """The account that the request's token belongs to."""

    role: Role
    must_change_password: bool
    """Until the password is changed, nothing else can be done."""
    created_at: datetime
    password_changed_at: datetime
    session: Session


class PasswordChange(Body):
    """The password as it is and as it shall be."""

    current_password: TypedPassword
    new_password: NewPassword
    """8 characters to 72 bytes in UTF-8; not a common one, not the username or email."""


class User(Account):
    """An account, as admins see it."""

    role: Role
    status: Status
    must_change_password: bool
    created_at: datetime
    updated_at: datetime
    password_changed_at: datetime


class UserPage(Shape):
    """Some accounts, by id."""

    items: list[User]
    next: int | None
    """To be sent as ``after`` for the page that follows; null on the last one."""


class UserQuery(Shape):
    """Which accounts."""

    search: Annotated[str, Field(max_length=USERNAME_LENGTH)] = ""
    """A piece of the username or of the email address."""
    role: Role | None = None
    status: Status | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    after: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    """``next`` of the page before."""


class UserPath(Shape):
    """An account by its id."""

    user_id: Id = Field(alias="user_id")


class UserSessionPath(UserPath, SessionPath):
    """A session of an account."""


class NewUser(Body):
    """An account to be."""

    username: Username
    """Letters and digits, with ``.``, ``_``, ``-`` between; kept in small letters (NFKC)."""
    email: Email
    password: NewPassword
    role: Role = "user"
    must_change_password: StrictBool = True


class UserChange(Body):
    """What to change of an account; what is absent or null stays."""

    username: Username | None = None
    email: Email | None = None
    role: Role | None = None
    status: Status | None = None
    must_change_password: StrictBool | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            raise ValueError("must have a field to change")
        return self


class UserPassword(Body):
    """A password for somebody else."""

    password: NewPassword
    must_change_password: StrictBool = True


class Message(Shape):
    """Done."""

    message: Literal["ok"] = "ok"


class Ended(Message):
    """Done, and so many sessions ended."""

    ended: int


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


class RetryError(Error):
    """Not now; the header ``Retry-After`` says in how many seconds."""

    model_config = ConfigDict(
        openapi_extra={  # type: ignore[typeddict-unknown-key]  # flask-openapi3's own
            "headers": {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
        }
    )


class NotReadyError(Error):
    """The database does not answer: no logins."""

    database: Literal["down"] = "down"
    change_stream: Literal["ok", "degraded"]
