"""No secret gets into a line."""

import json
from dataclasses import replace
from typing import Any

import pytest
from consumer_support import SETTINGS, change, ddl, line, pipeline, record
from hypothesis import given, settings
from hypothesis import strategies as st

SECRET = "s3cr3t-7f00d"
PASSWORD_HASH = "$2b$12$abcdefghijklmnopqrstuu.WXYZ0123456789./abcdefghijklmno"


@pytest.mark.parametrize("name", ["password_hash", "PASSWORD_HASH", "Token_Hash"])
@pytest.mark.parametrize("op", ["c", "u", "d", "r"])
def test_a_column_is_redacted_by_name_wherever_it_is(name: str, op: str) -> None:
    value = change(op, source={"table": "other"})
    for image in ("before", "after"):
        if value[image]:
            value[image][name] = SECRET + image
    told = line(value, {"id": 1, name: SECRET})
    assert SECRET not in json.dumps(told)
    assert told["change"]["redacted"] == [name]
    assert told["change"]["key"] == {"id": 1}


def test_secret_columns_are_always_listed() -> None:
    configured = replace(SETTINGS, secret={"App.Users": ("zzz", "password_hash", "aaa")})
    value = change("c")
    value["after"] |= {"TOKEN_hash": SECRET, "ZZZ": SECRET}
    told = line(value, {"id": 1}, configured)
    assert told["change"]["redacted"] == ["TOKEN_hash", "aaa", "password_hash", "zzz"]
    assert SECRET not in json.dumps(told)
    assert line(ddl("DROP TABLE x"), None, configured)["change"]["redacted"] == [
        "aaa",
        "password_hash",
        "zzz",
    ]
    elsewhere = change("c", source={"table": "other"})
    assert line(elsewhere, {"id": 1}, configured)["change"]["redacted"] == []


@pytest.mark.parametrize("op", ["c", "u", "d", "r"])
def test_column_that_is_not_captured_is_redacted(op: str) -> None:
    value = change(op)
    for image in ("before", "after"):
        if value[image]:
            value[image] |= {"pw": SECRET + image, "EMAIL": "x"}
    told = line(value, {"id": 1, "pw": SECRET}, captured={"App.Users": ("ID", "email")})
    assert SECRET not in json.dumps(told)
    assert told["change"]["redacted"] == ["password_hash", "pw", "updated_at"]
    assert told["change"]["data"].keys() == {"id", "email", "EMAIL"}
    assert told["change"]["key"] == {"id": 1}


@pytest.mark.parametrize("op", ["c", "u", "d", "r"])
def test_row_of_a_table_that_is_not_captured_has_no_values(
    op: str, caplog: pytest.LogCaptureFixture
) -> None:
    value = change(op, source={"table": "users_backup"})
    told = line(value, {"id": SECRET}, captured=SETTINGS.captured)["change"]
    assert (told["key"], told["data"], told["old"]) == (None, {}, {})
    assert told["table"] == "users_backup"
    assert told["redacted"] == ["email", "id", "updated_at"]
    leaks = [entry for entry in caplog.records if entry.getMessage() == "leaked_column_in_topic"]
    assert [entry.__dict__["fields"] for entry in leaks] == [
        {"table": "app.users_backup", "column": "*"}
    ]


def test_row_without_a_list_of_captured_columns_has_no_values() -> None:
    told = line(change("c"), {"id": 1}, captured={})["change"]
    assert (told["key"], told["data"]) == (None, {})


@pytest.mark.parametrize("column", ["email", "profile"])
def test_password_hash_in_a_captured_column_is_redacted(
    column: str, caplog: pytest.LogCaptureFixture
) -> None:
    value = change("u")
    value["after"] |= {"profile": "x", column: f"was {PASSWORD_HASH}"}
    value["before"] |= {"profile": json.dumps({"deep": [{"was": PASSWORD_HASH}]})}
    told = line(value, {"id": 1})
    assert PASSWORD_HASH not in json.dumps(told)
    assert column in told["change"]["redacted"]
    assert {"table": "app.users", "column": column} in [
        entry.__dict__["fields"] for entry in caplog.records
    ]


@pytest.mark.parametrize("name", ["password_hash", "pw"])
def test_leaked_column_is_reported_once(name: str, caplog: pytest.LogCaptureFixture) -> None:
    made = pipeline()
    value = change("c")
    value["after"][name] = SECRET
    for _ in range(3):
        made.line(record(value, {"id": 1}))
    assert [entry.getMessage() for entry in caplog.records] == ["leaked_column_in_topic"]
    assert caplog.records[0].__dict__["fields"] == {"table": "app.users", "column": name}
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "held",
    [
        {"password_hash": SECRET, "lang": "en"},
        {"deep": [{"Password_Hash": SECRET}]},
        [{"password_hash": {"x": SECRET}}],
    ],
)
@pytest.mark.parametrize("as_text", [True, False])
def test_members_of_json_are_redacted_too(held: object, as_text: bool) -> None:
    value = change("c")
    value["after"]["profile"] = json.dumps(held) if as_text else held
    told = line(value, {"id": 1})
    assert SECRET not in json.dumps(told)
    assert any(name.lower().endswith("password_hash") for name in told["change"]["redacted"])


def test_an_escaped_name_does_not_hide_a_secret() -> None:
    value = change("c")
    value["after"]["profile"] = '{"pass\\u0077ord_hash":"' + SECRET + '","n":1}'
    told = line(value, {"id": 1})["change"]
    assert told["data"]["profile"] == '{"n":1}'
    assert "profile.password_hash" in told["redacted"]


def test_json_without_secrets_stays_as_it_was_written() -> None:
    value = change("c")
    value["after"]["profile"] = '{ "about": "my password_hash" }'
    assert line(value, {"id": 1})["change"]["data"]["profile"] == '{ "about": "my password_hash" }'


names = st.sampled_from(["password_hash", "Token_Hash", "PASSWORD_HASH"])
plain = st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(), max_size=3)


@given(st.sampled_from("cudr"), names, plain, st.booleans())
@settings(max_examples=150, deadline=None)
def test_property_no_configured_secret_is_in_a_line(
    op: str, name: str, row: dict[str, Any], nested: bool
) -> None:
    holder: dict[str, Any] = {**row, name: SECRET}
    image = {**row, "n": {"m": [holder]}, "t": json.dumps(holder)} if nested else holder
    value = change(op)
    for side in ("before", "after"):
        if value[side] is not None:
            value[side] = image
    assert SECRET not in json.dumps(line(value, holder))
