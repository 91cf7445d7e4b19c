"""What a user does and sees on the page, and what watches it from behind."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Route,
    expect,
)

# A blocked resource is a console error in Chromium; blocked eval or a report without one is not.
REPORT_CSP = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP violation: ${event.violatedDirective} ${event.blockedURI}`));
"""

Snap = Callable[[str], None]


@dataclass(frozen=True)
class Account:
    """An account on the service under test."""

    username: str
    email: str
    password: str
    id: int = 0


@dataclass
class Watch:
    """What went wrong in the browser without the user seeing it."""

    host: str
    problems: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, pattern: str) -> None:
        """Let pass console errors that match: a test that provokes a failure has them."""
        self.expected.append(pattern)

    def attach(self, context: BrowserContext) -> None:
        context.add_init_script(REPORT_CSP)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.problems.append(f"page error: {error.error}"))
        context.on("request", self._request)

    def unexpected(self) -> list[str]:
        return [
            problem
            for problem in self.problems
            if not any(re.search(pattern, problem) for pattern in self.expected)
        ]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            url = message.location.get("url", "")
            self.problems.append(f"console {message.type}: {message.text} ({url})")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob", "about"} and parts.netloc != self.host:
            self.problems.append(f"request to another host: {request.url}")


def user_field(page: Page) -> Locator:
    return page.get_by_label("Username or email")


def password_field(page: Page) -> Locator:
    return page.get_by_label("Password", exact=True)


def submit_button(page: Page) -> Locator:
    return page.locator("form button[type=submit]")


def outcome(page: Page) -> Locator:
    """The place under the form where it says what happened."""
    return page.locator("form .slot")


def fill(page: Page, user: str, password: str) -> None:
    user_field(page).fill(user)
    password_field(page).fill(password)


def log_in(page: Page, account: Account) -> None:
    page.goto("/")
    fill(page, account.username, account.password)
    submit_button(page).click()
    expect_profile(page, account)


def log_out_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Log out")


def expect_profile(page: Page, account: Account) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(account.username)
    expect(page.get_by_text(account.email, exact=True)).to_be_visible()


def expect_login(page: Page, account: Account) -> None:
    expect(page.get_by_role("heading", name="Log in", level=1)).to_be_visible()
    expect(page.get_by_text(account.email)).to_have_count(0)
    expect(log_out_button(page)).to_have_count(0)


def token(page: Page) -> str:
    stored: dict[str, Any] = page.evaluate("JSON.parse(sessionStorage.getItem('helfy.session'))")
    return str(stored["token"])


def profile_status(page: Page, value: str) -> int:
    """The status with which the API itself answers this token."""
    return page.request.get("/profile", headers={"x-auth-token": value}).status


def answer(page: Page, path: str, **response: Any) -> None:
    """Answer a path of the API in the API's place.

    Only for what a healthy deployment cannot be made to answer.
    """

    def fulfil(route: Route) -> None:
        route.fulfill(**response)

    page.route(f"**{path}", fulfil)


def hold(page: Page, path: str) -> list[Route]:
    """Keep the requests to a path of the API waiting; the list fills as they come."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(f"**{path}", keep)
    return held
