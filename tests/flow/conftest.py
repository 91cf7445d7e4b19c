"""The stream of changes, for each test from its own beginning; and the way in."""

from collections.abc import Callable, Iterator

import pytest
import requests
from machine import Machine
from machines import Machines
from stream import Stream


@pytest.fixture
def stream(consumer_machine: Machine, all_of_them: Machines, run_id: str) -> Iterator[Stream]:
    databases = all_of_them.of("mariadb")
    if not databases:
        pytest.skip("no MariaDB in this inventory")
    stream = Stream(consumer_machine, databases[0], run_id)
    yield stream
    stream.clean_up()


@pytest.fixture
def login(
    http: requests.Session, url: str, lab_account: dict[str, str]
) -> Callable[[], requests.Response]:
    """Log the lab's account in, once for each call."""
    body = {"usernameOrEmail": lab_account["username"], "password": lab_account["password"]}
    return lambda: http.post(f"{url}/login", json=body, timeout=30)
