"""Helfy's HTTP API: a Flask application that Waitress serves."""

from datetime import timedelta

from flask import Flask
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from sqlalchemy import Engine

from helfy import __version__
from helfy.api import (
    auth,
    changes,
    docs,
    errors,
    gaps,
    health,
    hooks,
    metrics,
    openapi,
    profile,
    security,
    sessions,
    status,
    user_sessions,
    users,
)
from helfy.api.models import Error
from helfy.api.proxy import ClientAddress
from helfy.api.services import Services, install
from helfy.api.settings import Settings
from helfy.database import connect
from helfy.feed.feed import Feed
from helfy.feed.groups import Groups
from helfy.feed.pager import Pager
from helfy.feed.reader import StreamReader
from helfy.hashing import HashRoom
from helfy.logins import Logins
from helfy.passwords import Hasher
from helfy.sessions import Rules
from helfy.throttle import Throttle
from helfy.tokens import Tokens


def create_app(
    settings: Settings, engine: Engine | None = None, stream: StreamReader | None = None
) -> Flask:
    """Make the application; nothing is connected to until a request needs it.

    ``engine`` is by default made from the settings. ``stream`` is by default a reader
    that has not been started (its state is ``degraded``): the process starts its own.
    """
    app = OpenAPI(
        "helfy.api",
        info=Info(title="Helfy", version=__version__),
        security_schemes=openapi.SECURITY_SCHEMES,
        validation_error_status=400,
        validation_error_model=Error,
        validation_error_callback=errors.on_validation_error,
        doc_ui=False,
        static_folder=None,
    )
    # OPTIONS is an endpoint like any other: there is none.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    # Werkzeug would redirect //, to the Host that the client names.
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of the default provider
    install(app.extensions, _services(settings, engine, stream))
    # In this order: a request has an id before it can be refused, and is refused for want
    # of a session before its body is looked at.
    errors.register(app)
    hooks.register_first(app)
    security.register(app)
    hooks.register_last(app)
    for part in (auth, profile, sessions, users, user_sessions, changes, gaps, status, health):
        app.register_api(part.blueprint)
    docs.register(app)
    metrics.register(app)
    openapi.register(app)
    app.wsgi_app = ClientAddress(app.wsgi_app, settings.proxy_keys)  # type: ignore[method-assign]  # Flask's documented way to add middleware
    return app


def _services(settings: Settings, engine: Engine | None, stream: StreamReader | None) -> Services:
    pool = settings.database.pool_size
    engine = engine or connect(settings.database, settings.database_login, pool_size=pool)
    room = HashRoom(settings.passwords.concurrent_hashes, settings.waiting_requests)
    hasher = Hasher(settings.passwords.bcrypt_cost, room.slot)
    throttle = Throttle(engine, settings.throttle)
    lifetime = timedelta(seconds=settings.sessions.lifetime_seconds)
    rules = Rules(lifetime, timedelta(seconds=settings.sessions.idle_seconds))
    stream = stream or StreamReader(settings.stream)
    return Services(
        settings=settings,
        engine=engine,
        room=room,
        hasher=hasher,
        throttle=throttle,
        rules=rules,
        logins=Logins(engine, hasher, room, throttle, rules),
        tokens=Tokens(settings.token_keys, lifetime),
        feed=Feed(stream, Pager(settings.stream)),
        groups=Groups(settings.stream, stream),
    )
