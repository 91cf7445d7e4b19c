"""Accounts, sessions and the throttle through nginx, with all processes of the API behind it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from machine import Machine
from machines import Machines
from stream import Stream

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "app" / "tests"))

from fuzz import ENDING, fuzz

READING = (
    *("showProfile", "listSessions", "listUsers", "showUser"),
    *("listSessionsOfUser", "listChanges", "showStatus"),
)
Ask = Callable[..., requests.Response]
PASSWORD = "the first good one"
# Log in twice by one process, end one by the other, see how long another process lets it in.
PAIRS = r"""
import http.client, itertools, json, sys, time
given = json.load(sys.stdin)
def ask(place, method, path, token=None, body=None):
    link = http.client.HTTPConnection(*place, timeout=30)
    headers = {"Content-Type": "application/json", "User-Agent": given["agent"]}
    if token:
        headers["x-auth-token"] = token
    link.request(method, path, body and json.dumps(body), headers)
    answer = link.getresponse()
    return answer.status, json.loads(answer.read())
seconds = []
for one, other in itertools.permutations(given["processes"], 2):
    logins = [ask(one, "POST", "/login", body=given["credentials"]) for _ in range(2)]
    assert [status for status, _ in logins] == [200, 200], logins
    mine, theirs = (body["token"] for _, body in logins)
    assert ask(other, "GET", "/profile", theirs)[0] == 200
    assert ask(one, "DELETE", "/sessions", mine) == (200, {"message": "ok", "ended": 1})
    begun = time.monotonic()
    while ask(other, "GET", "/profile", theirs)[0] != 401:
        assert time.monotonic() < begun + 10, "it is let in for good"
    seconds.append(time.monotonic() - begun)
    assert ask(one, "POST", "/logout", mine)[0] == 200
print(json.dumps(seconds))
"""
ROUNDS = 12
"""Requests, which nginx hands to one process after the other."""


@pytest.fixture
def as_admin(
    http: requests.Session, url: str, login: Callable[[], requests.Response]
) -> Iterator[Ask]:
    """Ask for something as the lab's admin."""
    headers = {"x-auth-token": login().json()["token"]}

    def ask(method: str, path: str, **more: Any) -> requests.Response:
        return http.request(method, f"{url}{path}", headers=headers, timeout=30, **more)

    yield ask
    ask("POST", "/logout")


@pytest.fixture
def person(as_admin: Ask, stream: Stream) -> Iterator[dict[str, Any]]:
    """An account made by the admin, which may do as it likes."""
    name = stream.person("account")
    body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    made = as_admin("POST", "/users", json=body | {"mustChangePassword": False})
    assert made.status_code == 201, made.text
    yield made.json()
    as_admin("DELETE", f"/users/{made.json()['id']}")


def token_of(http: requests.Session, url: str, name: str, password: str = PASSWORD) -> str:
    body = {"usernameOrEmail": name, "password": password}
    answer = http.post(f"{url}/login", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


def statuses(http: requests.Session, url: str, token: str) -> set[int]:
    """Ask every process for the profile; give the answers' statuses."""
    headers = {"x-auth-token": token}
    return {
        http.get(f"{url}/profile", headers=headers, timeout=30).status_code for _ in range(ROUNDS)
    }


def test_what_ends_a_session_ends_it_for_every_process(
    http: requests.Session, url: str, as_admin: Ask, person: dict[str, Any]
) -> None:
    name, path = person["username"], f"/users/{person['id']}"
    other, mine = (token_of(http, url, name) for _ in range(2))
    assert statuses(http, url, other) == {200}
    body = {"currentPassword": PASSWORD, "newPassword": "the second good one"}
    changed = http.put(
        f"{url}/profile/password", json=body, headers={"x-auth-token": mine}, timeout=30
    )
    assert (changed.status_code, changed.json()["ended"]) == (200, 1), changed.text
    assert statuses(http, url, other) == {401}
    assert statuses(http, url, mine) == {200}
    assert as_admin("DELETE", f"{path}/sessions").json()["ended"] == 1
    assert statuses(http, url, mine) == {401}
    again = token_of(http, url, name, "the second good one")
    assert as_admin("PATCH", path, json={"status": "disabled"}).status_code == 200
    assert statuses(http, url, again) == {401}


def test_each_process_refuses_within_a_second_what_another_ended(
    person: dict[str, Any], run_id: str, all_of_them: Machines, client_machine: Machine
) -> None:
    """Past nginx, from where it may ask each of them: every process after every other one."""
    processes = [
        [machine.vars["helfy_api_listen_address"], machine.vars["helfy_api_first_port"] + number]
        for machine in all_of_them.of("api")
        for number in range(machine.vars["helfy_api_processes"])
    ]
    assert len(processes) > 1
    given = {
        "processes": processes,
        "credentials": {"usernameOrEmail": person["username"], "password": PASSWORD},
        "agent": f"helfy-tests/{run_id}",
    }
    seconds = client_machine.python(PAIRS, given, seconds=180)
    assert len(seconds) == len(processes) * (len(processes) - 1)
    assert max(seconds) < 1, seconds


def test_an_account_is_on_record_without_its_secrets(
    as_admin: Ask, person: dict[str, Any], stream: Stream
) -> None:
    as_admin("PUT", f"/users/{person['id']}/password", json={"password": "the third good one"})
    stream.settled()
    lines = [
        line["change"] for line in stream.changes() if line["change"]["key"] == {"id": person["id"]}
    ]
    assert [change["type"] for change in lines] == ["INSERT", "UPDATE"]
    assert "password_changed_at" in lines[1]["old"], "a password that changed can be seen"
    assert lines[1]["data"]["password_expired_at"] is not None
    assert "hiddenChange" not in lines[1]
    text = stream.text()
    assert "$2b$" not in text
    assert "good one" not in text
    for table in ("login_throttle", "login_addresses", "session_activity"):
        assert table not in text


def test_too_many_tries_are_put_off(http: requests.Session, url: str, run_id: str) -> None:
    body = {"usernameOrEmail": f"nobody-{run_id}", "password": "wrong"}
    answers = [http.post(f"{url}/login", json=body, timeout=30) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    last = answers[-1]
    assert 0 < int(last.headers["Retry-After"]) <= 60
    assert last.json().keys() == {"message", "requestId"}


def test_the_documentation_is_served_under_the_pages_policy(
    http: requests.Session, url: str
) -> None:
    page = http.get(f"{url}/docs", timeout=30)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    script = http.get(f"{url}/docs/swagger-ui-bundle.js", timeout=30)
    assert (script.status_code, len(script.content) > 1_000_000) == (200, True)


def test_every_answer_to_an_admin_is_in_the_document(
    as_admin: Ask, url: str, tmp_path: Path
) -> None:
    """What changes nothing: what a random request of an admin does cannot be undone."""
    token = as_admin("GET", "/profile").request.headers["x-auth-token"]
    assert fuzz(url, tmp_path, token, READING, examples=5) == len(READING)
    assert as_admin("GET", "/profile").status_code == 200, "else all were answered by 401"


def test_no_answer_has_a_hash(as_admin: Ask, person: dict[str, Any], stream: Stream) -> None:
    """Asked by whoever may see most."""
    rows = stream.database.sql("SELECT password_hash FROM users")
    rows += stream.database.sql("SELECT token_hash FROM sessions")
    known = {row[0] for row in rows}
    path = f"/users/{person['id']}"
    assert as_admin("PATCH", path, json={"role": "admin"}).json()["role"] == "admin"
    stream.settled()
    for asked in (
        "/profile",
        "/sessions",
        "/users",
        path,
        f"{path}/sessions",
        "/changes",
        "/status",
    ):
        answer = as_admin("GET", asked)
        assert answer.status_code == 200, asked
        assert "$2b$" not in answer.text
        assert [it[:12] for it in known if it in answer.text] == [], asked


def test_every_answer_is_in_the_document(
    http: requests.Session, url: str, person: dict[str, Any], tmp_path: Path
) -> None:
    """As somebody who may do little: what an admin's random request does cannot be undone."""
    token = token_of(http, url, person["username"])
    assert fuzz(url, tmp_path, token, examples=3) >= 11
    assert statuses(http, url, token) == {200}
    assert fuzz(url, tmp_path, token, ENDING, examples=3) == len(ENDING)
