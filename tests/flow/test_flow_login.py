"""From the login to the logout, through nginx, and everybody who is not let in."""

import hashlib
import time
from typing import Any

import pytest
import requests
from itsdangerous import URLSafeTimedSerializer
from stream import Stream

Account = dict[str, str]


def log_in(http: requests.Session, url: str, name: str, password: str) -> requests.Response:
    body = {"usernameOrEmail": name, "password": password}
    return http.post(f"{url}/login", json=body, timeout=15)


def token_of(http: requests.Session, url: str, account: Account) -> str:
    answer = log_in(http, url, account["username"], account["password"])
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


def profile(http: requests.Session, url: str, token: str) -> requests.Response:
    return http.get(f"{url}/profile", headers={"x-auth-token": token}, timeout=15)


def check_refused(answer: requests.Response, status: int) -> dict[str, Any]:
    """An error of the contract's form; give its body without the id."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].split(";")[0] == "application/json"
    body: dict[str, Any] = answer.json()
    assert body.keys() - {"fields"} == {"message", "requestId"}
    assert body.pop("requestId") == answer.headers["X-Request-ID"]
    assert "x-auth-token" not in answer.headers
    return body


@pytest.mark.parametrize("by", ["username", "email"])
def test_from_login_to_logout(
    http: requests.Session, url: str, lab_account: Account, by: str
) -> None:
    answer = log_in(http, url, lab_account[by], lab_account["password"])
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body.keys() == {"message", "token", "expiresAt", "user"}
    assert body["message"] == "ok"
    assert answer.headers["x-auth-token"] == body["token"]
    assert {k: body["user"][k] for k in ("username", "email")} == {
        k: lab_account[k] for k in ("username", "email")
    }
    own = {"x-auth-token": body["token"]}
    for headers in (own, {"Authorization": f"Bearer {body['token']}"}):
        seen = http.get(f"{url}/profile", headers=headers, timeout=15)
        assert seen.status_code == 200
        assert {k: seen.json()[k] for k in body["user"]} == body["user"]
        assert "hash" not in seen.text
    out = http.post(f"{url}/logout", headers=own, timeout=15)
    assert (out.status_code, out.json()) == (200, {"message": "ok"})
    check_refused(profile(http, url, body["token"]), 401)
    check_refused(http.post(f"{url}/logout", headers=own, timeout=15), 401)


def test_a_logout_ends_one_session(http: requests.Session, url: str, lab_account: Account) -> None:
    one, other = (token_of(http, url, lab_account) for _ in range(2))
    http.post(f"{url}/logout", headers={"x-auth-token": one}, timeout=15)
    check_refused(profile(http, url, one), 401)
    assert profile(http, url, other).status_code == 200


def test_unknown_user_and_wrong_password_are_one(
    http: requests.Session, url: str, lab_account: Account
) -> None:
    names = (lab_account["username"], "nobody-of-this-name", "nobody@example.com")
    bodies, times = [], {name: list[float]() for name in names}
    # In turn: whatever else the machine does meets all alike.
    for name in names * 3:
        begun = time.monotonic()
        answer = log_in(http, url, name, "not the password")
        times[name].append(time.monotonic() - begun)
        bodies.append(check_refused(answer, 401))
    fastest = [min(took) for took in times.values()]
    assert bodies == [{"message": "invalid credentials"}] * len(bodies)
    # The hash takes most of the time: whoever is not there must take as long.
    assert max(fastest) < 2 * min(fastest), fastest


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": "password"}, "usernameOrEmail"),
        ({"usernameOrEmail": "admin"}, "password"),
        ({"usernameOrEmail": "", "password": "password"}, "usernameOrEmail"),
        ({"usernameOrEmail": "admin", "password": ""}, "password"),
        ({"usernameOrEmail": 1, "password": "password"}, "usernameOrEmail"),
        ({"usernameOrEmail": "admin", "password": ["password"]}, "password"),
        ({"usernameOrEmail": None, "password": "password"}, "usernameOrEmail"),
        ({"usernameOrEmail": "admin", "password": {"$ne": ""}}, "password"),
        ({"usernameOrEmail": "admin", "password": "p" * 73}, "password"),
        (["admin", "password"], "body"),
    ],
)
def test_bad_fields_are_named(http: requests.Session, url: str, body: Any, field: str) -> None:
    answer = http.post(f"{url}/login", json=body, timeout=15)
    assert check_refused(answer, 400)["fields"].keys() == {field}


def test_both_missing_fields_are_named(http: requests.Session, url: str) -> None:
    answer = http.post(f"{url}/login", json={}, timeout=15)
    assert check_refused(answer, 400)["fields"].keys() == {"usernameOrEmail", "password"}


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b'{"usernameOrEmail": "admin", "password"', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 10_000, "application/json", 400),
        (b"", "application/json", 400),
        (b'"admin"', "application/json", 400),
        (b"usernameOrEmail=admin", "application/x-www-form-urlencoded", 415),
    ],
)
def test_what_is_not_json_is_refused(
    http: requests.Session, url: str, data: bytes, kind: str, status: int
) -> None:
    answer = http.post(f"{url}/login", data=data, headers={"Content-Type": kind}, timeout=15)
    check_refused(answer, status)


def other_key(token: str) -> str:
    """The same session, signed by somebody who does not have the key."""
    forger = URLSafeTimedSerializer(
        "k" * 64,
        salt="helfy.session",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
    signed_well, session_id = forger.loads_unsafe(token)
    assert not signed_well
    assert isinstance(session_id, str)
    forged = forger.dumps(session_id)
    return forged if isinstance(forged, str) else forged.decode()


def test_forged_tokens_are_refused(http: requests.Session, url: str, lab_account: Account) -> None:
    token = token_of(http, url, lab_account)
    payload, signed_at, signature = token.rsplit(".", 2)
    flipped = ("B" if payload[1] == "A" else "A").join((payload[0], payload[2:]))
    forged = {
        "by another key": other_key(token),
        "with another session": f"{flipped}.{signed_at}.{signature}",
        "with another time": f"{payload}.{signed_at[::-1]}.{signature}",
        "without a signature": f"{payload}.{signed_at}.",
        "without time and signature": payload,
        "cut short": token[:-1],
        "too long": f"{token}{'A' * 500}",
        "another thing": "eyJhbGciOiJub25lIn0.eyJzdWIiOjF9.",
        "SQL": "' OR 1=1 -- ",
    }
    bodies = [check_refused(profile(http, url, bad), 401) for bad in forged.values()]
    absent = check_refused(http.get(f"{url}/profile", timeout=15), 401)
    assert bodies == [absent] * len(bodies), "which it was is nobody's business"
    assert profile(http, url, token).status_code == 200


def test_an_expired_token_is_refused(
    http: requests.Session, url: str, lab_account: Account, stream: Stream, run_id: str
) -> None:
    token = token_of(http, url, lab_account)
    assert profile(http, url, token).status_code == 200
    stream.database.sql(
        "UPDATE sessions SET expires_at = CURRENT_TIMESTAMP(6) - INTERVAL 1 SECOND"
        f" WHERE user_agent = 'helfy-tests/{run_id}'"
    )
    check_refused(profile(http, url, token), 401)


@pytest.mark.parametrize(
    "ending", ["UPDATE users SET status = 'disabled'", "DELETE FROM users"], ids=["off", "gone"]
)
def test_who_is_disabled_or_deleted_is_out_at_once(
    http: requests.Session, url: str, lab_account: Account, stream: Stream, ending: str
) -> None:
    name = stream.person("out")
    stream.database.sql(
        "INSERT INTO users (username, email, password_hash)"
        f" SELECT '{name}', '{name}@example.com', password_hash"
        f" FROM users WHERE username = '{lab_account['username']}'"
    )
    account = {**lab_account, "username": name}
    token = token_of(http, url, account)
    assert profile(http, url, token).json()["username"] == name
    stream.database.sql(f"{ending} WHERE username = '{name}'")
    check_refused(profile(http, url, token), 401)
    check_refused(log_in(http, url, name, account["password"]), 401)
