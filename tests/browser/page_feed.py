"""What one sees of the live feed, and who changes something behind the page."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from machine import Machine
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

# Longer than a change takes: what is not there by then does not come.
COMES_MS = 15_000


@dataclass
class Sql:
    """Rows of ``users`` made by SQL, which go when the test ends."""

    machine: Machine
    made: list[str] = field(default_factory=list)

    def run(self, statements: str) -> None:
        self.machine.sql(statements)

    def insert(self, name: str = "", email: str = "") -> str:
        name = name or f"page-{uuid.uuid4().hex[:10]}"
        self.made.append(name)
        email = email or f"{name}@example.com"
        self.run(
            "INSERT INTO users (username, email, password_hash)"
            f" VALUES ('{name}', '{email}', 'no hash that anybody has')"
        )
        return name

    def update(self, name: str, assignment: str) -> None:
        self.run(f"UPDATE users SET {assignment} WHERE username = '{name}'")

    def key(self, name: str) -> str:
        [[key]] = self.machine.sql(f"SELECT id FROM users WHERE username = '{name}'")
        return key

    def clean_up(self) -> None:
        if self.made:
            listed = ", ".join(f"'{name}'" for name in self.made)
            self.run(f"DELETE FROM users WHERE username IN ({listed})")


@pytest.fixture
def sql(database_machine: Machine) -> Iterator[Sql]:
    made = Sql(database_machine)
    yield made
    made.clean_up()


@pytest.fixture
def other_context(browser: Browser, base_url: str) -> Iterator[BrowserContext]:
    """Another browser, of somebody else."""
    context = browser.new_context(base_url=base_url, locale="en-GB", reduced_motion="reduce")
    context.set_default_timeout(COMES_MS)
    yield context
    context.close()


def lines(page: Page) -> Locator:
    return page.locator(".changes > .change")


def titled(page: Page, title: str) -> Locator:
    """The lines with this title."""
    found = page.locator(".change-title").get_by_text(title, exact=True)
    return lines(page).filter(has=found)


def bar(page: Page) -> Locator:
    """Where it says how the feed is."""
    return page.locator(".feed-bar")


def waits(page: Page) -> Locator:
    return page.locator(".feed-waits")


def pause(page: Page) -> Locator:
    return page.get_by_role("button", name="Pause", exact=True)


def resume(page: Page) -> Locator:
    return page.get_by_role("button", name="Resume", exact=True)


def expect_state(page: Page, state: str, title: str, ms: float = COMES_MS) -> None:
    """Wait until the feed is so, and says so in words."""
    expect(bar(page)).to_have_attribute("data-state", state, timeout=ms)
    # Of what is live again it says so for eight seconds first.
    expect(bar(page).locator("strong")).to_have_text(title, timeout=ms + 10_000)


def comes(locator: Locator, ms: float = COMES_MS) -> None:
    expect(locator).to_have_count(1, timeout=ms)
