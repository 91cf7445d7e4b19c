"""How the page looks, what it weighs, and whether everybody can use it."""

import re
from urllib.parse import urlsplit

from page_accounts import Api, enter
from page_look import assert_accessible, look_everywhere
from page_steps import (
    Account,
    Snap,
    expect_login,
    expect_profile,
    log_out_button,
    password_field,
    submit_button,
    user_field,
)
from playwright.sync_api import Browser, Page, Request, expect

ADDRESSES = (
    *("#/profile", "#/sessions", "#/password", "#/users", "#/users/new", "#/changes", "#/status"),
)
FILE = re.compile(r"^/$|\.(?:js|css|svg)$")
MAX_BYTES = 150_000
"""Of all files of the page, as they go over the network, with headers."""


def test_login_looks_right_everywhere(page: Page, snap: Snap) -> None:
    page.goto("/")
    expect(user_field(page)).to_be_focused()
    look_everywhere(page, snap, "login")
    submit_button(page).click()
    expect(user_field(page)).to_have_attribute("aria-invalid", "true")
    assert_accessible(page)


def test_profile_looks_right_everywhere(page: Page, api: Api, account: Account, snap: Snap) -> None:
    enter(page, api.token)
    expect_profile(page, account)
    look_everywhere(page, snap, "profile")


def test_keyboard_is_enough(page: Page, account: Account) -> None:
    page.goto("/")
    expect(user_field(page)).to_be_focused()
    page.keyboard.type(account.username)
    page.keyboard.press("Tab")
    expect(password_field(page)).to_be_focused()
    page.keyboard.type(account.password)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Show password")).to_be_focused()
    page.keyboard.press("Tab")
    expect(submit_button(page)).to_be_focused()
    page.keyboard.press("Enter")
    expect_profile(page, account)
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(log_out_button(page)).to_be_focused()
    page.keyboard.press("Enter")
    expect_login(page, account)
    expect(user_field(page)).to_be_focused()


def test_password_can_be_shown(page: Page, snap: Snap) -> None:
    page.goto("/")
    password_field(page).fill("what I typed")
    page.get_by_role("button", name="Show password").click()
    expect(password_field(page)).to_have_attribute("type", "text")
    snap("login-password-shown")
    page.get_by_role("button", name="Hide password").click()
    expect(password_field(page)).to_have_attribute("type", "password")


def test_caps_lock_is_told(page: Page, snap: Snap) -> None:
    page.goto("/")
    password_field(page).focus()
    # The driver's keyboard has no Caps Lock that stays on.
    password_field(page).dispatch_event("keydown", {"key": "A", "modifierCapsLock": True})
    expect(page.get_by_text("Caps Lock is on")).to_be_visible()
    snap("login-caps-lock")
    password_field(page).press("a")
    expect(page.get_by_text("Caps Lock is on")).to_have_count(0)


def test_password_managers_find_the_fields(page: Page) -> None:
    page.goto("/")
    expect(user_field(page)).to_have_attribute("autocomplete", "username")
    expect(password_field(page)).to_have_attribute("autocomplete", "current-password")
    # Where a script fails, a password must never end up in an address.
    expect(page.locator("form")).to_have_attribute("method", "post")


def test_page_is_light_and_strict(page: Page, api: Api) -> None:
    finished: list[Request] = []

    def note(request: Request) -> None:
        finished.append(request)

    page.on("requestfinished", note)
    # Every view: those that weigh most come when they are wanted.
    enter(page, api.token)
    for address in ADDRESSES:
        page.goto(f"/{address}")
        expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    files = {urlsplit(request.url).path: request for request in finished}
    files = {path: request for path, request in files.items() if FILE.search(path)}
    sizes = [request.sizes() for request in files.values()]
    weight = sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes)
    print(f"{len(files)} files, {weight} bytes")
    assert {"/js/main.js", "/js/views/changes.js", "/js/views/status.js"} <= files.keys()
    assert 0 < weight < MAX_BYTES
    response = page.goto("/")
    assert response is not None
    # Without a policy, "no violations" would mean nothing.
    policy = response.header_value("content-security-policy") or ""
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_all_modules_are_asked_for_at_once(page: Page) -> None:
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(urlsplit(request.url).path))
    page.goto("/")
    expect(user_field(page)).to_be_focused()
    links = page.locator("link[rel=modulepreload]")
    early = set(links.evaluate_all("links => links.map(link => new URL(link.href).pathname)"))
    # One that is missing there would be found late, behind the one that imports it.
    assert {path for path in asked if path.endswith(".js")} == early | {"/js/main.js"}


def test_without_javascript_it_says_so(browser: Browser, base_url: str) -> None:
    context = browser.new_context(base_url=base_url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_role("heading", name="JavaScript is off")).to_be_visible()
    expect(page.get_by_text("Loading…")).to_be_hidden()
    context.close()
