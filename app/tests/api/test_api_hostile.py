"""Every field of every request with what nobody should send: refused or kept, never a 500."""

from collections.abc import Callable
from typing import Any

import pytest
from api_support import PASSWORD, MakeApp, token_of
from flask.testing import FlaskClient
from mariadb_server import MariaDB
from werkzeug.test import TestResponse

from helfy.accounts import username_problem
from helfy.throttle import Limits

HOSTILE: list[Any] = [
    "\x00", "a\x00b", "alice\x00", "\U0001f600" * 4, "\U0001f600@example.com", "\ud800",
    "ALICE", "\uff41lice", "al\u0131ce", "\u0430lice", "alice\u200b", "\u00a0alice", " alice ",
    "alice\u2028", "\u202ealice", "' OR '1'='1", "'; DROP TABLE users; -- ", "%", "_", "\\", "/",
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>@example.com", "{{7*7}}", "${7*7}",
    "../../etc/passwd", "x" * 254, "x" * 15_000, "", " ", "null", "-1", "NaN", "1e999",
    None, True, 0, -1, 1e300, 10**400, [], {}, ["alice"], {"$ne": ""}, [[[[]]]],
]  # fmt: skip
FIELDS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/login", {"usernameOrEmail": "alice", "password": PASSWORD}),
    ("PUT", "/profile/password", {"currentPassword": PASSWORD, "newPassword": "a good password"}),
    (
        "POST",
        "/users",
        {
            "username": "dora",
            "email": "dora@example.com",
            "password": "a good password",
            "role": "user",
            "mustChangePassword": False,
        },
    ),
    (
        "PATCH",
        "/users/2",
        {
            "username": "bob",
            "email": "bob@example.com",
            "role": "user",
            "status": "active",
            "mustChangePassword": False,
        },
    ),
    ("PUT", "/users/2/password", {"password": "a good password", "mustChangePassword": False}),
]
Ask = Callable[..., TestResponse]
PLACES = [(method, path, body, field) for method, path, body in FIELDS for field in body]
QUERIES = [
    (path, name)
    for path, names in (
        ("/users", ("search", "role", "status", "limit", "after")),
        ("/sessions", ("limit", "after")),
        ("/users/1/sessions", ("limit", "after")),
        ("/changes", ("before", "after", "table", "type", "key", "limit")),
    )
    for name in names
]


@pytest.fixture
def ask(make_app: MakeApp) -> Ask:
    """Ask for something as the admin root, without being throttled."""
    wide = Limits(pair_attempts=9999, address_attempts=9999, account_attempts=9999)
    client: FlaskClient = make_app(throttle=wide).test_client()
    headers = {"x-auth-token": token_of(client, "root")}
    return lambda method, path, **more: client.open(path, method=method, headers=headers, **more)


def check(response: TestResponse, what: object) -> None:
    """An answer of the contract, and nothing of the machine's own.

    503 is that of the feed, which has no Kafka here.
    """
    assert response.status_code in (200, 201, 400, 401, 404, 409, 503), (what, response.text)
    if response.status_code == 503:
        assert response.request.path == "/changes", what
    assert response.mimetype == "application/json", what
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    if response.status_code >= 400:
        assert set(response.json) <= {"message", "requestId", "fields"}, what
        assert "script" not in response.text, "it is not said back"


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[1]}-{place[3]}")
def test_fields(ask: Ask, database: MariaDB, place: tuple[str, str, dict[str, Any], str]) -> None:
    method, path, body, field = place
    for value in HOSTILE:
        check(ask(method, path, json=body | {field: value}), (field, value))
        check(ask(method, path, json=body | {str(value)[:200]: value}), (field, value))
    # Nobody has got in, and what is kept as a name is one.
    rows = database.execute("SELECT id, username, email, role FROM users", database="helfy")
    assert {row[0] for row in rows if row[3] == "admin"} <= {3} | {
        row[0] for row in rows if row[1].startswith("dora")
    }
    for _, username, email, _ in rows:
        assert username_problem(username) is None
        assert email.isprintable()


@pytest.mark.parametrize(("path", "name"), QUERIES)
def test_queries(ask: Ask, path: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of the feed, what is asked matters here, and not how long it looks for a Kafka.
    monkeypatch.setattr("helfy.feed.client.CONNECT_MS", 20)
    for value in HOSTILE:
        text = str(value).encode("utf-8", "surrogatepass")
        check(ask("GET", path, query_string={name: text}), value)


def test_a_million_bytes(ask: Ask) -> None:
    for method, path, body, field in PLACES:
        response = ask(method, path, json=body | {field: "x" * 1_000_000})
        assert response.status_code == 413, (path, field)
        assert set(response.json) == {"message", "requestId"}


def test_paths_and_headers(make_app: MakeApp) -> None:
    client = make_app().test_client()
    for value in HOSTILE:
        text = str(value).encode("utf-8", "surrogatepass").decode("latin-1")
        headers = {"User-Agent": text.replace("\n", " "), "X-Forwarded-For": text}
        body = {"usernameOrEmail": "alice", "password": PASSWORD}
        response = client.post("/login", json=body, headers=headers)
        assert response.status_code == 200, value
        token = {"x-auth-token": response.json["token"]}
        response = client.delete(f"/sessions/{text}", headers=token)
        assert response.status_code in (200, 400, 404, 405), value


@pytest.mark.slow
def test_what_python_calls_small_letters_the_database_does_too(database: MariaDB) -> None:
    """Else a username could be refused by the table's own check. Every letter there is is asked."""
    differing = []
    for start in range(0, 0x110000, 0x800):
        letters = [
            chr(code)
            for code in range(start, start + 0x800)
            if not 0xD800 <= code < 0xE000 and username_problem(chr(code)) is None
        ]
        kept = [letter for letter in letters if letter.casefold() == letter == letter.lower()]
        text = "".join(kept)
        [(lower,)] = database.execute("SELECT LOWER(%s COLLATE utf8mb4_bin)", text)
        differing += [a for a, b in zip(text, lower, strict=True) if a != b]
    assert len(differing) == 0, [hex(ord(letter)) for letter in differing]
