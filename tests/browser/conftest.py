"""A real browser on the deployed service.

Read from the environment:

- ``HELFY_URL``: where the page is served, such as ``http://192.168.56.10:8080``. Needed.
- ``HELFY_LAB_USERNAME``, ``HELFY_LAB_EMAIL``, ``HELFY_LAB_PASSWORD``: an account there. Without
  them, the one that lab inventories seed.
- ``HELFY_ARTIFACTS``: the folder for screenshots. Without it, ``.cache/artifacts``.
- ``HELFY_CHROMIUM``: the browser. Without it, the ``chromium`` on the path.
"""

import os
import re
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from page_accounts import Api, log_in
from page_steps import Account, Snap, Watch
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
TIMEOUT_MS = 8_000
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell the fixtures whether their test failed."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture(scope="session")
def base_url() -> str:
    url = os.environ.get("HELFY_URL", "").rstrip("/")
    if not url:
        pytest.fail(
            "HELFY_URL is not set: give the address of the deployed page, "
            "such as HELFY_URL=http://192.168.56.10:8080",
            pytrace=False,
        )
    return url


@pytest.fixture(scope="session")
def account() -> Account:
    return Account(
        username=os.environ.get("HELFY_LAB_USERNAME", "admin"),
        email=os.environ.get("HELFY_LAB_EMAIL", "admin@example.com"),
        password=os.environ.get("HELFY_LAB_PASSWORD", "password"),
    )


@pytest.fixture(scope="module")
def api(base_url: str, account: Account) -> Iterator[Api]:
    """The API with a session of the admin, one for each module: tries at passwords are counted."""
    api = Api(base_url, log_in(base_url, account))
    yield api
    api.clean_up()


@pytest.fixture(scope="session")
def artifacts() -> Path:
    folder = Path(os.environ.get("HELFY_ARTIFACTS") or ROOT / ".cache" / "artifacts") / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = os.environ.get("HELFY_CHROMIUM") or shutil.which("chromium")
    if executable is None:
        pytest.fail("chromium is not on the path: apt-get install chromium", pytrace=False)
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            # Chromium refuses its sandbox to root, and /dev/shm is small in containers.
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        yield browser
        browser.close()


@pytest.fixture
def watch(base_url: str) -> Watch:
    return Watch(host=urlsplit(base_url).netloc)


@pytest.fixture(scope="session")
def user_agent(browser: Browser, base_url: str, account: Account) -> Iterator[str]:
    """What the browser calls itself; the sessions that it leaves behind end with the tests."""
    platform = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
    agent = f"{platform} Chrome/{browser.version} Safari/537.36 helfy-tests/browser"
    yield agent
    api = Api(base_url, log_in(base_url, account))
    api.end_sessions_of(agent)
    api.clean_up()


@pytest.fixture
def context(
    browser: Browser, base_url: str, user_agent: str, watch: Watch
) -> Iterator[BrowserContext]:
    """A browser of its own for each test; errors that only the console shows fail it."""
    context = browser.new_context(
        base_url=base_url,
        locale="en-GB",
        reduced_motion="reduce",
        user_agent=user_agent,
        # That nobody vouches for a lab's certificate is not what these tests are about.
        ignore_https_errors=base_url.startswith("https:"),
    )
    context.set_default_timeout(TIMEOUT_MS)
    watch.attach(context)
    yield context
    context.close()
    assert watch.unexpected() == []


@pytest.fixture
def page(
    context: BrowserContext, artifacts: Path, request: pytest.FixtureRequest
) -> Iterator[Page]:
    page = context.new_page()
    yield page
    if request.node.stash.get(FAILED, False):
        name = re.sub(r"[^\w-]+", "-", request.node.name)
        try:
            page.screenshot(path=artifacts / f"FAILED-{name}.png", full_page=True)
        except Error as error:
            print(f"no screenshot of the failure: {error}")


@pytest.fixture
def snap(page: Page, artifacts: Path) -> Snap:
    """Take a screenshot of the whole page under a name."""

    def take(name: str) -> None:
        page.screenshot(path=artifacts / f"{name}.png", full_page=True)

    return take
