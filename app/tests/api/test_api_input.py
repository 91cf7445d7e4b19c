"""What a request must look like, and the error that says so."""

import json
from typing import Any

import pytest
from api_support import PASSWORD, assert_error, login, token_of
from flask.testing import FlaskClient


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"usernameOrEmail": "is missing", "password": "is missing"}),
        ({"usernameOrEmail": "alice"}, {"password": "is missing"}),
        ({"usernameOrEmail": "alice", "password": 1}, {"password": "must be a string"}),
        ({"usernameOrEmail": None, "password": "x"}, {"usernameOrEmail": "must be a string"}),
        ({"usernameOrEmail": ["a"], "password": {}}, {"usernameOrEmail": "", "password": ""}),
        (
            {"usernameOrEmail": "", "password": "x"},
            {"usernameOrEmail": "must have at least 1 character"},
        ),
        (
            {"usernameOrEmail": "a" * 255, "password": "x"},
            {"usernameOrEmail": "must have at most 254 characters"},
        ),
        (
            {"usernameOrEmail": "alice", "password": "é" * 37},
            {"password": "must have at most 72 bytes in UTF-8"},
        ),
        ({"usernameOrEmail": "alice", "password": "\ud800"}, {"password": "must be valid Unicode"}),
    ],
)
def test_bad_fields_are_named(client: FlaskClient, body: Any, fields: dict[str, str]) -> None:
    response = client.post("/login", data=json.dumps(body), content_type="application/json")

    assert_error(response, 400, "the request is not valid", *fields)
    for name, message in fields.items():
        assert message in response.json["fields"][name]


def test_72_bytes_are_not_too_many(client: FlaskClient) -> None:
    assert login(client, "alice", "é" * 36).status_code == 401


def test_a_password_is_not_cut_at_a_nul(client: FlaskClient) -> None:
    assert login(client, "alice", f"{PASSWORD}\x00").status_code == 401


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"9" * 5000, "the body is not JSON"),
        (b"[" * 16_000, "the body is nested too deeply"),
    ],
)
def test_a_body_that_is_not_json(client: FlaskClient, data: bytes, message: str) -> None:
    response = client.post("/login", data=data, content_type="application/json")

    assert_error(response, 400, message)


@pytest.mark.parametrize("data", [b"[]", b'"{}"', b"null", b"1", b"true"])
def test_a_body_that_is_no_object(client: FlaskClient, data: bytes) -> None:
    response = client.post("/login", data=data, content_type="application/json")

    assert_error(response, 400, "the request is not valid", "body")


def test_no_body(client: FlaskClient) -> None:
    assert_error(client.post("/login"), 400, "the request is not valid", "body")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_of_another_type(client: FlaskClient, kind: str | None) -> None:
    response = client.post("/login", data=b"{}", content_type=kind)

    assert_error(response, 415, "unsupported media type")


def test_a_body_too_large(client: FlaskClient) -> None:
    response = login(client, "alice", "x" * 17_000)

    assert_error(response, 413, "request entity too large")


def test_a_parameter_is_taken_from_its_place_alone(client: FlaskClient) -> None:
    """Not from the address what belongs into the body, nor from a form; the other way neither."""
    there = "/login?usernameOrEmail=alice&password=correct+horse"
    response = client.post(there, json={})
    assert_error(response, 400, "the request is not valid", "usernameOrEmail", "password")
    assert client.post(there, data={"password": PASSWORD}).status_code == 415
    token = token_of(client)
    token_of(client)
    assert client.get(f"/profile?x-auth-token={token}").status_code == 401
    headers = {"x-auth-token": token}
    page = client.get("/sessions", headers=headers, json={"limit": 1}).json
    assert len(page["items"]) == 2


def test_one_that_is_sent_twice_counts_once(client: FlaskClient) -> None:
    token = token_of(client)
    token_of(client)
    headers = {"x-auth-token": token}
    for query, count in (("limit=1&limit=100", 1), ("limit=100&limit=1", 2)):
        assert len(client.get(f"/sessions?{query}", headers=headers).json["items"]) == count


def test_an_unknown_path(client: FlaskClient) -> None:
    assert_error(client.get("/nowhere"), 404, "not found")


@pytest.mark.parametrize(("method", "path"), [("GET", "/login"), ("OPTIONS", "/profile")])
def test_an_unknown_method(client: FlaskClient, method: str, path: str) -> None:
    response = client.open(path, method=method)

    assert_error(response, 405, "method not allowed")
    assert response.headers["Allow"]
