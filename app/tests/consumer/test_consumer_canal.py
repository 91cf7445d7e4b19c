"""canal-json from TiCDC, in order and out of it."""

import json
from itertools import combinations
from typing import Any

import pytest
from canal_support import COMMIT_TS, canal, canal_ddl, watermark
from consumer_support import line, parsed, pipeline, record
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helfy.consumer.replay import Replays


def test_the_line_of_an_update() -> None:
    assert line(canal()) == {
        "timestamp": "2026-11-23T19:01:29.445Z",
        "level": "info",
        "action": "db_change",
        "source": {"topic": "tidb_changes", "partition": 0, "offset": 7, "format": "canal-json"},
        "change": {
            "id": line(canal())["change"]["id"],
            "type": "UPDATE",
            "database": "helfy",
            "table": "users",
            "key": {"id": 1},
            "commitTs": "470669194426318858",
            "committedAt": "2026-11-23T19:01:28.992Z",
            "data": {
                "id": 1,
                "email": "new@example.com",
                "updated_at": "2026-11-23T19:01:29.000001Z",
            },
            "old": {"email": "old@example.com"},
            "redacted": ["password_hash"],
        },
        "lagMs": 453,
    }


def test_old_with_only_the_changed_columns_says_the_same() -> None:
    whole, changed = canal(), canal()
    changed["old"] = [{"email": "old@example.com"}]
    assert line(whole) == line(changed)


@pytest.mark.parametrize("moved", [{}, {"updated_at": "2026-11-22 00:00:00"}])
def test_a_password_changed_by_sql_is_a_hidden_change(moved: dict[str, str]) -> None:
    value = canal()
    value["old"] = [{**value["data"][0], **moved}]
    told = line(value)["change"]
    assert told["hiddenChange"] is True
    assert set(told["old"]) == set(moved)


def test_a_changed_primary_key_is_a_delete_and_an_insert_of_one_commit() -> None:
    gone = canal("DELETE", data=[{"id": "1", "email": "a@example.com"}])
    come = canal("INSERT", data=[{"id": "500", "email": "a@example.com"}])
    lines = [line(gone)["change"], line(come)["change"]]
    assert [told["type"] for told in lines] == ["DELETE", "INSERT"]
    assert [told["key"] for told in lines] == [{"id": 1}, {"id": 500}]
    assert {told["commitTs"] for told in lines} == {str(COMMIT_TS)}
    assert all(told["old"] == {} and "hiddenChange" not in told for told in lines)
    assert lines[0]["data"] == {"id": 1, "email": "a@example.com"}


@pytest.mark.parametrize("kind", ["INSERT", "UPDATE", "DELETE"])
def test_a_row_too_large_for_a_record_has_its_key_alone(kind: str) -> None:
    key = [{"id": "1"}]
    value = canal(kind, data=key, old=key if kind == "UPDATE" else None)
    value["_tidb"]["onlyHandleKey"] = True
    told = line(value)["change"]
    assert (told["key"], told["data"], told["old"]) == ({"id": 1}, {"id": 1}, {})
    assert told["keyOnly"] is True
    assert "hiddenChange" not in told
    # It is the change that it would be as a whole row.
    assert told["id"] == line(canal(kind))["change"]["id"]


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (canal_ddl("DROP TABLE `helfy`.`t2`", "ERASE"), "DROP TABLE `helfy`.`t2`"),
        (canal_ddl("CREATE INDEX i ON users (email)", "CINDEX"), "CREATE INDEX i ON users (email)"),
        (canal_ddl("CREATE DATABASE x", "QUERY", table=""), "CREATE DATABASE x"),
    ],
)
def test_a_ddl_has_its_sql_and_no_key(value: dict[str, Any], sql: str) -> None:
    told = line(value)["change"]
    assert (told["type"], told["sql"], told["table"]) == ("DDL", sql, value["table"] or None)
    assert "key" not in told
    assert told["committedAt"] == "2026-11-23T19:01:28.992Z"


def test_secrets_in_a_ddl_are_redacted() -> None:
    told = line(canal_ddl("ALTER TABLE users ALTER password_hash SET DEFAULT 's3cr3t'"))["change"]
    assert "s3cr3t" not in json.dumps(told)
    assert told["redacted"] == ["password_hash", "sql"]


def test_truncate_is_a_type_of_its_own() -> None:
    told = line(canal_ddl("TRUNCATE TABLE `users`", "TRUNCATE"))["change"]
    assert told["type"] == "TRUNCATE"
    assert (told["key"], told["data"], told["old"]) == (None, {}, {})
    assert "sql" not in told


def test_truncate_of_a_partition_is_a_ddl() -> None:
    told = line(canal_ddl("ALTER TABLE t TRUNCATE PARTITION p0", "ALTER"))["change"]
    assert told["type"] == "DDL"


def test_watermarks_make_no_line() -> None:
    assert pipeline().line(record(watermark())) is None


def test_a_secret_column_that_came_along_is_redacted(caplog: pytest.LogCaptureFixture) -> None:
    value = canal()
    for image in ("data", "old"):
        value[image][0]["password_hash"] = "$2b$12$" + image
    value["mysqlType"]["password_hash"] = "varchar"
    told = line(value)
    assert "$2b$12$" not in json.dumps(told)
    assert told["change"]["redacted"] == ["password_hash"]
    assert [entry.getMessage() for entry in caplog.records] == ["leaked_column_in_topic"]


def test_rows_without_primary_key_have_ids_of_their_own() -> None:
    def made(name: str) -> dict[str, Any]:
        value = canal("INSERT", pkNames=None, data=[{"id": "1", "email": name}])
        return dict(line(value)["change"])

    first, second = made("a"), made("b")
    assert first["key"] is None
    assert first["id"] != second["id"]
    assert first["id"] == made("a")["id"]


def test_a_key_of_two_columns() -> None:
    value = canal(pkNames=["id", "email"])
    assert line(value)["change"]["key"] == {"id": 1, "email": "new@example.com"}


def _differing() -> list[dict[str, Any]]:
    other = canal()
    other["data"] = [{**other["data"][0], "id": "2"}]
    return [
        canal(),
        other,
        canal("INSERT"),
        canal("DELETE"),
        canal(table="sessions"),
        canal(database="other"),
        canal(_tidb={"commitTs": COMMIT_TS + 1}),
        canal_ddl("DROP TABLE a"),
        canal_ddl("DROP TABLE b"),
        canal_ddl("TRUNCATE TABLE a", "TRUNCATE"),
    ]


def test_no_two_changes_share_an_id() -> None:
    ids = [line(value)["change"]["id"] for value in _differing()]
    assert all(one != two for one, two in combinations(ids, 2))


@pytest.mark.parametrize("value", _differing())
def test_a_replay_has_its_id_and_says_so(value: dict[str, Any]) -> None:
    replays = Replays()
    made = pipeline(replays=replays)
    first = made.line(record(value))
    assert first is not None
    replays.note([first.identity])
    # Sent again later, its types in another order.
    types = value["mysqlType"]
    again = {
        **value,
        "ts": value["ts"] + 9,
        "mysqlType": types and dict(reversed(list(types.items()))),
    }
    second = made.line(record(again))
    assert second is not None
    assert "replayed" not in parsed(first)
    assert parsed(second)["replayed"] is True
    assert parsed(first)["change"] == parsed(second)["change"]


WRONG: list[object] = [None, "x", 1, 1.5, True, [], {}, [1], [{"id": 1}], [{"id": []}], [{}, {}]]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(
    "name", ["database", "table", "pkNames", "type", "mysqlType", "data", "old", "_tidb"]
)
def test_a_field_of_the_wrong_type_is_undecodable(name: str, wrong: object) -> None:
    fits = {"database": str, "table": str, "mysqlType": dict}
    told = line(canal(**{name: wrong}))
    if isinstance(wrong, fits.get(name, ())) or (name == "pkNames" and wrong in (None, [])):
        assert told["action"] == "db_change"
    else:
        assert told["action"] == "undecodable"
        assert told["reason"].startswith("canal-json: ")


@pytest.mark.parametrize("name", ["database", "table", "mysqlType", "data", "old", "_tidb"])
def test_a_field_that_is_missing_is_undecodable(name: str) -> None:
    value = canal()
    del value[name]
    assert line(value)["reason"].startswith("canal-json: ")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (canal(_tidb=None), "canal-json: no _tidb: set enable-tidb-extension=true"),
        (canal(_tidb={"commitTs": 0}), "canal-json: _tidb.commitTs is not a positive integer"),
        (canal(_tidb={"commitTs": True}), "canal-json: _tidb.commitTs is not a positive integer"),
        (canal(_tidb={"commitTs": 1 << 80}), "canal-json: _tidb.commitTs is no time"),
        (canal(_tidb={"commitTs": 1, "claimCheckLocation": "s"}), "canal-json: the row is not in"),
        (canal(pkNames=["gone"]), "canal-json: pkNames names a column that data does not hold"),
        (canal("REPLACE"), "canal-json: type is not known"),
        (canal(mysqlType={"id": 1}), "canal-json: a type in mysqlType is not a string"),
        (canal_ddl(None), "canal-json: sql is not a statement"),
        (canal_ddl(""), "canal-json: sql is not a statement"),
    ],
)
def test_what_is_not_understood_says_why(value: dict[str, Any], reason: str) -> None:
    told = line(value)
    assert told["action"] == "undecodable"
    assert told["reason"].startswith(reason)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
PLAIN = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NAMES = ["database", "table", "pkNames", "isDdl", "type", "es", "mysqlType", "data", "old", "_tidb"]


@given(st.sampled_from([canal(), canal("DELETE"), canal_ddl("x")]), st.sampled_from(NAMES), ANY)
@settings(max_examples=300, deadline=None)
def test_property_any_json_in_a_field_makes_at_most_one_line(
    value: dict[str, Any], name: str, item: object
) -> None:
    written = pipeline().line(record({**value, name: item}))
    if written is not None:
        told = parsed(written)
        assert told["action"] in {"db_change", "undecodable"}
        assert "internal" not in told.get("reason", "")


@given(
    st.dictionaries(PLAIN, st.none() | PLAIN, min_size=1, max_size=6),
    st.lists(
        st.sampled_from(
            ["int", "bigint unsigned", "json", "timestamp", "varbinary(9)", "enum('a')"]
        )
    ),
)
@example({"TOKEN_HASH": None}, [])
@settings(max_examples=300, deadline=None)
def test_property_any_text_in_any_column_is_told_or_undecodable(
    row: dict[str, str | None], types: list[str]
) -> None:
    told = line(
        canal("INSERT", pkNames=None, data=[row], mysqlType=dict(zip(row, types, strict=False)))
    )
    if told["action"] == "db_change":
        change = told["change"]
        # A column may happen to be called like a secret.
        assert change["data"].keys() == row.keys() - set(change["redacted"])
    else:
        assert told["reason"] == "canal-json: a value of data is binary, but not in Latin-1"
