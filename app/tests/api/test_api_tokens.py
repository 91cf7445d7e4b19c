"""A token's whole life: used, revoked, expired, forged, and its keys rotated."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from api_support import (
    KEY,
    PASSWORD,
    Log,
    MakeApp,
    login,
    profile,
    services_of,
    token_of,
)
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from mariadb_server import MariaDB
from pydantic import SecretStr

from helfy.tokens import InvalidTokenError, Tokens

NEW_KEY = "n" * 32


def test_profile_shows_the_account_and_the_session(client: FlaskClient) -> None:
    answer = login(client).json

    body = profile(client, answer["token"]).json

    assert set(body) == {
        "id", "username", "email", "role", "mustChangePassword", "createdAt",
        "passwordChangedAt", "session",
    }  # fmt: skip
    assert (body["id"], body["username"], body["role"]) == (1, "alice", "user")
    assert body["session"]["expiresAt"] == answer["expiresAt"]
    for moment in (body["createdAt"], body["session"]["createdAt"]):
        age = datetime.now(UTC) - datetime.fromisoformat(moment)
        # The database's own zone is not UTC: had it leaked in, this would be hours.
        assert abs(age) < timedelta(minutes=2)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_the_token_may_come_as_a_bearer_token(client: FlaskClient, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {token_of(client)}"}

    assert client.get("/profile", headers=headers).status_code == 200


def test_logout_revokes_this_session_and_no_other(client: FlaskClient, log: Log) -> None:
    mine, other = token_of(client), token_of(client)

    response = client.post("/logout", headers={"x-auth-token": mine})

    assert (response.status_code, response.json) == (200, {"message": "ok"})
    assert profile(client, mine).status_code == 401
    assert client.post("/logout", headers={"x-auth-token": mine}).status_code == 401
    assert profile(client, other).status_code == 200
    [line] = log.lines("logout")
    assert (line["userId"], line["outcome"]) == (1, "ok")


def test_a_login_ends_the_session_that_it_is_made_in(client: FlaskClient) -> None:
    mine, other = token_of(client), token_of(client)
    headers = {"x-auth-token": mine}
    body = {"usernameOrEmail": "alice", "password": "wrong"}
    assert client.post("/login", json=body, headers=headers).status_code == 401
    assert profile(client, mine).status_code == 200

    body["password"] = PASSWORD
    answer = client.post("/login", json=body, headers=headers)

    assert [profile(client, token).status_code for token in (mine, other)] == [401, 200]
    assert profile(client, answer.json["token"]).status_code == 200


def test_an_expired_session_is_refused(client: FlaskClient, database: MariaDB) -> None:
    token = token_of(client)
    database.execute(
        "UPDATE sessions SET expires_at = NOW(6) - INTERVAL 1 SECOND", database="helfy"
    )

    assert profile(client, token).status_code == 401


def test_a_shorter_lifetime_holds_for_old_tokens_too(make_app: MakeApp) -> None:
    app = make_app()
    session_id = services_of(app).tokens.read(token_of(app.test_client()))
    short = Tokens([SecretStr(KEY)], timedelta(seconds=-1))

    with pytest.raises(InvalidTokenError):
        short.read(short.sign(session_id))


def test_a_disabled_users_session_is_refused(client: FlaskClient, database: MariaDB) -> None:
    token = token_of(client)
    database.execute("UPDATE users SET status = 'disabled' WHERE id = 1", database="helfy")

    assert profile(client, token).status_code == 401


def test_a_deleted_users_session_is_refused(client: FlaskClient, database: MariaDB) -> None:
    token = token_of(client)
    database.execute("DELETE FROM users WHERE id = 1", database="helfy")

    assert profile(client, token).status_code == 401


def test_keys_rotate(make_app: MakeApp) -> None:
    old_client = make_app().test_client()
    old_token = token_of(old_client)

    both = make_app(token_keys=(SecretStr(NEW_KEY), SecretStr(KEY))).test_client()
    new_token = token_of(both)
    assert profile(both, old_token).status_code == 200
    assert profile(both, new_token).status_code == 200
    assert profile(old_client, new_token).status_code == 401, "the newest key must sign"

    new_alone = make_app(token_keys=(SecretStr(NEW_KEY),)).test_client()
    assert profile(new_alone, old_token).status_code == 401
    assert profile(new_alone, new_token).status_code == 200


def test_a_signature_is_not_enough(client: FlaskClient) -> None:
    stranger = Tokens([SecretStr(KEY)], timedelta(hours=1)).sign("not in the database")

    assert profile(client, stranger).status_code == 401


def test_a_signature_of_our_key_for_something_else_is_none(app: Flask) -> None:
    """Another salt is another kind of token, or another service with the same key."""
    client = app.test_client()
    session_id = services_of(app).tokens.read(token_of(client))
    hashing = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    for salt, status in (("helfy.session", 200), ("helfy.reset", 401), ("itsdangerous", 401)):
        token = URLSafeTimedSerializer(KEY, salt=salt, signer_kwargs=hashing).dumps(session_id)
        assert profile(client, str(token)).status_code == status, salt


def test_forged_and_damaged_tokens_are_refused(client: FlaskClient) -> None:
    token = token_of(client)
    payload, time, signature = token.split(".")
    forged = Tokens([SecretStr("f" * 32)], timedelta(hours=1)).sign("x")
    damaged = [
        forged,
        token[:-1],
        token[:20],
        token + "A",
        payload,
        f"{payload}.{time}",
        f"{payload}.{time}.",
        f"{payload}..{signature}",
        f".{payload}.{time}.{signature}",
        f"{payload}.{time[:-1]}.{signature}",
        token.swapcase(),
        "." * 400,
        "..",
        "null",
        "a" * 10_000,
        "é" * 100,
        "\x00",
        "a\x00b",
        "eJw" + "A" * 200 + ".x.y",
    ]
    answers = set()
    for bad in damaged:
        for headers in ({"x-auth-token": bad}, {"Authorization": f"Bearer {bad}"}):
            response = client.get("/profile", headers=headers)
            assert response.status_code == 401, bad
            assert response.headers["WWW-Authenticate"] == "Bearer"
            answers.add(response.json["message"])
    assert answers == {"a valid token is needed"}, "one answer for all"


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Basic YWxpY2U6eA==", "Token x", ":"]
)
def test_other_authorization_is_none(client: FlaskClient, authorization: str) -> None:
    response = client.get("/profile", headers={"Authorization": authorization})

    assert response.status_code == 401
