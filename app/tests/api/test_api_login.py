"""Login: who gets in, who does not, and what either leaves behind."""

from datetime import UTC, datetime, timedelta

import bcrypt
import pytest
from api_support import (
    HASH,
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
from mariadb_server import MariaDB

from helfy.api.settings import Passwords, Sessions
from helfy.passwords import Hasher
from helfy.tokens import fingerprint

NEW_KEY = "n" * 32


@pytest.mark.parametrize(
    "name", ["alice", "alice@example.com", "ALICE", " Alice@Example.COM\n", "\uff41lice"]
)
def test_login_takes_username_and_email_in_any_case(client: FlaskClient, name: str) -> None:
    before = datetime.now(UTC)
    response = login(client, name)

    assert response.status_code == 200
    body = response.json
    assert set(body) == {"message", "token", "expiresAt", "user"}
    assert body["message"] == "ok"
    assert body["user"] == {"id": 1, "username": "alice", "email": "alice@example.com"}
    assert response.headers["x-auth-token"] == body["token"]
    assert response.headers["Cache-Control"] == "no-store"
    assert body["expiresAt"].endswith("Z")
    lifetime = datetime.fromisoformat(body["expiresAt"]) - before
    assert timedelta(hours=12) <= lifetime < timedelta(hours=12, minutes=1)


def test_a_password_of_long_ago_is_as_good(client: FlaskClient, database: MariaDB) -> None:
    database.execute(
        "UPDATE users SET created_at = '2000-01-01', password_changed_at = '2000-01-01'",
        database="helfy",
    )
    assert "mustChangePassword" not in login(client).json


def test_an_unknown_field_at_login_changes_nothing(client: FlaskClient, database: MariaDB) -> None:
    query = "SELECT * FROM users ORDER BY id"
    rows = database.execute(query, database="helfy")
    more = {
        "id": 3, "userId": 3, "user_id": 3, "username": "root", "email": "x@example.com",
        "role": "admin", "status": "disabled", "mustChangePassword": True, "expiresAt": "2999",
        "newPassword": "another good one", "__proto__": {"role": "admin"},
    }  # fmt: skip
    body = {**more, "usernameOrEmail": "alice", "password": PASSWORD}

    answer = client.post("/login", json=body)

    assert answer.status_code == 200
    plain = login(client).json
    assert set(answer.json) == set(plain)
    assert answer.json["user"] == plain["user"]
    ends = [datetime.fromisoformat(said["expiresAt"]) for said in (answer.json, plain)]
    assert timedelta(0) <= ends[1] - ends[0] < timedelta(minutes=1)
    assert profile(client, answer.json["token"]).json["role"] == "user"
    assert database.execute(query, database="helfy") == rows
    assert client.post("/login", json=body | {"password": "wrong one"}).status_code == 401


def test_the_database_keeps_only_the_hash_of_the_session_id(app: Flask, database: MariaDB) -> None:
    token = token_of(app.test_client())

    [row] = database.execute("SELECT * FROM sessions", database="helfy")

    session_id = services_of(app).tokens.read(token)
    assert fingerprint(session_id) in row
    assert session_id not in str(row)
    assert token not in str(row)


def test_a_session_says_where_it_came_from(client: FlaskClient, database: MariaDB) -> None:
    headers = {"User-Agent": "x" * 300, "X-Forwarded-For": "203.0.113.9"}
    body = {"usernameOrEmail": "alice", "password": PASSWORD}
    assert client.post("/login", json=body, headers=headers).status_code == 200

    [row] = database.execute("SELECT ip, user_agent FROM sessions", database="helfy")

    assert row == ("203.0.113.9", "x" * 255)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("Grüße/1 😀".encode(), "Grüße/1 😀"),
        (b"ua\x9b31mRED", "ua\x9b31mRED"),
        (b"\xff\xfe", "\xff\xfe"),
    ],
)
def test_session_keeps_the_user_agent_as_it_was_sent(
    client: FlaskClient, database: MariaDB, sent: bytes, stored: str
) -> None:
    # WSGI hands a header's bytes on as Latin-1.
    environment = {"HTTP_USER_AGENT": sent.decode("latin-1")}
    body = {"usernameOrEmail": "alice", "password": PASSWORD}
    assert client.post("/login", json=body, environ_overrides=environment).status_code == 200

    [(found,)] = database.execute("SELECT user_agent FROM sessions", database="helfy")

    assert found == stored


def test_every_refused_login_gets_one_answer_after_the_same_work(
    client: FlaskClient, database: MariaDB, monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    database.execute("UPDATE users SET password_hash = 'not a hash' WHERE id = 3", database="helfy")
    checked: list[bytes] = []
    check = bcrypt.checkpw
    monkeypatch.setattr(
        bcrypt, "checkpw", lambda pw, stored: checked.append(stored) or check(pw, stored)
    )
    answers = set()
    cases = {
        "alice": (1, "wrong_password"),
        "alice@example.com": (1, "wrong_password"),
        "bob": (2, "disabled_account"),
        "root": (3, "wrong_password"),
        "nobody": (None, "unknown_account"),
        "nobody@example.com": (None, "unknown_account"),
        "al%": (None, "unknown_account"),
        "' OR 1=1 -- ": (None, "unknown_account"),
        "a\x00lice": (None, "unknown_account"),
        "álice": (None, "unknown_account"),
        "🙂": (None, "unknown_account"),
    }
    for name in cases:
        response = login(client, name, PASSWORD if name in ("bob", "root") else "wrong")
        body = response.json | {"requestId": ""}
        answers.add((response.status_code, str(body), str(sorted(response.headers.keys()))))

    assert {(status, body) for status, body, _ in answers} == {
        (401, "{'message': 'invalid credentials', 'requestId': ''}")
    }
    assert len(answers) == 1
    assert len(checked) == len(cases), "each refusal costs one bcrypt check"
    assert {stored[:7] for stored in checked} == {b"$2b$04$"}, "and all at one cost"
    lines = log.lines("login")
    assert [(line["userId"], line["reason"]) for line in lines] == list(cases.values())
    assert {line["outcome"] for line in lines} == {"invalid_credentials"}
    for name in ("nobody", "al%", "OR 1=1"):
        assert name not in log.text, "what was typed may be a password"


def test_an_outdated_hash_is_renewed_at_login(
    make_app: MakeApp, database: MariaDB, log: Log
) -> None:
    query = (
        "SELECT password_hash, password_changed_at, password_rehashed_at FROM users WHERE id = 1"
    )
    [(_, changed_at, _)] = database.execute(query, database="helfy")
    client = make_app(passwords=Passwords(bcrypt_cost=5)).test_client()

    assert login(client).status_code == 200
    assert login(client).status_code == 200

    [(stored, still, rehashed_at)] = database.execute(query, database="helfy")
    assert stored.startswith("$2b$05$")
    assert Hasher(5).matches(PASSWORD, stored)
    assert still == changed_at, "the password has not changed"
    assert rehashed_at is not None
    assert [line["rehashed"] for line in log.lines("login")] == [True, False]


def test_a_password_changed_during_login_is_not_outrun(
    client: FlaskClient, database: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = bcrypt.checkpw

    def check_slowly(password: bytes, stored: bytes) -> bool:
        database.execute("UPDATE users SET password_hash = 'new' WHERE id = 1", database="helfy")
        return check(password, stored)

    monkeypatch.setattr(bcrypt, "checkpw", check_slowly)

    response = login(client)

    assert (response.status_code, response.json["message"]) == (401, "invalid credentials")
    assert database.execute("SELECT * FROM sessions", database="helfy") == []


def test_sessions_last_as_long_as_set(make_app: MakeApp) -> None:
    body = login(make_app(sessions=Sessions(lifetime_seconds=60)).test_client()).json

    left = datetime.fromisoformat(body["expiresAt"]) - datetime.now(UTC)
    assert timedelta(seconds=30) < left <= timedelta(seconds=60)


def test_no_secret_in_any_answer_or_log(client: FlaskClient, log: Log) -> None:
    response = login(client)
    token = response.json["token"]
    texts = [response.text, profile(client, token).text]
    texts.append(login(client, "alice", "wrong-but-close").text)
    texts.append(login(client, "alice", "w" * 73).text)
    texts.append(login(client, "alice", ["s3cret-in-a-list"]).text)
    texts.append(client.post("/logout", headers={"x-auth-token": token}).text)

    for secret in (HASH, HASH[7:29], PASSWORD, "wrong-but-close", "www", "s3cret", KEY):
        assert secret not in log.text
        assert not [text for text in texts if secret in text]
    assert token not in log.text
    assert not [text for text in texts[1:] if token in text]
