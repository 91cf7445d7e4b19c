"""The figures of docs/security.md are those of the roles and of the code."""

from __future__ import annotations

import re
from typing import Final

import pytest
import role_docs

from helfy import database, schema
from helfy.passwords import LONGEST_BYTES

TEXT: Final = (role_docs.ROOT / "docs/security.md").read_text()
DEFAULTS: Final = {
    name: value for role in role_docs.ROLES for name, value in role_docs.defaults(role).items()
}
UNITS: Final = {"": 1, " s": 1, " hours": 3600}


def figures() -> list[tuple[str, str, str]]:
    """Give each number, its unit and the variable that stands behind it in brackets."""
    pattern = r"([\d,]+)( KiB| s| hours|)(?: connections a core)? \(`((?:helfy|nginx)_\w+)`"
    return [(number.replace(",", ""), *rest) for number, *rest in re.findall(pattern, TEXT)]


@pytest.mark.parametrize(("number", "unit", "variable"), figures())
def test_a_figure_is_the_variables_default(number: str, unit: str, variable: str) -> None:
    if unit == " KiB":
        assert DEFAULTS[variable] == f"{number}k"
    else:
        assert DEFAULTS[variable] == int(number) * UNITS[unit]


def test_the_figures_are_found() -> None:
    found = {variable for _, _, variable in figures()}
    assert found >= {
        "helfy_api_session_seconds", "nginx_body_max", "nginx_address_connections",
        "nginx_client_timeout_seconds", "nginx_api_timeout_seconds", "nginx_connections",
    }  # fmt: skip
    assert "after an hour without a request (`helfy_api_idle_seconds`)" in TEXT
    assert DEFAULTS["helfy_api_idle_seconds"] == 3600
    assert f"`helfy_api_bcrypt_cost` ({DEFAULTS['helfy_api_bcrypt_cost']})" in TEXT
    assert f"`helfy_api_concurrent_hashes` ({DEFAULTS['helfy_api_concurrent_hashes']})" in TEXT


def test_the_throttles_table_and_what_is_said_of_two_names() -> None:
    rows = re.findall(r"\| (\d+) \| (\d+) s \| `(\w+)_attempts`, `_seconds` \|", TEXT)
    assert [variable for *_, variable in rows] == [
        f"helfy_api_{kind}" for kind in ("pair", "address", "account")
    ]
    for attempts, seconds, variable in rows:
        assert DEFAULTS[f"{variable}_attempts"] == int(attempts)
        assert DEFAULTS[f"{variable}_seconds"] == int(seconds)
    words = " ".join(TEXT.split())
    for attempts, seconds, _ in (rows[0], rows[2]):
        assert f"{2 * int(attempts)} at once and two more every {seconds} s" in words


def test_the_limits_of_fields_and_the_database() -> None:
    password, email, name = LONGEST_BYTES, schema.EMAIL_LENGTH, schema.USERNAME_LENGTH
    row = f"| a password; an email address; a username | {password} bytes; {email}; {name} chara"
    assert row in TEXT
    waits = (database.CONNECT_SECONDS, database.READ_SECONDS, database.POOL_SECONDS)
    said = ", ".join(f"{wait:g} s" for wait in waits)
    assert f"| the database: to connect, to answer, to have a connection free | {said} |" in TEXT


def test_each_unit_that_logs_is_in_the_list() -> None:
    table = TEXT[TEXT.index("## Logs") : TEXT.index("## Keys")]
    paths = role_docs.ROOT.glob("roles/*/templates/*.service.j2")
    units = {path.name.partition(".")[0] for path in paths}
    assert units >= {"helfy-api@", "helfy-consumer", "kafka", "kafka-connect"}
    # The watchdog is named by what it watches; the firewall says nothing but that it began.
    for unit in units - {"kafka-connect-watchdog", "helfy-firewall"}:
        assert f"`{unit}" in table, unit
    assert "`kafka-connect`, its watchdog" in table


def test_a_release_has_no_tool_and_no_test() -> None:
    project = (role_docs.ROOT / "pyproject.toml").read_text()
    assert 'packages = ["app/helfy"]' in project
    shipped = _packages("app.txt")
    tools = {
        name
        for file in ("control.in", "test.in")
        for name in _packages(file)
        if not name.startswith("types-")
    }
    assert {"flask", "pymysql"} <= shipped
    assert {"pytest", "molecule"} <= tools
    assert shipped & tools == set()


def _packages(name: str) -> set[str]:
    text = (role_docs.ROOT / "requirements" / name).read_text()
    return {found.lower() for found in re.findall(r"(?m)^([A-Za-z][\w.-]*)", text)}
