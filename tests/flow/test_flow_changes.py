"""From a change in the database to its line in the journal: exactly one, and what it says."""

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import requests
from stream import ALWAYS, HASH, USER_COLUMNS, Line, Stream, ids, insert_user, types

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def check_form(line: Line, topic: str) -> dict[str, Any]:
    """What every line of a change has; give its change."""
    assert line.keys() - {"replayed"} == ALWAYS
    assert (line["level"], line["action"]) == ("info", "db_change")
    assert TIME.fullmatch(line["timestamp"])
    assert line["source"].keys() == {"topic", "partition", "offset", "format"}
    assert line["source"]["topic"] == topic
    assert isinstance(line["lagMs"], int)
    assert 0 <= line["lagMs"] < 10_000
    change: dict[str, Any] = line["change"]
    assert re.fullmatch(r"[0-9a-f]{32}", change["id"])
    assert TIME.fullmatch(change["committedAt"])
    assert "HelfyTestHash" not in str(line)
    assert not re.search(r"\$2[aby]\$", str(line))
    return change


def test_each_change_of_a_row_has_one_line(stream: Stream) -> None:
    name = stream.person("row")
    topic = stream.machine.vars["changes_topic"]
    sql = stream.database.sql
    sql(insert_user(name))
    [[user_id]] = sql(f"SELECT id FROM users WHERE username = '{name}'")
    sql(f"UPDATE users SET email = 'other-{name}@example.com', role = 'admin' WHERE id = {user_id}")
    sql(f"DELETE FROM users WHERE id = {user_id}")
    lines = stream.of(name)
    assert types(lines) == ["INSERT", "UPDATE", "DELETE"]
    assert len(set(ids(lines))) == 3
    inserted, updated, deleted = (check_form(line, topic) for line in lines)
    for change in (inserted, updated, deleted):
        assert (change["database"], change["table"]) == ("helfy", "users")
        assert change["key"] == {"id": int(user_id)}
        assert change["data"].keys() == USER_COLUMNS
        assert change["data"]["username"] == name
        assert change["redacted"] == ["password_hash"]
        assert "hiddenChange" not in change
        assert "sql" not in change
    assert inserted["data"]["email"] == f"{name}@example.com"
    assert (inserted["data"]["role"], inserted["data"]["status"]) == ("user", "active")
    assert inserted["data"]["password_rehashed_at"] is None
    assert TIME.fullmatch(inserted["data"]["created_at"])
    assert updated["data"]["email"] == f"other-{name}@example.com"
    assert updated["data"]["role"] == "admin"
    assert updated["old"] == {
        "email": f"{name}@example.com",
        "role": "user",
        "updated_at": inserted["data"]["updated_at"],
    }
    assert inserted["old"] == deleted["old"] == {}
    assert deleted["data"] == updated["data"]
    offsets = [line["source"]["offset"] for line in lines]
    assert offsets == sorted(offsets)


def test_committed_at_is_when_it_was_committed(stream: Stream) -> None:
    name = stream.person("when")
    [[before], [after]] = stream.database.sql(
        f"SELECT UTC_TIMESTAMP(); {insert_user(name)}; SELECT UTC_TIMESTAMP()"
    )
    [line] = stream.of(name)
    at = datetime.fromisoformat(line["change"]["committedAt"]).replace(tzinfo=None)
    assert datetime.fromisoformat(before) <= at.replace(microsecond=0)
    assert at <= datetime.fromisoformat(after).replace(microsecond=999_999)


def test_a_password_changed_by_sql_is_a_hidden_change(stream: Stream) -> None:
    name = stream.person("hidden")
    stream.database.sql(insert_user(name))
    stream.database.sql(
        f"UPDATE users SET password_hash = '{HASH.format('y')}' WHERE username = '{name}'"
    )
    _, line = stream.of(name)
    change = line["change"]
    assert (change["type"], change["hiddenChange"]) == ("UPDATE", True)
    assert change["old"].keys() <= {"updated_at"}
    assert change["redacted"] == ["password_hash"]


def test_login_and_logout_are_on_record(
    login: Callable[[], requests.Response], http: requests.Session, url: str, stream: Stream
) -> None:
    answer = login()
    token = answer.json()["token"]
    http.post(f"{url}/logout", headers={"x-auth-token": token}, timeout=15)
    [[token_hash]] = stream.database.sql(
        f"SELECT token_hash FROM sessions WHERE user_agent = '{http.headers['User-Agent']!s}'"
    )
    mine = [
        line
        for line in stream.settled()
        if line["change"]["data"].get("user_agent") == http.headers["User-Agent"]
    ]
    assert types(mine) == ["INSERT", "UPDATE"]
    opened, closed = (line["change"] for line in mine)
    for change in (opened, closed):
        assert change["table"] == "sessions"
        assert change["data"]["user_id"] == answer.json()["user"]["id"]
        assert change["key"] == {"id": change["data"]["id"]}
        assert change["redacted"] == ["token_hash"]
        assert "token_hash" not in change["data"]
    assert opened["data"]["revoked_at"] is None
    assert closed["old"] == {"revoked_at": None}
    assert TIME.fullmatch(closed["data"]["revoked_at"])
    text = stream.text()
    assert token not in text
    assert token.split(".")[0] not in text
    assert token_hash not in text


def test_a_transaction_has_a_line_for_each_row(stream: Stream) -> None:
    people = [stream.person(f"tx{number}") for number in range(3)]
    rows = "; ".join(insert_user(name) for name in people)
    stream.database.sql(f"START TRANSACTION; {rows}; COMMIT")
    lines = [line for line in stream.settled() if line["change"]["data"].get("username") in people]
    assert types(lines) == ["INSERT"] * 3
    assert [line["change"]["data"]["username"] for line in lines] == people
    assert len(set(ids(lines))) == 3


def test_a_statement_has_a_line_for_each_row(stream: Stream) -> None:
    people = [stream.person(f"many{number}") for number in range(3)]
    stream.database.sql("; ".join(insert_user(name) for name in people))
    listed = ", ".join(f"'{name}'" for name in people)
    stream.database.sql(f"UPDATE users SET status = 'disabled' WHERE username IN ({listed})")
    lines = [line for line in stream.settled() if line["change"]["type"] == "UPDATE"]
    assert sorted(line["change"]["data"]["username"] for line in lines) == people
    assert len(set(ids(lines))) == 3


def test_what_is_rolled_back_has_no_line(stream: Stream) -> None:
    name = stream.person("undone")
    stream.database.sql(f"START TRANSACTION; {insert_user(name)}; ROLLBACK")
    assert stream.of(name) == []


def test_an_update_that_changes_nothing_has_no_line(stream: Stream) -> None:
    name = stream.person("same")
    stream.database.sql(insert_user(name))
    stream.database.sql(f"UPDATE users SET role = 'user' WHERE username = '{name}'")
    assert types(stream.of(name)) == ["INSERT"]


@pytest.fixture
def extra_table(stream: Stream) -> Iterator[str]:
    """A table that the inventory captures besides Helfy's own."""
    if "flow_rows" not in stream.database.vars["debezium_captured_columns"]:
        pytest.skip("capture_extra_columns of this inventory has no flow_rows")
    yield "flow_rows"
    stream.database.sql("DROP TABLE IF EXISTS flow_rows")


def test_a_table_comes_changes_and_goes(stream: Stream, extra_table: str) -> None:
    value = "ä😀\u2028'\"\\ \x1b"
    quoted = "0x" + value.encode().hex()
    stream.database.sql(
        f"CREATE TABLE {extra_table} (id BIGINT PRIMARY KEY, name VARCHAR(40), pin VARCHAR(40),"
        " amount DECIMAL(30,4), raw VARBINARY(8)) CHARSET utf8mb4;"
        f"INSERT INTO {extra_table} VALUES (9007199254740993, CONVERT({quoted} USING utf8mb4),"
        " 'uncaptured', 12345678901234567890.5, 0x00ff10);"
        f"TRUNCATE TABLE {extra_table}; DROP TABLE {extra_table}"
    )
    changes = [line["change"] for line in stream.settled()]
    changes = [change for change in changes if change["table"] == extra_table]
    kinds = [change["type"] for change in changes]
    assert kinds == ["DDL", "INSERT", "TRUNCATE", "DDL"]
    for change in changes:
        if change["type"] == "DDL":
            assert extra_table in change["sql"]
            assert "key" not in change
    assert changes[0]["sql"].upper().startswith("CREATE TABLE")
    assert changes[-1]["sql"].upper().startswith("DROP TABLE")
    row = changes[1]
    # 2^53 + 1, which readers of JSON would round.
    assert row["key"] == {"id": "9007199254740993"}
    assert row["data"] == {
        "id": "9007199254740993",
        "name": value,
        "amount": "12345678901234567890.5000",
        "raw": "AP8Q",
    }


def test_a_large_value_is_told_by_its_length_and_hash(stream: Stream, extra_table: str) -> None:
    """As large as the database takes it goes all the way: the row before, and after."""
    length = 1_000_000
    stream.database.sql(
        f"CREATE TABLE {extra_table} (id INT PRIMARY KEY, name VARCHAR(9), body LONGTEXT);"
        f"INSERT INTO {extra_table} VALUES (1, 'large', REPEAT('x', {length}));"
        f"UPDATE {extra_table} SET body = REPEAT('y', {length})"
    )
    changes = [line["change"] for line in stream.settled()]
    rows = [each for each in changes if each["table"] == extra_table and each["type"] != "DDL"]
    x, y = (
        {"truncated": True, "bytes": length, "sha256": hashlib.sha256(it * length).hexdigest()}
        for it in (b"x", b"y")
    )
    inserted, updated = rows
    assert inserted["data"] == {"id": 1, "name": "large", "body": x}
    assert updated["data"] == {"id": 1, "name": "large", "body": y}
    assert updated["old"] == {"body": x}
