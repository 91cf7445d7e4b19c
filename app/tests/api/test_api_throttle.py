"""The throttle: what is counted, for whom, and for how long."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from api_support import PASSWORD, Log, MakeApp, assert_error, services_of, token_of
from flask.testing import FlaskClient
from mariadb_server import MariaDB
from werkzeug.test import TestResponse

from helfy.housekeeping import tidy
from helfy.throttle import Bucket, Limits, network_of

HERE, THERE = "203.0.113.9", "198.51.100.7"
TIGHT = Limits(
    pair_attempts=3,
    pair_seconds=600,
    address_attempts=6,
    address_seconds=300,
    account_attempts=5,
    account_seconds=900,
)


@pytest.fixture
def client(make_app: MakeApp) -> FlaskClient:
    """A client of an application with tight limits."""
    return make_app(throttle=TIGHT).test_client()


def attempt(client: FlaskClient, name: str, password: str, ip: str = HERE) -> TestResponse:
    """Try to log in from an address."""
    body = {"usernameOrEmail": name, "password": password}
    return client.post("/login", json=body, headers={"X-Forwarded-For": ip})


def statuses(client: FlaskClient, name: str, tries: int, ip: str = HERE) -> list[int]:
    """Try a wrong password so often; give the answers' statuses."""
    return [attempt(client, name, "wrong", ip).status_code for _ in range(tries)]


@pytest.mark.parametrize("name", ["alice", "alice@example.com", "nobody", "bob"])
def test_one_account_from_one_address(client: FlaskClient, name: str, log: Log) -> None:
    """The same for an account that exists, one that is disabled and one that does not exist."""
    assert statuses(client, name, 3) == [401] * 3

    response = attempt(client, name, PASSWORD)

    assert_error(response, 429, "too many attempts")
    assert 590 < int(response.headers["Retry-After"]) <= 600
    assert statuses(client, name.upper(), 1) == [429], "however it is written"
    assert statuses(client, "somebody", 1) == [401], "others are let try"
    assert statuses(client, name, 1, THERE) == [401], "elsewhere too"
    assert [line["outcome"] for line in log.lines("login")][3] == "throttled"


def test_room_comes_back_bit_by_bit(client: FlaskClient, database: MariaDB) -> None:
    assert statuses(client, "alice", 4) == [401, 401, 401, 429]
    database.execute(
        "UPDATE login_throttle SET clears_at = clears_at - INTERVAL 601 SECOND", database="helfy"
    )
    assert statuses(client, "alice", 2) == [401, 429], "room for one, after ten minutes"


def test_a_login_makes_room_again(client: FlaskClient) -> None:
    assert statuses(client, "alice", 2) == [401, 401]
    assert attempt(client, "alice", PASSWORD).status_code == 200
    assert statuses(client, "alice", 4) == [401, 401, 401, 429]


def test_logins_that_succeed_are_not_counted(client: FlaskClient) -> None:
    for _ in range(10):
        assert attempt(client, "alice", PASSWORD).status_code == 200


def test_one_address_whatever_the_account(client: FlaskClient) -> None:
    names = [f"guess-{number}" for number in range(7)]
    assert [statuses(client, name, 1)[0] for name in names] == [401] * 6 + [429]
    assert attempt(client, "alice", PASSWORD).status_code == 429
    assert attempt(client, "alice", PASSWORD, THERE).status_code == 200


def test_one_site_is_one_address_in_ipv6(client: FlaskClient) -> None:
    answers = [statuses(client, f"n{n}", 1, f"2001:db8:1:2::{n}")[0] for n in range(7)]
    assert answers == [401] * 6 + [429]
    assert statuses(client, "n", 1, "2001:db8:1:3::1") == [401]


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_one_account_from_everywhere(client: FlaskClient, name: str) -> None:
    answers = [statuses(client, name, 1, f"192.0.2.{number}")[0] for number in range(7)]

    assert answers == [401] * 5 + [429] * 2


def test_a_name_and_its_email_address_are_two_accounts(client: FlaskClient) -> None:
    """So who knows both has twice as many tries, which docs/security.md says."""
    for name in ("alice", "alice@example.com"):
        assert statuses(client, name, 4) == [401] * 3 + [429]
    for name in ("root", "root@example.com"):
        answers = [statuses(client, name, 1, f"192.0.2.{number}")[0] for number in range(6)]
        assert answers == [401] * 5 + [429]


def test_nobody_locks_an_owner_out(client: FlaskClient) -> None:
    """At addresses that the account is known from, what others do elsewhere does not count."""
    assert attempt(client, "alice", PASSWORD, HERE).status_code == 200
    for number in range(20):
        attempt(client, "alice", "wrong", f"192.0.2.{number}")
        attempt(client, "alice@example.com", "wrong", f"192.0.2.{100 + number}")

    assert attempt(client, "alice", PASSWORD, THERE).status_code == 429
    assert attempt(client, "alice", PASSWORD, HERE).status_code == 200
    assert attempt(client, "alice@example.com", PASSWORD, HERE).status_code == 200
    assert statuses(client, "alice", 4, HERE) == [401] * 3 + [429], "but it may not guess for ever"


def test_a_throttled_try_costs_no_hash_and_is_not_counted(
    client: FlaskClient, database: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses(client, "alice", 3)
    query = "SELECT bucket, clears_at FROM login_throttle ORDER BY bucket"
    before = database.execute(query, database="helfy")
    monkeypatch.setattr("bcrypt.checkpw", lambda *_: pytest.fail("a hash was made"))

    assert statuses(client, "alice", 5) == [429] * 5

    assert database.execute(query, database="helfy") == before


def test_guesses_at_the_current_password_count_too(client: FlaskClient) -> None:
    token = token_of(client)

    def guess(current: str) -> TestResponse:
        body = {"currentPassword": current, "newPassword": "another good one"}
        return client.put("/profile/password", json=body, headers={"x-auth-token": token})

    assert [guess("wrong").status_code for _ in range(3)] == [400] * 3
    response = guess(PASSWORD)
    assert_error(response, 429, "too many attempts")
    assert int(response.headers["Retry-After"]) > 500


def test_nothing_that_was_typed_is_kept(client: FlaskClient, database: MariaDB) -> None:
    statuses(client, "my-secret-password", 1)
    for table in ("login_throttle", "login_addresses"):
        rows = str(database.execute(f"SELECT * FROM {table}", database="helfy"))
        assert "secret" not in rows
        assert HERE not in rows


def test_what_is_over_is_tidied_away(client: FlaskClient, database: MariaDB) -> None:
    token_of(client)
    statuses(client, "nobody", 1)
    engine = services_of(client.application).engine
    tidy(engine)

    def rows() -> dict[str, int]:
        tables = ("login_throttle", "login_addresses", "sessions", "session_activity")
        counts = [
            database.execute(f"SELECT COUNT(*) FROM {t}", database="helfy")[0][0] for t in tables
        ]
        return dict(zip(tables, counts, strict=True))

    assert rows()["login_throttle"] == 3, "alice's are empty, nobody's are not"
    assert rows()["sessions"] == rows()["login_addresses"] == 1
    database.execute("UPDATE login_throttle SET clears_at = NOW(6)", database="helfy")
    database.execute(
        "UPDATE login_addresses SET last_login_at = NOW(6) - INTERVAL 91 DAY", database="helfy"
    )
    database.execute("UPDATE sessions SET expires_at = NOW(6) - INTERVAL 31 DAY", database="helfy")
    database.execute(
        "INSERT INTO session_activity SELECT id, NOW(6) FROM sessions", database="helfy"
    )
    tidy(engine)
    assert set(rows().values()) == {0}


@pytest.mark.parametrize(
    ("address", "network"),
    [
        (HERE, HERE), ("2001:db8::1", "2001:db8::/64"), ("::ffff:1.2.3.4", "::/64"),
        (None, ""), ("", ""), ("unknown", ""),
    ],
)  # fmt: skip
def test_networks(address: str | None, network: str) -> None:
    assert network_of(address) == network


def test_a_bucket_fills_and_drips() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    bucket = Bucket("x", attempts=3, drip=timedelta(seconds=10))
    clears_at, waits = now, []
    for _ in range(4):
        waits.append(bucket.admits(clears_at, now).total_seconds())
        clears_at = max(clears_at, now) + bucket.drip

    def wait(seconds: float) -> Any:
        return bucket.admits(now + timedelta(seconds=30), now + timedelta(seconds=seconds))

    assert waits == [0, 0, 0, 10]
    assert wait(4) == timedelta(seconds=6)
    assert wait(10) == timedelta()
    assert bucket.admits(now - timedelta(days=9), now) == timedelta()
