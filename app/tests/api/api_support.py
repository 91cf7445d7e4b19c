"""Helpers of the API's tests."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from helfy.api.services import Services
from helfy.migrations.__main__ import main as migrate
from helfy.passwords import Hasher

COST = 4
KEY = "k" * 32
PROXY_KEY = "p" * 32
PASSWORD = "correct horse"
HASH = Hasher(COST).hash(PASSWORD)

MakeApp = Callable[..., Flask]


class ProxyClient(FlaskClient):
    """Asks as nginx does: what it forwards is believed."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.environ_base["HTTP_X_PROXY_KEY"] = PROXY_KEY


def services_of(app: Flask) -> Services:
    """Return the application's services."""
    found = app.extensions["helfy"]
    assert isinstance(found, Services)
    return found


def login(client: FlaskClient, name: Any = "alice", password: Any = PASSWORD) -> TestResponse:
    """Try to log in."""
    return client.post("/login", json={"usernameOrEmail": name, "password": password})


def token_of(client: FlaskClient, name: str = "alice") -> str:
    """Log in and return the token."""
    response = login(client, name)
    assert response.status_code == 200, response.text
    return str(response.json["token"])


def profile(client: FlaskClient, token: str) -> TestResponse:
    """Ask for the profile with a token."""
    return client.get("/profile", headers={"x-auth-token": token})


@dataclass
class Log:
    """The log lines of a test, as they would be printed."""

    caplog: pytest.LogCaptureFixture

    @property
    def text(self) -> str:
        """Everything, tracebacks included."""
        return self.caplog.text + json.dumps(
            [getattr(record, "fields", None) for record in self.caplog.records], default=str
        )

    def lines(self, action: str) -> list[dict[str, Any]]:
        """Return the fields of the lines with this action, and their level."""
        return [
            {"level": record.levelname.lower()} | getattr(record, "fields", {})
            for record in self.caplog.records
            if record.getMessage() == action
        ]


def run_migrate(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    """Run ``helfy-migrate``, which must succeed, and return what it printed."""
    assert migrate([*arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    [line] = captured.out.splitlines()
    return json.loads(line)


def assert_error(response: TestResponse, status: int, message: str, *fields: str) -> None:
    assert response.status_code == status, response.text
    assert response.mimetype == "application/json"
    assert response.json["message"] == message
    assert response.json["requestId"] == response.headers["X-Request-ID"]
    assert set(response.json) == {"message", "requestId"} | ({"fields"} if fields else set())
    assert sorted(response.json.get("fields", {})) == sorted(fields)
    assert response.headers["Cache-Control"] == "no-store"
