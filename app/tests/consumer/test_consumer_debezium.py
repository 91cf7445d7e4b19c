"""Debezium's records, in order and out of it."""

from typing import Any

import pytest
from consumer_support import NOW, change, ddl, line, pipeline, record

from helfy.consumer.change import Record


def test_only_updated_at_moved_is_a_hidden_change() -> None:
    value = change("u")
    value["before"]["email"] = value["after"]["email"]
    value["before"]["updated_at"] = "2026-11-23T18:04:38Z"
    told = line(value, {"id": 1})["change"]
    assert told["old"] == {"updated_at": "2026-11-23T18:04:38Z"}
    assert told["hiddenChange"] is True


def test_nothing_visible_at_all_is_a_hidden_change() -> None:
    value = change("u")
    value["before"] = {**value["after"], "password_hash": "$2b$12$old"}
    value["after"]["password_hash"] = "$2b$12$new"
    told = line(value, {"id": 1})["change"]
    assert told["hiddenChange"] is True
    assert told["old"] == {}
    assert told["redacted"] == ["password_hash"]


@pytest.mark.parametrize("op", ["c", "d", "r", "t"])
def test_other_types_are_never_hidden_changes(op: str) -> None:
    told = line(change(op), {"id": 1})["change"]
    assert "hiddenChange" not in told
    assert told["old"] == {}


def test_a_visible_change_is_not_hidden() -> None:
    told = line(change("u"), {"id": 1})["change"]
    assert "hiddenChange" not in told
    assert told["old"] == {"email": "old@example.com"}


@pytest.mark.parametrize("schema", [None, 1, {}, {"type": "struct", "fields": []}])
def test_envelope_with_a_schema_makes_the_same_line(schema: object) -> None:
    value = change("c")
    wrapped = line({"schema": schema, "payload": value}, {"schema": {}, "payload": {"id": 1}})
    assert wrapped == line(value, {"id": 1})


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"ts_ms": 1},
        {"ts_ms": 1, "ts_us": 2, "ts_ns": 3},
        {"schema": None, "payload": None},
        {"schema": {}, "payload": {"ts_ms": 1}},
        {"status": "BEGIN", "id": "0-1-2", "event_count": None, "data_collections": None},
        {"status": "END", "id": "x", "event_count": 1, "data_collections": [], "ts_ms": 1},
        ddl("CREATE TABLE x (y INT)", snapshot="true"),
        ddl("CREATE TABLE x (y INT)", snapshot="last"),
    ],
)
def test_what_is_no_change_makes_no_line(value: object) -> None:
    assert pipeline().line(record(value, {"id": 1})) is None


@pytest.mark.parametrize("snapshot", ["false", False, None])
def test_a_ddl_has_sql_and_no_key(snapshot: object) -> None:
    told = line(ddl("DROP TABLE `x`", snapshot=snapshot), {"databaseName": "app"})["change"]
    assert told["type"] == "DDL"
    assert told["sql"] == "DROP TABLE `x`"
    assert "key" not in told
    assert (told["data"], told["old"]) == ({}, {})


def test_a_ddl_of_no_table_has_null_for_it() -> None:
    told = line(ddl("CREATE DATABASE x", db="", table=None))["change"]
    assert (told["database"], told["table"]) == ("app", None)


def test_two_ddls_at_one_position_have_two_ids() -> None:
    first, second = (line(ddl(f"DROP TABLE `{name}`"))["change"]["id"] for name in "ab")
    assert first != second


@pytest.mark.parametrize("key", [None, b"", {}, {"schema": 1, "payload": None}, {"__dbz__x": "1"}])
def test_a_table_without_primary_key_has_a_null_key(key: object) -> None:
    assert line(change("u"), key)["change"]["key"] is None


def test_rows_of_a_snapshot_without_keys_have_ids_of_their_own() -> None:
    one, two = change("r"), change("r")
    two["after"]["email"] = "other@example.com"
    assert line(one)["change"]["id"] != line(two)["change"]["id"]
    assert line(one)["change"]["id"] == line(one)["change"]["id"]


def test_without_gtid_the_file_tells_positions_apart() -> None:
    first = line(change("u", source={"gtid": None}), {"id": 1})["change"]["id"]
    second = line(change("u", source={"gtid": None, "file": "binlog.000002"}), {"id": 1})
    assert first != second["change"]["id"]
    assert first != line(change("u"), {"id": 1})["change"]["id"]


@pytest.mark.parametrize(
    ("source", "at", "lag"),
    [
        ({"ts_us": 1795460488992123}, "2026-11-23T19:01:28.992Z", 453),
        ({"ts_us": 1795460488000000}, "2026-11-23T19:01:28Z", 1445),
        ({"ts_us": None, "ts_ms": 1795460488992}, "2026-11-23T19:01:28.992Z", 453),
        ({"ts_us": None, "ts_ms": None}, None, None),
        ({"ts_us": 1795460499000000}, "2026-11-23T19:01:39Z", 0),
    ],
)
def test_commit_time_and_lag(source: dict[str, Any], at: str | None, lag: int | None) -> None:
    told = line(change("u", source=source), {"id": 1})
    assert told["change"]["committedAt"] == at
    assert told["lagMs"] == lag
    assert told["change"]["commitTs"] is None
    assert told["timestamp"] == "2026-11-23T19:01:29.445Z"
    assert NOW == 1_795_460_489.445


WRONG: list[object] = ["x", 1, 1.5, True, [], {}, [1], "9" * 5000]


def _wrong_fields() -> list[tuple[str, object]]:
    allowed: dict[str, tuple[type, ...]] = {
        "db": (str,),
        "table": (str,),
        "gtid": (str,),
        "file": (str,),
        "pos": (int,),
        "row": (int,),
        "ts_us": (int,),
    }
    return [
        (name, wrong)
        for name, types in allowed.items()
        for wrong in WRONG
        if not isinstance(wrong, types) or isinstance(wrong, bool)
    ]


@pytest.mark.parametrize(("name", "wrong"), _wrong_fields())
def test_a_wrong_type_in_the_source_is_undecodable(name: str, wrong: object) -> None:
    told = line(change("u", source={name: wrong}), {"id": 1})
    assert told["action"] == "undecodable"
    assert told["reason"].startswith("debezium: source.")


@pytest.mark.parametrize("name", ["db", "table", "pos"])
def test_a_field_that_is_missing_is_undecodable(name: str) -> None:
    value = change("u")
    del value["source"][name]
    assert line(value, {"id": 1})["action"] == "undecodable"


@pytest.mark.parametrize("wrong", [*WRONG, None])
@pytest.mark.parametrize("name", ["op", "source", "before", "after", "ddl"])
def test_a_wrong_type_in_the_value_is_undecodable(name: str, wrong: object) -> None:
    value = ddl("x") if name == "ddl" else change("u")
    value[name] = wrong
    told = line(value, {"id": 1})
    if (name == "ddl" and isinstance(wrong, str)) or (
        name in {"before", "after"} and isinstance(wrong, dict)
    ):
        assert told["action"] == "db_change"
    else:
        assert told["action"] == "undecodable"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "not JSON at character 0"),
        (b"{", "not JSON at character 1"),
        (b"\xff\xfe{}", "not UTF-8 at byte 0"),
        (b"\x00", "not JSON at character 0"),
        (b"\xef\xbb\xbf{}", "not JSON at character 0"),
        (b"{}", "no format that is known"),
        (b"[]", "not a JSON object"),
        (b"7", "not a JSON object"),
        (b'{"op":NaN}', "not JSON: a number that is not finite"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "nested too deeply"),
        (b'{"schema":1,"payload":2}', "debezium: payload is not an object"),
        (b'{"op":"m","source":{}}', "debezium: op is not known"),
    ],
)
def test_what_is_no_record_is_undecodable(value: bytes, reason: str) -> None:
    told = line(value)
    assert told["action"] == "undecodable"
    assert told["level"] == "error"
    assert told["reason"] == reason
    assert told["length"] == len(value)
    assert told["source"] == {
        "topic": "tidb_changes",
        "partition": 0,
        "offset": 7,
        "format": None,
    }


@pytest.mark.parametrize("key", [b"\xff", b"id=1", b"[1]", b"1", b'"x"', b"[" * 100_000])
def test_a_key_that_is_no_json_object_is_undecodable(key: bytes) -> None:
    told = line(change("u"), key)
    assert told["action"] == "undecodable"
    assert told["reason"].startswith("debezium: the key is not")


def test_a_time_beyond_the_calendar_is_undecodable() -> None:
    told = line(change("u", source={"ts_us": 10**20}), {"id": 1})
    assert told["reason"] == "debezium: source.ts_us is no time"


def test_a_fault_of_ours_makes_a_line_without_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr("helfy.consumer.pipeline.decode", broken)
    written = pipeline().line(Record("t", 1, 2, None, b"x"))
    assert written is not None
    assert b"internal error: KeyError" in written.text
    assert b"secret" not in written.text
