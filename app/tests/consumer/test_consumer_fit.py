"""A line always fits."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from consumer_support import SETTINGS, change, ddl, line, parsed, pipeline, record
from hypothesis import given, settings
from hypothesis import strategies as st

SMALL = replace(SETTINGS, max_line_bytes=4096, max_value_bytes=1000)


def mark(raw: bytes) -> dict[str, Any]:
    return {"truncated": True, "bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}


def test_a_large_value_is_truncated_alone() -> None:
    value = change("u")
    value["after"]["note"] = "é" * 500_000
    value["before"]["note"] = "small"
    told = line(value, {"id": 1})["change"]
    assert told["data"]["note"] == mark(("é" * 500_000).encode())
    assert told["data"]["email"] == "new@example.com"
    assert told["old"] == {"note": "small", "email": "old@example.com"}


def test_a_value_of_the_largest_size_stays() -> None:
    value = change("c")
    value["after"] |= {"just": "x" * 32_768, "over": "x" * 32_769, "list": ["x" * 32_768]}
    data = line(value, {"id": 1})["change"]["data"]
    assert data["just"] == "x" * 32_768
    assert data["over"] == mark(b"x" * 32_769)
    assert data["list"] == mark(json.dumps(["x" * 32_768]).encode())


def test_the_largest_values_go_first_until_the_line_fits() -> None:
    value = change("c")
    value["after"] |= {f"c{number}": "x" * (400 + number) for number in range(12)}
    data = line(value, {"id": 1}, SMALL)["change"]["data"]
    gone = [name for name, item in data.items() if isinstance(item, dict)]
    assert gone == [f"c{number}" for number in range(12 - len(gone), 12)]
    assert 0 < len(gone) < 12


def test_a_row_of_too_many_columns_is_truncated_whole() -> None:
    value = change("c")
    value["after"] = {f"column{number:05}": number for number in range(10_000)}
    told = line(value, {"id": 1}, SMALL)["change"]
    assert told["data"].keys() == {"truncated", "bytes", "sha256"}
    assert told["key"] == {"id": 1}


def test_a_large_key_and_a_large_sql_are_truncated() -> None:
    told = line(change("u"), {"id": "k" * 2000}, SMALL)["change"]
    assert told["key"] == {"id": mark(b"k" * 2000)}
    statement = "CREATE TABLE " + "x" * 5000
    assert line(ddl(statement), None, SMALL)["change"]["sql"] == mark(statement.encode())


def test_the_id_is_of_the_whole_change() -> None:
    ids = {line(change("u"), {"id": "k" * 2000 + end}, SMALL)["change"]["id"] for end in "ab"}
    assert len(ids) == 2


def test_names_that_no_database_has_are_undecodable() -> None:
    told = line(change("c", source={"table": "t" * 10_000}), {"id": 1}, SMALL)
    assert told["reason"] == "does not fit a line"


def test_very_many_redacted_names_fit() -> None:
    value = change("c")
    value["after"]["profile"] = {f"{'p' * 100}{n}": {"token_hash": 1} for n in range(500)}
    told = line(value, {"id": 1}, SMALL)["change"]
    assert told["redacted"].keys() == {"truncated", "bytes", "sha256"}


@pytest.mark.parametrize("size", [10_000, 1_000_000])
def test_escapes_count(size: int) -> None:
    value = change("c")
    value["after"] |= {"a": "\x00" * size, "b": "\u2028" * size}
    line(value, {"id": 1}, SMALL)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.binary(max_size=200), st.none() | st.binary(max_size=20))
@settings(max_examples=200, deadline=None)
def test_property_any_bytes_make_one_line_or_none(value: bytes, key: bytes | None) -> None:
    written = pipeline(SMALL).line(record(value, key))
    assert written is not None
    assert parsed(written, 4096)["action"] == "undecodable"


@given(
    st.sampled_from(["before", "after", "source", "op", "ddl", "payload", "schema"]),
    st.sampled_from("cudrt"),
    anything,
    st.none() | anything,
    st.integers(1, 2000),
)
@settings(max_examples=300, deadline=None)
def test_property_any_json_makes_at_most_one_line(
    name: str, op: str, item: object, key: object, times: int
) -> None:
    value = change(op)
    if isinstance(value.get(name), dict) and isinstance(item, dict):
        value[name] |= {f"{column}{times}": entry for column, entry in item.items()}
        value[name]["big"] = "\x00é" * times
    else:
        value[name] = item
    written = pipeline(SMALL).line(record(value, key))
    if written is not None:
        told = parsed(written, 4096)
        assert told["action"] in {"db_change", "undecodable"}
        assert "internal" not in told.get("reason", "")
