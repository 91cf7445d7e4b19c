"""How values of columns stand in a line."""

import pytest
from consumer_support import SETTINGS, change, line

from helfy.consumer.decode.kinds import KINDS, convert
from helfy.consumer.wire import Json, NotJsonError, parse, portable


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        ("date", 7306, "1990-01-02"),
        ("date", -1, "1969-12-31"),
        ("datetime", 1714979289000, "2024-05-06T07:08:09Z"),
        ("datetime", 1714979289500, "2024-05-06T07:08:09.500Z"),
        ("datetime3", 1714979289000, "2024-05-06T07:08:09.000Z"),
        ("datetime6", 1714979289123456, "2024-05-06T07:08:09.123456Z"),
        ("datetime6", 253402300799999999, "9999-12-31T23:59:59.999999Z"),
        ("timestamp", "2026-11-23T20:04:39.5+02:00", "2026-11-23T18:04:39.500000Z"),
        ("timestamp", "2026-11-23T18:04:39Z", "2026-11-23T18:04:39Z"),
        ("time", 65079000001, "18:04:39.000001"),
        ("time", -3600000000, "-01:00:00"),
        ("time", 3020399000000, "838:59:59"),
        ("decimal", 10.5, "10.5"),
        ("decimal", "10.50", "10.50"),
        ("json", '{"n":9007199254740993}', {"n": "9007199254740993"}),
        ("binary", "AAEC", "AAEC"),
        ("unscaled2", "BBo=", "10.50"),
        ("unscaled2", "+w==", "-0.05"),
    ],
)
def test_a_value_is_written_by_its_kind(kind: str, value: Json, written: Json) -> None:
    assert convert({"Column": value}, {"column": kind}) == {"Column": written}


@pytest.mark.parametrize("kind", [*KINDS, "unscaled2"])
@pytest.mark.parametrize(
    "value", [None, True, 1.5, "no number", "{", "é==", [1], {"a": 1}, -(10**30), 10**30]
)
def test_a_value_that_does_not_fit_its_kind_stays(kind: str, value: Json) -> None:
    written = convert({"c": value}, {"c": kind})["c"]
    assert written in (portable(value), str(value))


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


def test_an_unknown_type_is_passed_on_as_it_came() -> None:
    data = change("c", source={"table": "other"})
    data["after"]["birth"] = 7306
    assert SETTINGS.types["app.users"]["birth"] == "date"
    assert line(data, {"id": 1})["change"]["data"]["birth"] == 7306


def test_a_key_is_written_by_its_kind_too() -> None:
    assert line(change("u"), {"birth": 7306})["change"]["key"] == {"birth": "1990-01-02"}
