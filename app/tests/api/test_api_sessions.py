"""Sessions: listed, ended, ending by themselves; refused everywhere at once."""

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from api_process import Process
from api_support import (
    KEY,
    PASSWORD,
    Log,
    MakeApp,
    assert_error,
    login,
    profile,
    token_of,
)
from flask.testing import FlaskClient
from mariadb_server import MariaDB
from pydantic import SecretStr

from helfy.api.settings import Sessions

NEW = "another good one"


def listed(client: FlaskClient, token: str, **query: Any) -> dict[str, Any]:
    """Give the page of one's sessions."""
    response = client.get("/sessions", headers={"x-auth-token": token}, query_string=query)
    assert response.status_code == 200, response.text
    return dict(response.json)


def change_password(client: FlaskClient, token: str, current: str, new: str) -> Any:
    """Ask for another password."""
    body = {"currentPassword": current, "newPassword": new}
    return client.put("/profile/password", json=body, headers={"x-auth-token": token})


def test_my_sessions_are_listed_newest_first(client: FlaskClient) -> None:
    headers = {"User-Agent": "phone/1", "X-Forwarded-For": "203.0.113.9"}
    body = {"usernameOrEmail": "alice", "password": PASSWORD}
    client.post("/login", json=body, headers=headers)
    token_of(client, "root")
    mine = token_of(client)

    page = listed(client, mine)

    assert page["next"] is None
    here, phone = page["items"]
    assert set(here) == {
        "id", "current", "ip", "client", "createdAt", "lastSeenAt", "expiresAt", "idleExpiresAt"
    }  # fmt: skip
    assert (here["current"], phone["current"]) == (True, False)
    assert (phone["ip"], phone["client"]) == ("203.0.113.9", "phone/1")
    assert phone["createdAt"] == phone["lastSeenAt"] < here["createdAt"]
    idle = datetime.fromisoformat(phone["idleExpiresAt"])
    assert idle - datetime.fromisoformat(phone["lastSeenAt"]) == timedelta(hours=1)
    assert profile(client, mine).json["session"] == here


def test_the_list_has_pages(client: FlaskClient) -> None:
    tokens = [token_of(client) for _ in range(5)]
    every = [item["id"] for item in listed(client, tokens[0])["items"]]
    assert len(every) == 5

    first = listed(client, tokens[0], limit=2)
    second = listed(client, tokens[0], limit=2, after=first["next"])
    third = listed(client, tokens[0], limit=2, after=second["next"])

    pages = [[item["id"] for item in page["items"]] for page in (first, second, third)]
    assert pages == [every[:2], every[2:4], every[4:]]
    assert third["next"] is None
    assert listed(client, token_of(client, "root"), after=first["next"])["items"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "after=0", f"after={2**63}"])
def test_a_page_has_bounds(client: FlaskClient, query: str) -> None:
    headers = {"x-auth-token": token_of(client)}

    response = client.get(f"/sessions?{query}", headers=headers)

    assert_error(response, 400, "the request is not valid", query.partition("=")[0])


def test_one_is_ended(client: FlaskClient, log: Log) -> None:
    mine, other = token_of(client), token_of(client)
    headers = {"x-auth-token": mine}
    [other_id] = [item["id"] for item in listed(client, mine)["items"] if not item["current"]]

    response = client.delete(f"/sessions/{other_id}", headers=headers)

    assert (response.status_code, response.json) == (200, {"message": "ok"})
    assert profile(client, other).status_code == 401
    assert profile(client, mine).status_code == 200
    assert_error(client.delete(f"/sessions/{other_id}", headers=headers), 404, "not found")
    [line] = log.lines("session_ended")
    assert (line["userId"], line["sessionId"]) == (1, other_id)


def test_that_of_somebody_else_is_not_there(client: FlaskClient) -> None:
    root = token_of(client, "root")
    [theirs] = listed(client, root)["items"]
    headers = {"x-auth-token": token_of(client)}

    assert_error(client.delete(f"/sessions/{theirs['id']}", headers=headers), 404, "not found")
    assert profile(client, root).status_code == 200


def test_all_others_are_ended(client: FlaskClient) -> None:
    root = token_of(client, "root")
    others = [token_of(client) for _ in range(3)]
    mine = token_of(client)

    response = client.delete("/sessions", headers={"x-auth-token": mine})

    assert response.json == {"message": "ok", "ended": 3}
    assert [profile(client, token).status_code for token in others] == [401] * 3
    assert [profile(client, token).status_code for token in (mine, root)] == [200, 200]


def test_another_password_ends_all_others(client: FlaskClient, database: MariaDB, log: Log) -> None:
    root, other, mine = token_of(client, "root"), token_of(client), token_of(client)
    query = "SELECT password_changed_at FROM users WHERE id = 1"
    [(before,)] = database.execute(query, database="helfy")

    response = change_password(client, mine, PASSWORD, NEW)

    assert (response.status_code, response.json) == (200, {"message": "ok", "ended": 1})
    assert [profile(client, token).status_code for token in (other, mine, root)] == [401, 200, 200]
    assert login(client, "alice", PASSWORD).status_code == 401
    assert login(client, "alice", NEW).status_code == 200
    assert database.execute(query, database="helfy")[0][0] > before
    [line] = log.lines("password_changed")
    assert (line["userId"], line["sessionsEnded"]) == (1, 1)
    assert NEW not in log.text


@pytest.mark.parametrize(
    ("current", "new", "field", "message"),
    [
        ("wrong password", NEW, "currentPassword", "is not the current password"),
        (PASSWORD, PASSWORD, "newPassword", "must be another one than the current password"),
        (PASSWORD, "seven 7", "newPassword", "must have at least 8 characters"),
        (PASSWORD, "é" * 37, "newPassword", "must have at most 72 bytes in UTF-8"),
        (PASSWORD, "Alice@Example.com", "newPassword", "must not be the username or the email"),
        (PASSWORD, "password1", "newPassword", "is too easy to guess"),
        (PASSWORD, "PassWord1", "newPassword", "is too easy to guess"),
        (PASSWORD, " trustno1 ", "newPassword", "is too easy to guess"),
        (PASSWORD, "00000000", "newPassword", "is too easy to guess"),
        (PASSWORD, "87654321", "newPassword", "is too easy to guess"),
        (PASSWORD, "123123123", "newPassword", "is too easy to guess"),
        (PASSWORD, "alice2026", "newPassword", "is too easy to guess"),
        (PASSWORD, "qwertzuiop", "newPassword", "is too easy to guess"),
        (PASSWORD, "abcabcabc", "newPassword", "is too easy to guess"),
        (PASSWORD, "Helfy123", "newPassword", "is too easy to guess"),
        (PASSWORD, "20001231", "newPassword", "is too easy to guess"),
    ],
)
def test_a_password_that_is_refused_changes_nothing(
    client: FlaskClient, current: str, new: str, field: str, message: str
) -> None:
    other, mine = token_of(client), token_of(client)

    response = change_password(client, mine, current, new)

    assert_error(response, 400, "the request is not valid", field)
    assert message in response.json["fields"][field]
    assert profile(client, other).status_code == 200
    assert login(client, "alice", PASSWORD).status_code == 200


def test_a_session_ends_when_it_is_not_used(client: FlaskClient, database: MariaDB) -> None:
    idle, used = token_of(client), token_of(client)
    database.execute(
        "UPDATE sessions SET created_at = created_at - INTERVAL 61 MINUTE", database="helfy"
    )
    [(newest,)] = database.execute("SELECT MAX(id) FROM sessions", database="helfy")
    database.execute(
        "INSERT INTO session_activity (session_id, last_seen_at)"
        " VALUES (%s, NOW(6) - INTERVAL 59 MINUTE)",
        newest,
        database="helfy",
    )

    assert profile(client, idle).status_code == 401
    assert profile(client, used).status_code == 200
    assert [item["id"] for item in listed(client, used)["items"]] == [newest]


def test_use_is_noted_once_a_minute(client: FlaskClient, database: MariaDB) -> None:
    token = token_of(client)
    query = "SELECT last_seen_at FROM session_activity"
    profile(client, token)
    assert database.execute(query, database="helfy") == [], "it has just been made"
    database.execute(
        "UPDATE sessions SET created_at = created_at - INTERVAL 2 MINUTE", database="helfy"
    )

    profile(client, token)
    [noted] = database.execute(query, database="helfy")
    profile(client, token)
    assert database.execute(query, database="helfy") == [noted]
    database.execute(
        "UPDATE session_activity SET last_seen_at = last_seen_at - INTERVAL 61 SECOND",
        database="helfy",
    )
    seen = datetime.fromisoformat(profile(client, token).json["session"]["lastSeenAt"])
    [(again,)] = database.execute(query, database="helfy")
    assert again > noted[0] > seen.replace(tzinfo=None)


def test_limits_that_are_lower_now_hold_for_old_sessions(
    make_app: MakeApp, database: MariaDB
) -> None:
    token = token_of(make_app().test_client())
    database.execute(
        "UPDATE sessions SET created_at = created_at - INTERVAL 3 MINUTE", database="helfy"
    )
    for short in (Sessions(idle_seconds=120), Sessions(lifetime_seconds=120)):
        assert profile(make_app(sessions=short).test_client(), token).status_code == 401
    assert profile(make_app().test_client(), token).status_code == 200


def test_keys_rotate_without_ending_a_session(make_app: MakeApp) -> None:
    """First every process knows the new key, then one by one they sign with it."""
    new = SecretStr("n" * 32)
    stages = [(SecretStr(KEY),), (SecretStr(KEY), new), (new, SecretStr(KEY))]
    clients = [make_app(token_keys=keys).test_client() for keys in stages]
    for before, after in itertools.pairwise(clients):
        for one, other in ((before, after), (after, before)):
            assert profile(other, token_of(one)).status_code == 200


def test_what_one_process_ends_another_refuses_at_once(
    processes: Callable[..., Process],
) -> None:
    one, other = processes(), processes()
    _, _, mine = one.login()
    _, _, theirs = other.login()
    for process in (one, other):
        for body in (mine, theirs):
            assert process.send("GET", "/profile", body["token"])[0] == 200

    assert one.send("DELETE", "/sessions", mine["token"]) == (200, {"message": "ok", "ended": 1})

    assert one.send("GET", "/profile", theirs["token"])[0] == 401
    assert other.send("GET", "/profile", theirs["token"])[0] == 401
    assert other.send("POST", "/logout", mine["token"])[0] == 200
    assert one.send("GET", "/profile", mine["token"])[0] == 401
