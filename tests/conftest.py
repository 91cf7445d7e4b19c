"""What the tests of a deployed Helfy share: the machines of the inventory, and their journals.

A test takes a machine by what it is for: ``machine`` (each host in turn) or one of GROUP_OF, and
is skipped where the inventory has no such host. Read from the environment:

- ``HELFY_INVENTORY``: the inventory's folder. Without it, ``inventory/current``.
- ``HELFY_URL``: where the page is served. Without it, the first host of the group ``client``.
"""

import contextlib
import functools
import os
import sys
import time
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest
import requests

sys.path.insert(0, str(Path(__file__).parent / "shared"))

import machines as inventory
from machine import Machine, MachineError
from machines import Machines
from trust import trust

GROUP_OF: Final[dict[str, str | None]] = {
    "machine": None,
    "api_machine": "api",
    "capture_machine": "debezium",
    "client_machine": "client",
    "consumer_machine": "consumer",
    "database_machine": "mariadb",
    "kafka_machine": "kafka",
}
JOURNAL_UNITS: Final = (
    *("helfy-consumer", "helfy-api@*", "kafka-connect*", "kafka", "mariadb", "nginx"),
)
JOURNAL_LINES: Final = 60
STARTED = pytest.StashKey[float]()


@functools.cache
def all_machines() -> Machines:
    """Ask Ansible about the inventory, once, when somebody wants to know."""
    return Machines()


def default_url() -> str:
    """Give the page's address."""
    return str(all_machines().of("client")[0].vars["page_url"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tell the browser's tests, which ask the environment, where the page is."""
    wanted = any("base_url" in getattr(item, "fixturenames", ()) for item in items)
    if wanted and "HELFY_URL" not in os.environ:
        # Where there is no inventory, they say themselves what they miss.
        with contextlib.suppress(MachineError, OSError, IndexError):
            os.environ["HELFY_URL"] = default_url()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each host of the group that it asks for."""
    for fixture in GROUP_OF.keys() & set(metafunc.fixturenames):
        hosts = inventory.names(GROUP_OF[fixture])
        metafunc.parametrize(fixture, hosts, indirect=True, scope="session")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note when the test began."""
    item.stash[STARTED] = time.monotonic()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show, beside a failure, what the machines' services wrote since the test began."""
    report = yield
    # Without a look at the cache, a test that needs no machine would ask for one here.
    if report.failed and all_machines.cache_info().currsize:
        seconds = int(time.monotonic() - item.stash.get(STARTED, time.monotonic())) + 2
        for machine in all_machines().by_name.values():
            report.sections.append((f"journal of {machine.name}", _journal(machine, seconds)))
    return report


def pytest_sessionfinish() -> None:
    """End the connections, whoever opened them."""
    if all_machines.cache_info().currsize:
        all_machines().close()


def _journal(machine: Machine, seconds: int) -> str:
    units = " ".join(f"-u '{unit}'" for unit in JOURNAL_UNITS)
    # Without the requests that went as they should: a load would leave room for nothing else.
    command = (
        f"journalctl --namespace='*' --no-pager -q --since=-{seconds}s {units}"
        f""" | grep -vE '"action":"(request|http)".*"status":[234]' | tail -n {JOURNAL_LINES}"""
    )
    try:
        return machine.run(command, seconds=15) or "nothing"
    except Exception as error:  # noqa: BLE001 - the failure itself must be shown in any case
        return f"not to be had: {error}"


@pytest.fixture(scope="session")
def all_of_them() -> Machines:
    """The machines of the inventory."""
    return all_machines()


def _machine(all_of_them: Machines, request: pytest.FixtureRequest) -> Machine:
    return all_of_them.by_name[request.param]


machine = pytest.fixture(_machine, scope="session", name="machine")
api_machine = pytest.fixture(_machine, scope="session", name="api_machine")
capture_machine = pytest.fixture(_machine, scope="session", name="capture_machine")
client_machine = pytest.fixture(_machine, scope="session", name="client_machine")
consumer_machine = pytest.fixture(_machine, scope="session", name="consumer_machine")
database_machine = pytest.fixture(_machine, scope="session", name="database_machine")
kafka_machine = pytest.fixture(_machine, scope="session", name="kafka_machine")


@pytest.fixture(scope="session")
def url() -> str:
    """Where the page and the API are served, without a slash at the end."""
    found = (os.environ.get("HELFY_URL") or default_url()).rstrip("/")
    trust(found)
    return found


@pytest.fixture(scope="session")
def lab_account(all_of_them: Machines) -> dict[str, str]:
    """The account that the lab's inventories seed: username, email, password, role."""
    for machine in all_of_them.of("api"):
        for account in machine.vars["helfy_api_seed_accounts"]:
            return dict(account)
    pytest.skip("this inventory is not a lab: it seeds no account")


@pytest.fixture(scope="session")
def run_id() -> str:
    """A mark of this run, for whatever it writes: lower case, no dash."""
    return uuid.uuid4().hex[:10]


@pytest.fixture
def http(run_id: str, all_of_them: Machines) -> Iterator[requests.Session]:
    """A client of the service; the logins that it makes there go when the test ends."""
    agent = f"helfy-tests/{run_id}"
    with requests.Session() as session:
        session.headers["User-Agent"] = agent
        yield session
    for machine in all_of_them.of("mariadb")[:1]:
        machine.sql(f"DELETE FROM sessions WHERE user_agent = '{agent}'")
