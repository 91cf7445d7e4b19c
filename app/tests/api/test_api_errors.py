"""One shape for every error; everything closed that is not public."""

import re

import pytest
from api_support import Log, assert_error, login, token_of
from flask import Flask
from flask.testing import FlaskClient

from helfy.api.security import PUBLIC_ENDPOINTS


def test_without_a_session_nothing_but_the_public_endpoints_answers(app: Flask) -> None:
    client = app.test_client()
    refused = []
    for rule in app.url_map.iter_rules():
        for method in rule.methods or ():
            with client.open(re.sub("<.*?>", "1", rule.rule), method=method) as response:
                status = response.status_code
            if rule.endpoint in PUBLIC_ENDPOINTS:
                assert status != 401 or rule.endpoint == "auth.login"
            else:
                assert status == 401
                refused.append(rule.rule)
    assert {"/profile", "/logout", "/sessions", "/users", "/users/<int:user_id>"} <= set(refused)


def test_an_endpoint_that_nobody_thought_about_is_closed(app: Flask) -> None:
    app.add_url_rule("/new", view_func=lambda: "open")

    client = app.test_client()
    assert_error(client.get("/new"), 401, "a valid token is needed")
    user = {"x-auth-token": token_of(client)}
    assert_error(client.get("/new", headers=user), 403, "this needs the role admin")
    admin = {"x-auth-token": token_of(client, "root")}
    assert client.get("/new", headers=admin).text == "open"


def test_a_bug_shows_nothing_but_its_request_id(app: Flask, log: Log) -> None:
    def fail() -> None:
        raise RuntimeError("innards")

    app.add_url_rule("/bug", view_func=fail)
    client = app.test_client()
    response = client.get("/bug", headers={"x-auth-token": token_of(client, "root")})

    assert_error(response, 500, "internal error")
    [line] = log.lines("request_failed")
    assert line["requestId"] == response.json["requestId"]
    assert (line["level"], line["userId"]) == ("error", 3)
    assert "innards" in log.text


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0123456789abcdef0123456789abcdef", True),
        ("short", False),
        ("x" * 65, False),
        ("with space", False),
        ('quote"123456', False),
    ],
)
def test_the_request_id_is_nginxs_if_it_is_sane(
    client: FlaskClient, given: str, kept: bool
) -> None:
    response = client.get("/nowhere", headers={"X-Request-ID": given})

    assert (response.json["requestId"] == given) is kept
    assert_error(response, 404, "not found")


def test_every_request_but_health_checks_is_logged(client: FlaskClient, log: Log) -> None:
    client.get("/nowhere/secret-in-a-path")
    client.open("/profile", method="PROFILE-" + "X" * 20)
    client.get("/health/live")
    client.get("/health/ready")
    login(client)

    lines = log.lines("request")

    assert [(line["method"], line["route"], line["status"], line["outcome"]) for line in lines] == [
        ("GET", None, 404, "refused"),
        ("other", None, 405, "refused"),
        ("POST", "/login", 200, "ok"),
    ]
    assert lines[2]["durationMs"] > 0
    assert "secret-in-a-path" not in log.text


def test_path_with_doubled_slashes_never_redirects(app: Flask) -> None:
    client = app.test_client()
    admin = {"x-auth-token": token_of(client, "root")}
    for rule in app.url_map.iter_rules():
        path = re.sub("<.*?>", "1", rule.rule)
        spellings = {path.replace("/", "//"), f"/{path}", f"{path}//", f"{path}/"} - {path, "/"}
        for spelling in spellings:
            for method in ("GET", "POST", "DELETE"):
                with client.open(
                    "/",
                    method=method,
                    headers=admin,
                    base_url="http://evil.example",
                    environ_overrides={"PATH_INFO": spelling},
                ) as response:
                    assert not 300 <= response.status_code < 400, spelling
                    assert "evil.example" not in f"{response.headers}"
    assert_error(client.get("/users//1", headers=admin), 404, "not found")
