"""Accounts under the hands of an admin."""

from collections.abc import Callable
from typing import Any

import pytest
from api_support import PASSWORD, Log, assert_error, login, profile, token_of
from flask.testing import FlaskClient
from mariadb_server import MariaDB
from werkzeug.test import TestResponse

GOOD = "a good password"
DORA = {"username": "Dora", "email": "Dora@Example.com", "password": GOOD}
LAST = "the last active admin who has logged in must stay"

Ask = Callable[..., TestResponse]


@pytest.fixture
def ask(client: FlaskClient) -> Ask:
    """Ask for something as the admin root."""
    return root_of(client)


def root_of(client: FlaskClient) -> Ask:
    """Give what asks as the admin root."""
    headers = {"x-auth-token": token_of(client, "root")}
    return lambda method, path, **more: client.open(path, method=method, headers=headers, **more)


def test_a_user_is_made(ask: Ask, client: FlaskClient, log: Log) -> None:
    response = ask("POST", "/users", json=DORA)

    assert response.status_code == 201, response.text
    made = response.json
    assert set(made) == {
        "id", "username", "email", "role", "status", "mustChangePassword", "createdAt",
        "updatedAt", "passwordChangedAt",
    }  # fmt: skip
    assert (made["username"], made["email"]) == ("dora", "dora@example.com")
    assert (made["role"], made["status"], made["mustChangePassword"]) == ("user", "active", True)
    assert response.headers["Location"] == f"/users/{made['id']}"
    assert ask("GET", response.headers["Location"]).json == made
    assert login(client, "dora", GOOD).status_code == 200
    [line] = log.lines("user_created")
    assert (line["userId"], line["targetId"], line["role"]) == (3, made["id"], "user")
    assert GOOD not in log.text


def test_who_has_to_change_the_password_can_do_nothing_else(ask: Ask, client: FlaskClient) -> None:
    ask("POST", "/users", json=DORA | {"role": "admin"})
    answer = login(client, "dora", GOOD).json
    assert answer["mustChangePassword"] is True
    headers = {"x-auth-token": answer["token"]}
    for method, path in (("GET", "/users"), ("GET", "/sessions"), ("DELETE", "/sessions")):
        response = client.open(path, method=method, headers=headers)
        assert_error(response, 403, "the password must be changed first")
    assert profile(client, answer["token"]).json["mustChangePassword"] is True

    body = {"currentPassword": GOOD, "newPassword": "my very own one"}
    assert client.put("/profile/password", json=body, headers=headers).status_code == 200

    assert profile(client, answer["token"]).json["mustChangePassword"] is False
    assert client.get("/users", headers=headers).status_code == 200
    assert "mustChangePassword" not in login(client, "dora", "my very own one").json


def test_the_flag_alone_holds_at_once_for_sessions_there_are(ask: Ask, client: FlaskClient) -> None:
    token = token_of(client)
    assert ask("PATCH", "/users/1", json={"mustChangePassword": True}).json["mustChangePassword"]
    response = client.get("/sessions", headers={"x-auth-token": token})
    assert_error(response, 403, "the password must be changed first")
    changed = ask("PATCH", "/users/1", json={"mustChangePassword": False})
    assert changed.json["mustChangePassword"] is False
    assert client.get("/sessions", headers={"x-auth-token": token}).status_code == 200


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"username": "ALICE"}, ["username"]),
        ({"username": "\uff41lice"}, ["username"]),
        ({"username": " alice "}, ["username"]),
        ({"email": "Alice@EXAMPLE.com"}, ["email"]),
        ({"username": "alice", "email": "bob@example.com"}, ["email", "username"]),
    ],
)
def test_a_name_is_taken_however_it_is_written(
    ask: Ask, change: dict[str, str], fields: list[str]
) -> None:
    response = ask("POST", "/users", json=DORA | change)

    assert_error(response, 409, "already taken", *fields)
    assert set(response.json["fields"].values()) == {"is taken"}
    assert_error(ask("PATCH", "/users/3", json=change), 409, "already taken", *fields)


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"username": "a b"}, ["username"]),
        ({"username": "a@b"}, ["username"]),
        ({"username": "   "}, ["username"]),
        ({"username": "x" * 65}, ["username"]),
        ({"username": "\ufdfa" * 5}, ["username"]),  # eighteen letters each, once normalised
        ({"email": "nobody"}, ["email"]),
        ({"email": "a@b\u0000"}, ["email"]),
        ({"role": "king"}, ["role"]),
        ({"role": ["admin"]}, ["role"]),
        ({"mustChangePassword": "yes"}, ["mustChangePassword"]),
        ({"isAdmin": True}, ["isAdmin"]),
        ({"password": "short"}, ["password"]),
        ({"password": "dora@example.com"}, ["password"]),
        ({"password": "12345678"}, ["password"]),
        ({"email": "nobody", "password": "password"}, ["email", "password"]),
    ],
)  # fmt: skip
def test_bad_fields_of_a_new_user_are_named(
    ask: Ask, change: dict[str, Any], fields: list[str]
) -> None:
    assert_error(
        ask("POST", "/users", json=DORA | change), 400, "the request is not valid", *fields
    )


def test_a_user_is_changed(ask: Ask, client: FlaskClient, log: Log) -> None:
    token = token_of(client)
    change = {"username": "Alix", "email": "alix@example.org", "role": "admin"}

    response = ask("PATCH", "/users/1", json=change)

    assert response.status_code == 200, response.text
    shown = {name: response.json[name] for name in change}
    assert shown == {"username": "alix", "email": "alix@example.org", "role": "admin"}
    assert profile(client, token).json["role"] == "admin", "at once"
    assert ask("PATCH", "/users/1", json={"username": "alix"}).status_code == 200, "its own name"
    [line, _] = log.lines("user_changed")
    assert line["changed"] == ["email", "role", "username"]
    assert (line["userId"], line["targetId"]) == (3, 1)


@pytest.mark.parametrize(
    "body", [{}, {"role": None}, {"password": GOOD}, {"status": "gone"}, {"id": 9}]
)
def test_a_change_that_is_none_is_refused(ask: Ask, body: dict[str, Any]) -> None:
    assert ask("PATCH", "/users/1", json=body).status_code == 400


def test_disabling_ends_sessions_for_good(ask: Ask, client: FlaskClient) -> None:
    token = token_of(client)
    assert ask("PATCH", "/users/1", json={"status": "disabled"}).json["status"] == "disabled"
    assert profile(client, token).status_code == 401
    assert login(client).status_code == 401
    ask("PATCH", "/users/1", json={"status": "active"})
    assert profile(client, token).status_code == 401, "it does not come back"
    assert login(client).status_code == 200


def test_a_user_is_deleted_with_all_that_is_his(
    ask: Ask, client: FlaskClient, database: MariaDB, log: Log
) -> None:
    token = token_of(client)
    database.execute(
        "INSERT INTO session_activity SELECT id, NOW(6) FROM sessions WHERE user_id = 1",
        database="helfy",
    )

    assert ask("DELETE", "/users/1").json == {"message": "ok"}

    assert profile(client, token).status_code == 401
    assert_error(ask("DELETE", "/users/1"), 404, "there is no such user")
    for table in ("users WHERE id", "sessions WHERE user_id", "login_addresses WHERE user_id"):
        assert database.execute(f"SELECT * FROM {table} = 1", database="helfy") == []
    assert database.execute("SELECT * FROM session_activity", database="helfy") == []
    [line] = log.lines("user_deleted")
    assert (line["userId"], line["targetId"]) == (3, 1)


@pytest.mark.parametrize(
    ("method", "body", "field"),
    [
        ("DELETE", None, None),
        ("PATCH", {"role": "user"}, "role"),
        ("PATCH", {"status": "disabled"}, "status"),
        ("PATCH", {"status": "disabled", "role": "user"}, "role"),
    ],
)
def test_the_last_active_admin_stays(
    client: FlaskClient, database: MariaDB, method: str, body: Any, field: str | None
) -> None:
    ask = root_of(client)
    database.execute("UPDATE users SET role = 'admin' WHERE id = 2", database="helfy")

    response = ask(method, "/users/3", json=body)

    assert_error(response, 409, LAST, *([field] if field else []))
    assert ask("PATCH", "/users/3", json={"role": "admin", "status": "active"}).status_code == 200
    assert ask("PATCH", "/users/1", json={"role": "admin"}).status_code == 200
    # Nobody may know the password of an account that nobody has logged in to.
    assert_error(ask(method, "/users/3", json=body), 409, LAST, *([field] if field else []))
    token_of(client, "alice")
    assert ask(method, "/users/3", json=body).status_code == 200


def test_a_password_is_set_for_somebody(ask: Ask, client: FlaskClient, log: Log) -> None:
    token = token_of(client)

    response = ask("PUT", "/users/1/password", json={"password": GOOD})

    assert (response.status_code, response.json) == (200, {"message": "ok", "ended": 1})
    assert profile(client, token).status_code == 401
    assert login(client).status_code == 401
    assert login(client, "alice", GOOD).json["mustChangePassword"] is True
    body = {"password": GOOD, "mustChangePassword": False}
    assert ask("PUT", "/users/1/password", json=body).status_code == 200
    assert "mustChangePassword" not in login(client, "alice", GOOD).json
    assert_error(ask("PUT", "/users/99/password", json=body), 404, "there is no such user")
    easy = ask("PUT", "/users/1/password", json={"password": "alice@example.com"})
    assert_error(easy, 400, "the request is not valid", "password")
    assert len(log.lines("password_set")) == 2
    assert GOOD not in log.text


def test_sessions_of_somebody_are_listed_and_ended(ask: Ask, client: FlaskClient) -> None:
    tokens = [token_of(client) for _ in range(3)]
    items = ask("GET", "/users/1/sessions").json["items"]
    assert [item["current"] for item in items] == [False] * 3

    assert ask("DELETE", f"/users/1/sessions/{items[0]['id']}").json == {"message": "ok"}
    assert [profile(client, token).status_code for token in tokens] == [200, 200, 401]
    assert_error(ask("DELETE", f"/users/3/sessions/{items[1]['id']}"), 404, "not found")
    assert ask("DELETE", "/users/1/sessions").json == {"message": "ok", "ended": 2}
    assert [profile(client, token).status_code for token in tokens] == [401] * 3
    for method in ("GET", "DELETE"):
        assert_error(ask(method, "/users/99/sessions"), 404, "there is no such user")


def test_users_are_paged_and_searched(ask: Ask, database: MariaDB) -> None:
    for number, name in enumerate(["andre", "andré", "a_b", "a.b", "axb", "100-percent"]):
        database.execute(
            "INSERT INTO users (id, username, email, password_hash) VALUES (%s, %s, %s, 'x')",
            10 + number, name, f"{number}%{number}@mail.example", database="helfy",
        )  # fmt: skip

    def ids(**query: Any) -> list[int]:
        response = ask("GET", "/users", query_string=query)
        assert response.status_code == 200, response.text
        return [item["id"] for item in response.json["items"]]

    assert ids() == [1, 2, 3, 10, 11, 12, 13, 14, 15]
    first = ask("GET", "/users?limit=4").json
    second = ask("GET", f"/users?limit=4&after={first['next']}").json
    third = ask("GET", f"/users?limit=4&after={second['next']}").json
    pages = [[item["id"] for item in page["items"]] for page in (first, second, third)]
    assert pages == [[1, 2, 3, 10], [11, 12, 13, 14], [15]]
    assert third["next"] is None
    assert ids(search="ALICE") == [1]
    assert ids(search="example.com") == [1, 2, 3]
    assert ids(search="a_b") == [12], "a line below is itself"
    assert ids(search="%") == [10, 11, 12, 13, 14, 15]
    assert ids(search="0%0") == [10]
    assert ids(search="/") == []
    assert ids(search="' OR 1=1 -- ") == []
    assert ids(search="e\u0301") == [11], "composed or not"
    assert ids(role="admin") == [3]
    assert ids(status="disabled") == [2]
    assert ids(role="user", status="active", search="alice") == [1]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1000", "after=-1", f"after={2**64}", "role=king", "search=" + "x" * 65],
)
def test_a_page_of_users_has_bounds(ask: Ask, query: str) -> None:
    response = ask("GET", f"/users?{query}")
    assert_error(response, 400, "the request is not valid", query.partition("=")[0])


@pytest.mark.parametrize("user_id", ["0", "-1", str(2**63), "9" * 400, "x", "1.0", "%00", "99"])
def test_an_id_that_is_none(ask: Ask, user_id: str) -> None:
    assert ask("GET", f"/users/{user_id}").status_code in (400, 404)


def test_a_user_may_do_nothing_of_this(client: FlaskClient) -> None:
    headers = {"x-auth-token": token_of(client)}
    for method, path in (
        ("GET", "/users"), ("POST", "/users"), ("GET", "/users/1"), ("PATCH", "/users/1"),
        ("DELETE", "/users/1"), ("PUT", "/users/1/password"), ("GET", "/users/1/sessions"),
        ("DELETE", "/users/1/sessions"), ("DELETE", "/users/1/sessions/1"),
    ):  # fmt: skip
        body = {"role": "admin"} if method in ("POST", "PATCH", "PUT") else None
        response = client.open(path, method=method, headers=headers, json=body)
        assert_error(response, 403, "this needs the role admin")
    assert login(client, "alice", PASSWORD).status_code == 200
