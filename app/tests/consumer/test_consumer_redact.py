"""No secret gets into a line."""

import json
from dataclasses import replace
from typing import Any

import pytest
from consumer_support import SETTINGS, change, ddl, line, pipeline, record
from hypothesis import given, settings
from hypothesis import strategies as st

SECRET = "s3cr3t-7f00d"


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


def test_a_secret_column_in_the_topic_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = pipeline()
    value = change("c")
    value["after"]["password_hash"] = SECRET
    for _ in range(3):
        made.line(record(value, {"id": 1}))
    assert [entry.getMessage() for entry in caplog.records] == ["secret_column_in_topic"]
    assert caplog.records[0].__dict__["fields"] == {"table": "app.users", "column": "password_hash"}
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
