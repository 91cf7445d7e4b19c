"""What the views need, made once by the app factory."""

from dataclasses import dataclass

from flask import current_app
from sqlalchemy import Engine

from helfy.api.settings import Settings
from helfy.feed.feed import Feed
from helfy.feed.groups import Groups
from helfy.hashing import HashRoom
from helfy.logins import Logins
from helfy.passwords import Hasher
from helfy.sessions import Rules
from helfy.throttle import Throttle
from helfy.tokens import Tokens

_KEY = "helfy"


@dataclass(frozen=True)
class Services:
    """One of each per application."""

    settings: Settings
    engine: Engine
    room: HashRoom
    hasher: Hasher
    throttle: Throttle
    rules: Rules
    logins: Logins
    tokens: Tokens
    feed: Feed
    groups: Groups


def install(extensions: dict[str, object], services: Services) -> None:
    """Put ``services`` where :func:`services` finds them."""
    extensions[_KEY] = services


def services() -> Services:
    """Return the services of the application that handles the current request."""
    found = current_app.extensions[_KEY]
    if not isinstance(found, Services):
        raise TypeError("the application was not made by helfy.api.create_app")
    return found
