"""How TiCDC's text of each MySQL type stands in a line."""

import base64
from decimal import Decimal

import pytest
from canal_support import column
from consumer_support import line
from hypothesis import given, settings
from hypothesis import strategies as st

from helfy.consumer.wire import Json


@pytest.mark.parametrize(
    ("mysql_type", "text", "value"),
    [
        ("tinyint", "1", 1),
        ("tinyint", "-128", -128),
        ("tinyint unsigned", "255", 255),
        ("smallint", "-32768", -32768),
        ("mediumint unsigned zerofill", "00000042", 42),
        ("int", "-2147483648", -2147483648),
        ("int(11) unsigned", "4294967295", 4294967295),
        ("bigint", "9007199254740992", 9007199254740992),
        ("bigint", "9007199254740993", "9007199254740993"),
        ("bigint", "-9223372036854775808", "-9223372036854775808"),
        ("bigint unsigned", "18446744073709551615", "18446744073709551615"),
        ("bigint unsigned", "7", 7),
        ("year", "2026", 2026),
        ("bit", "5", 5),
        ("bit(64)", "18446744073709551615", "18446744073709551615"),
        ("float", "0.1", 0.1),
        ("double", "-1.5e10", -1.5e10),
        ("double", "1" + "0" * 300, 1e300),
        ("double", "1e999", "1e999"),
        ("decimal", "12.50", "12.50"),
        ("decimal(65,30) unsigned", "0" + "." + "1" * 30, "0." + "1" * 30),
        ("date", "2026-11-23", "2026-11-23"),
        ("date", "0000-00-00", "0000-00-00"),
        ("time", "-838:59:59.5", "-838:59:59.5"),
        ("datetime", "2026-11-23 18:59:53", "2026-11-23T18:59:53Z"),
        ("datetime(6)", "2026-11-23 18:59:53.334332", "2026-11-23T18:59:53.334332Z"),
        ("datetime", "9999-12-31 23:59:59.999", "9999-12-31T23:59:59.999Z"),
        ("datetime", "0000-00-00 00:00:00", "0000-00-00 00:00:00"),
        ("datetime", "2026-02-30 00:00:00", "2026-02-30 00:00:00"),
        ("datetime", "0000-02-29 00:00:00", "0000-02-29T00:00:00Z"),
        ("datetime(3)", "0000-05-00 00:00:00.000", "0000-05-00 00:00:00.000"),
        ("timestamp", "2026-11-23 18:59:53", "2026-11-23T18:59:53Z"),
        ("timestamp(3)", "1970-01-01 00:00:01.000", "1970-01-01T00:00:01.000Z"),
        ("varchar", "2026-11-23 18:59:53", "2026-11-23 18:59:53"),
        ("varchar(64)", "007", "007"),
        ("char", "", ""),
        ("text", "zażółć\n\u2028", "zażółć\n\u2028"),
        ("json", '{"n": 9007199254740993, "f": 0.50}', '{"n": 9007199254740993, "f": 0.50}'),
        ("json", "null", "null"),
        ("json", '"text"', '"text"'),
        ("vector(3)", "[1,2,3.5]", "[1,2,3.5]"),
        ("varbinary", "\x00ÿ\x10", "AP8Q"),
        ("binary(2)", "\x80\x9f", "gJ8="),
        ("blob", "", ""),
        ("longblob", "ÿØÿà", "/9j/4A=="),
        ("enum", "2", 2),
        ("enum('a','it''s','b,c')", "2", "it's"),
        ("enum('a','it''s','b,c')", "3", "b,c"),
        ("enum('a')", "0", ""),
        ("enum('a')", "9", 9),
        ("enum('a')", "a", "a"),
        ("set", "5", 5),
        ("set('r','w','x')", "5", "r,x"),
        ("set('r','w','x')", "0", ""),
        ("set('r')", "9", 9),
        ("geometry", "?", "?"),
        ("", "?", "?"),
    ],
)
def test_text_is_written_by_its_type(mysql_type: str, text: str, value: Json) -> None:
    told = line(column(mysql_type, text))["change"]["data"]["c"]
    assert (told, type(told)) == (value, type(value))


TYPES = ["int", "bigint unsigned", "year", "bit", "float", "double", "decimal", "date", "time"]
TYPES += ["datetime", "timestamp", "json", "enum('a')", "set('a')", "varchar", "text", "varbinary"]


@pytest.mark.parametrize("mysql_type", TYPES)
def test_null_is_null(mysql_type: str) -> None:
    assert line(column(mysql_type, None))["change"]["data"]["c"] is None


@pytest.mark.parametrize("mysql_type", [name for name in TYPES if name != "varbinary"])
@pytest.mark.parametrize(
    "text", ["no", "1_0", "1 x", "0x1f", "nan", "-inf", "٣", "{", "2026-13-01"]
)
def test_text_that_does_not_fit_its_type_stays(mysql_type: str, text: str) -> None:
    assert line(column(mysql_type, text))["change"]["data"]["c"] == text


def test_binary_that_is_not_latin_1_is_undecodable() -> None:
    told = line(column("blob", "zażółć"))
    assert told["action"] == "undecodable"
    assert told["reason"] == "canal-json: a value of data is binary, but not in Latin-1"


def test_a_column_of_which_no_type_is_told_stays() -> None:
    value = column("int", "7")
    del value["mysqlType"]["c"]
    assert line(value)["change"]["data"]["c"] == "7"


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_property_bytes_come_back(raw: bytes) -> None:
    told = line(column("varbinary(200)", raw.decode("latin-1")))["change"]["data"]["c"]
    assert base64.b64decode(told, validate=True) == raw


@given(st.integers(-(2**63), 2**64 - 1))
@settings(max_examples=100, deadline=None)
def test_property_integers_keep_their_value(number: int) -> None:
    told = line(column("bigint", str(number)))["change"]["data"]["c"]
    assert int(told) == number
    assert isinstance(told, int) == (abs(number) <= 2**53)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=10))
@settings(max_examples=100, deadline=None)
def test_property_decimals_keep_every_digit(number: Decimal) -> None:
    text = format(number, "f")
    assert line(column("decimal(65,10)", text))["change"]["data"]["c"] == text


@given(st.datetimes())
@settings(max_examples=100, deadline=None)
def test_property_times_keep_their_moment(moment: object) -> None:
    text = str(moment)
    told = line(column("timestamp(6)", text))["change"]["data"]["c"]
    assert told == text.replace(" ", "T") + "Z"
