"""How values of columns stand in a line."""

from typing import Any

import pytest
from canal_support import column
from consumer_support import change, line

from helfy.consumer.wire import Json, NotJsonError, parse, portable


def typed(
    value: Json, kind: str, length: int | None = None, scale: int | None = None, op: str = "c"
) -> dict[str, Any]:
    """Debezium's change of a row with the column ``c``, which tells its type."""
    data = change(op)
    data["after"]["c"] = value
    told: dict[str, Any] = {"name": "c", "typeName": kind, "length": length, "scale": scale}
    return {**data, "sourceSchema": {"id": "users", "table": {"columns": [told]}}}


# As Debezium 3.5.0 sends them, and what TiCDC sends of the same value, where its database has it.
VALUES: list[tuple[tuple[Any, ...], tuple[str, str] | None, Json]] = [
    ((True, "BIT", 1), ("bit(1)", "1"), 1),
    (("Fg==", "BIT", 5), ("bit(5)", "22"), 22),
    (("AQAAAAAAAIA=", "BIT", 64), ("bit(64)", "9223372036854775809"), "9223372036854775809"),
    ((5, "TINYINT", 1), ("tinyint(1)", "5"), 5),
    ((False, "BOOLEAN"), ("tinyint(1)", "0"), 0),
    ((-1, "INTEGER UNSIGNED"), ("int unsigned", "4294967295"), 4294967295),
    ((-1, "MEDIUMINT ZEROFILL"), ("mediumint unsigned zerofill", "16777215"), 16777215),
    ((-1, "INT"), ("int", "-1"), -1),
    ((2**64 - 1, "BIGINT UNSIGNED"), ("bigint unsigned", str(2**64 - 1)), str(2**64 - 1)),
    ((1900, "YEAR"), ("year", "0"), 0),
    ((2155, "YEAR"), ("year", "2155"), 2155),
    (("-1.50", "DECIMAL", 5, 2), ("decimal(5,2)", "-1.50"), "-1.50"),
    ((1234.5670166015625, "FLOAT", 7, 3), ("float(7,3)", "1234.567"), 1234.567),
    ((-9.999999999998899e-05, "DOUBLE", 20, 4), ("double(20,4)", "-0.0001"), -0.0001),
    ((3.4028235e38, "FLOAT"), ("float", "3.4028235e38"), 3.4028235e38),
    ((7306, "DATE"), ("date", "1990-01-02"), "1990-01-02"),
    ((-719528, "DATE"), ("date", "0000-01-01"), "0000-01-01"),
    ((2932896, "DATE"), ("date", "9999-12-31"), "9999-12-31"),
    ((-500000, "TIME", 3), ("time(3)", "-00:00:00.500"), "-00:00:00.500"),
    ((3020399000000, "TIME"), ("time", "838:59:59"), "838:59:59"),
    (
        (-62135596800000000, "DATETIME"),
        ("datetime", "0001-01-01 00:00:00"),
        "0001-01-01T00:00:00Z",
    ),
    (
        (1577836800100000, "DATETIME", 1),
        ("datetime(1)", "2020-01-01 00:00:00.1"),
        "2020-01-01T00:00:00.1Z",
    ),
    (
        (253402300799999999, "DATETIME", 6),
        ("datetime(6)", "9999-12-31 23:59:59.999999"),
        "9999-12-31T23:59:59.999999Z",
    ),
    (
        ("1970-01-01T00:00:01.5Z", "TIMESTAMP", 6),
        ("timestamp(6)", "1970-01-01 00:00:01.500000"),
        "1970-01-01T00:00:01.500000Z",
    ),
    (
        ("1970-01-01T00:00:00.000Z", "TIMESTAMP", 3),
        ("timestamp(3)", "0000-00-00 00:00:00.000"),
        "0000-00-00 00:00:00.000",
    ),
    (
        ("2026-11-23T20:04:39+02:00", "TIMESTAMP"),
        ("timestamp", "2026-11-23 18:04:39"),
        "2026-11-23T18:04:39Z",
    ),
    (("AP8A", "VARBINARY", 9), ("varbinary(9)", "\x00\xff\x00"), "AP8A"),
    (('{"n": 1.10, "n": 2}', "JSON"), ("json", '{"n": 1.10, "n": 2}'), '{"n": 1.10, "n": 2}'),
    ((r"b\,c", "ENUM", 1), ("enum('b,c')", "1"), "b,c"),
    ((r"back\\slash", "ENUM", 1), ("enum('back\\slash')", "1"), "back\\slash"),
    ((r"b\\\,c", "ENUM"), None, r"b\,c"),
    ((r"a\\,b", "ENUM"), None, "a,b"),
    ((r"p\'q", "ENUM"), None, r"p\'q"),
    ((r"e\\'f", "ENUM"), None, r"e\'f"),
    ((r"n\nl\0", "ENUM"), None, "n\nl\0"),
    ((r"per%\_", "ENUM"), None, r"per%\_"),
    ((r"x,\\,y", "SET"), ("set('x','\\','y')", "7"), "x,\\,y"),
    (({"wkb": "AQcAAAAAAAAA", "srid": None}, "GEOMETRY"), None, {"wkb": "AQcAAAAAAAAA", "srid": 0}),
    (
        ({"x": 1.0, "y": 2.0, "wkb": "AQE=", "srid": 4326}, "POINT"),
        None,
        {"wkb": "AQE=", "srid": 4326},
    ),
]


@pytest.mark.parametrize(("debezium", "canal", "written"), VALUES)
def test_value_is_the_same_in_both_formats(
    debezium: tuple[Any, ...], canal: tuple[str, str] | None, written: Json
) -> None:
    told = line(typed(*debezium), {"id": 1})["change"]["data"]["c"]
    assert (told, type(told)) == (written, type(written))
    if canal is not None:
        told = line(column(*canal))["change"]["data"]["c"]
        assert (told, type(told)) == (written, type(written))


def test_enum_of_a_snapshot_stays_as_it_is() -> None:
    value = typed(r"b\,c", "ENUM", op="r")
    assert line(value, {"id": 1})["change"]["data"]["c"] == r"b\,c"


@pytest.mark.parametrize("kind", ["INT UNSIGNED", "BIT", "BOOL", "YEAR", "DATE", "DATETIME"])
@pytest.mark.parametrize(
    "value", [None, True, 1.5, "no number", "{", "é==", [1], {"a": 1}, -(10**30), 10**30]
)
def test_value_that_does_not_fit_its_type_stays(kind: str, value: Json) -> None:
    written = line(typed(value, kind), {"id": 1})["change"]["data"]["c"]
    assert written in (portable(value), int(value) if isinstance(value, bool) else None) or (
        kind == "INT UNSIGNED" and written == str(-(10**30) + 2**32)
    )


@pytest.mark.parametrize(
    "schema", [None, 1, {}, {"table": 1}, {"table": {"columns": [1, {"name": "c"}, {}]}}]
)
def test_odd_types_leave_values_as_they_are(schema: object) -> None:
    value = {**typed(7306, "DATE"), "sourceSchema": schema}
    assert line(value, {"id": 1})["change"]["data"]["c"] == 7306


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (2**53, 2**53),
        (2**53 + 1, "9007199254740993"),
        (-(2**53) - 1, "-9007199254740993"),
        (18446744073709551615, "18446744073709551615"),
        (0.1, 0.1),
        (True, True),
        (None, None),
        ("\ud800x", "\ufffdx"),
        ([2**60], [str(2**60)]),
    ],
)
def test_values_are_what_json_readers_can_read(value: Json, written: Json) -> None:
    data = change("c")
    data["after"]["v"] = value
    assert line(data, {"id": 1})["change"]["data"]["v"] == written


def test_numbers_that_python_cannot_hold_become_strings() -> None:
    assert parse("1e999") == "1e999"
    assert parse("1" * 5000) == "1" * 5000
    with pytest.raises(NotJsonError):
        parse("Infinity")


def test_breaks_of_lines_and_nul_stay_within_the_line() -> None:
    text = "a\nb\r\u2028\u2029\x85\x00\x1e\x7f"
    data = change("c")
    data["after"]["v"] = text
    assert line(data, {"id": 1})["change"]["data"]["v"] == text


@pytest.mark.parametrize(("op", "raw"), [("r", "gAAAAAAAAAI="), ("c", "AgAAAAAAAIA=")])
def test_bits_of_a_key_are_what_sql_says(op: str, raw: str) -> None:
    told = line(typed(raw, "BIT", 64, op=op), {"c": raw})["change"]
    assert told["key"] == {"c": "9223372036854775810"}
    assert told["data"]["c"] == "9223372036854775810"


def test_a_key_is_written_by_its_type_too() -> None:
    assert line(typed(7306, "DATE"), {"c": 7306})["change"]["key"] == {"c": "1990-01-02"}
