"""The stream of changes, for each test from its own beginning; and the way in."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import requests
from load import Load
from machine import Machine
from machines import Machines
from stream import Stream


@pytest.fixture
def stream(consumer_machine: Machine, all_of_them: Machines, run_id: str) -> Iterator[Stream]:
    stream = Stream(consumer_machine, all_of_them.databases[0], run_id)
    yield stream
    stream.clean_up()


@pytest.fixture
def login(
    http: requests.Session, url: str, lab_account: dict[str, str]
) -> Callable[[], requests.Response]:
    """Log the lab's account in, once for each call."""
    body = {"usernameOrEmail": lab_account["username"], "password": lab_account["password"]}
    return lambda: http.post(f"{url}/login", json=body, timeout=30)


@pytest.fixture
def loaded(
    http: requests.Session, url: str, lab_account: dict[str, str]
) -> Callable[..., AbstractContextManager[Load]]:
    """Keep the service busy for a while, and let no request of it fail; options are Load's."""

    @contextmanager
    def load(**options: Any) -> Iterator[Load]:
        with Load(url, lab_account, str(http.headers["User-Agent"]), **options) as made:
            yield made
        print(made)
        assert made.failures == []
        assert made.answered["login"] > 5

    return load
