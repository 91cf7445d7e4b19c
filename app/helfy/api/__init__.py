"""Helfy's HTTP API: a Flask application that Waitress serves."""

from datetime import timedelta

from flask import Flask
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from sqlalchemy import Engine

from helfy import __version__
from helfy.api import auth, errors, health, hooks, openapi, profile, security
from helfy.api.models import Error
from helfy.api.proxy import ClientAddress
from helfy.api.services import Services, install
from helfy.api.settings import Settings
from helfy.api.stream import StreamWatch
from helfy.api.tokens import Tokens
from helfy.database import connect
from helfy.passwords import Hasher


def create_app(
    settings: Settings, engine: Engine | None = None, stream: StreamWatch | None = None
) -> Flask:
    """Make the application; nothing is connected to until a request needs it.

    ``engine`` is by default made from the settings. ``stream`` is by default a watch that
    has not been started (its state is ``degraded``): the process starts its own.
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
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of the default provider
    install(
        app.extensions,
        Services(
            settings=settings,
            engine=engine
            or connect(
                settings.database,
                settings.database_password,
                pool_size=settings.database.pool_size,
            ),
            hasher=Hasher(settings.passwords.bcrypt_cost),
            tokens=Tokens(
                settings.token_keys, timedelta(seconds=settings.sessions.lifetime_seconds)
            ),
            stream=stream or StreamWatch(settings.stream),
        ),
    )
    # In this order: a request has an id before it can be refused, and is refused for want
    # of a session before its body is looked at.
    errors.register(app)
    hooks.register_first(app)
    security.register(app)
    hooks.register_last(app)
    for blueprint in (auth.blueprint, profile.blueprint, health.blueprint):
        app.register_api(blueprint)
    openapi.register(app)
    app.wsgi_app = ClientAddress(app.wsgi_app, settings.server.trusted_proxies)  # type: ignore[method-assign]  # Flask's documented way to add middleware
    return app
