"""Accounts that the tests make on the service under test, and their sessions, by its API."""

import uuid
from dataclasses import dataclass, field
from typing import Any, Final

import requests
from page_steps import Account
from playwright.sync_api import Page

AGENT: Final = "helfy-tests/page"
PASSWORD: Final = "a password of page tests"
SECONDS: Final = 30
BLANK: Final = '<!doctype html><title>Blank</title><link rel="icon" href="data:,">'


@dataclass
class Api:
    """The API, asked as the lab's admin; what it made there it can delete again."""

    url: str
    token: str
    made: list[int] = field(default_factory=list)

    def ask(self, method: str, path: str, body: object = None, token: str | None = None) -> Any:
        """Give the JSON that it answers; an answer that is an error fails the test."""
        answer = requests.request(
            method,
            f"{self.url}{path}",
            json=body,
            headers={"x-auth-token": token or self.token, "user-agent": AGENT},
            timeout=SECONDS,
        )
        answer.raise_for_status()
        return answer.json()

    def make(self, **more: Any) -> Account:
        """Make an account whose password need not be changed, unless told otherwise."""
        name = f"page-{uuid.uuid4().hex[:10]}"
        body = {
            "username": name,
            "email": f"{name}@example.com",
            "password": PASSWORD,
            "mustChangePassword": False,
        } | more
        made = self.ask("POST", "/users", body)
        self.made.append(made["id"])
        return Account(made["username"], made["email"], str(body["password"]), made["id"])

    def log_in(self, account: Account, agent: str = AGENT) -> str:
        """Log in and give the token."""
        return log_in(self.url, account, agent)

    def user(self, account: Account) -> dict[str, Any] | None:
        """Give the account as it is now; None where it is no more."""
        found = self.ask("GET", f"/users?search={account.username}")["items"]
        return next((user for user in found if user["id"] == account.id), None)

    def end_sessions_of(self, agent: str) -> None:
        """End the admin's sessions of the program that calls itself this."""
        after = ""
        while True:
            page = self.ask("GET", f"/sessions?limit=100{after}")
            for session in page["items"]:
                if session["client"] == agent:
                    self.ask("DELETE", f"/sessions/{session['id']}")
            if page["next"] is None:
                return
            after = f"&after={page['next']}"

    def clean_up(self) -> None:
        """Delete what it made, and log out."""
        for user in self.made:
            requests.delete(
                f"{self.url}/users/{user}",
                headers={"x-auth-token": self.token},
                timeout=SECONDS,
            )
        self.ask("POST", "/logout")


def log_in(url: str, account: Account, agent: str = AGENT) -> str:
    """Log in by the API and give the token."""
    body = {"usernameOrEmail": account.username, "password": account.password}
    answer = requests.post(
        f"{url}/login", json=body, headers={"user-agent": agent}, timeout=SECONDS
    )
    answer.raise_for_status()
    return str(answer.json()["token"])


def enter(page: Page, token: str, address: str = "#/profile") -> None:
    """Open the page at this address with this session, as if somebody had logged in before."""
    # A document of the same origin that runs no script of the page.
    page.route("**/blank", lambda route: route.fulfill(content_type="text/html", body=BLANK))
    page.goto("/blank")
    page.evaluate(
        "token => sessionStorage.setItem('helfy.session', JSON.stringify({token}))", token
    )
    page.goto(f"/{address}")
    page.locator("main h1").wait_for()
