"""Schemathesis: whatever the OpenAPI document lets one send gets an answer that it knows of."""

from collections.abc import Callable
from pathlib import Path

import pytest
from api_process import Process
from fuzz import ENDING, fuzz
from mariadb_server import MariaDB

WIDE = "[throttle]\n" + "".join(
    f"{kind}_attempts = 100000\n" for kind in ("pair", "address", "account")
)
"""Or most answers to a login would be 429."""


@pytest.mark.parametrize("name", ["root", "alice"])
def test_every_answer_is_in_the_document(
    processes: Callable[..., Process], database: MariaDB, tmp_path: Path, name: str
) -> None:
    process = processes(WIDE)
    url, token = f"http://127.0.0.1:{process.port}", process.login(name)[2]["token"]

    assert fuzz(url, tmp_path, token) >= 11
    assert process.send("GET", "/profile", token)[0] == 200, "else all were answered by 401"

    # An id that nobody comes upon by chance: the account goes last, if it goes.
    database.execute("UPDATE users SET id = 918273 WHERE username = %s", name, database="helfy")
    assert fuzz(url, tmp_path, process.login(name)[2]["token"], ENDING) == len(ENDING)
