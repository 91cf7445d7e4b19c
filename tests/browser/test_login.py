"""Logging in and out, as a user does it, on the real service."""

import re
import uuid

import requests
from page_accounts import Api, enter
from page_steps import (
    Account,
    Snap,
    Watch,
    expect_login,
    expect_profile,
    fill,
    hold,
    log_in,
    log_out_button,
    outcome,
    password_field,
    profile_status,
    submit_button,
    token,
    user_field,
)
from playwright.sync_api import BrowserContext, Page, expect


def test_username_leads_to_profile(page: Page, account: Account) -> None:
    page.goto("/")
    expect(page).to_have_title("Log in · Helfy")
    expect(user_field(page)).to_be_focused()
    fill(page, account.username, account.password)
    submit_button(page).click()
    expect_profile(page, account)
    expect(page).to_have_title("Profile · Helfy")
    assert profile_status(page, token(page)) == 200


def test_email_leads_to_profile(page: Page, account: Account) -> None:
    page.goto("/")
    # Copied addresses come with spaces.
    fill(page, f" {account.email} ", account.password)
    submit_button(page).click()
    expect_profile(page, account)


def test_wrong_password_and_unknown_user_are_told_the_same(
    page: Page, account: Account, watch: Watch, snap: Snap
) -> None:
    watch.expect("status of 401")
    page.goto("/")
    for user in (account.username, f"nobody-{uuid.uuid4().hex[:8]}"):
        fill(page, user, f"not-{uuid.uuid4()}")
        with page.expect_response("**/login") as answered:
            submit_button(page).click()
        assert answered.value.status == 401
        expect(outcome(page)).to_have_text(
            "That username or email and that password do not belong together."
        )
        expect(outcome(page)).to_have_attribute("aria-live", "assertive")
        expect(password_field(page)).to_be_focused()
        expect(user_field(page)).to_have_value(user)
    assert page.evaluate("sessionStorage.length") == 0
    snap("login-wrong-password")


def test_too_many_tries_are_told_with_the_time_to_wait(
    page: Page, base_url: str, watch: Watch
) -> None:
    watch.expect("status of (401|429)")
    body = {"usernameOrEmail": f"page-{uuid.uuid4().hex[:10]}", "password": "not a password"}
    for _ in range(10):
        assert requests.post(f"{base_url}/login", json=body, timeout=30).status_code == 401
    page.goto("/")
    fill(page, body["usernameOrEmail"], body["password"])
    submit_button(page).click()
    expect(outcome(page)).to_have_text(
        re.compile(r"^Too many attempts\. Try again in \d+ seconds?\.$")
    )
    first = outcome(page).inner_text()
    expect(outcome(page)).not_to_have_text(first)
    expect(outcome(page)).to_have_text(
        re.compile(r"^Too many attempts\. Try again in \d+ seconds?\.$")
    )


def test_empty_fields_are_named_without_asking_the_api(page: Page, snap: Snap) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/")
    page.wait_for_load_state("networkidle")
    asked.clear()
    submit_button(page).click()
    expect(user_field(page)).to_have_accessible_description("Enter your username or email.")
    expect(password_field(page)).to_have_accessible_description("Enter your password.")
    expect(user_field(page)).to_be_focused()
    snap("login-empty-fields")
    user_field(page).fill("a")
    expect(user_field(page)).not_to_have_attribute("aria-invalid", "true")
    submit_button(page).click()
    expect(password_field(page)).to_be_focused()
    assert asked == []


def test_refused_input_is_told_beside_its_field(page: Page, account: Account, watch: Watch) -> None:
    watch.expect("status of 400")
    page.goto("/")
    fill(page, account.username, "x" * 5000)
    submit_button(page).click()
    expect(password_field(page)).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#password-error")).to_have_text(re.compile("^Password must .*72"))
    expect(password_field(page)).to_be_focused()


def test_reload_keeps_the_session(page: Page, account: Account) -> None:
    log_in(page, account)
    before = token(page)
    page.reload()
    expect_profile(page, account)
    assert token(page) == before


def test_token_is_stored_in_tabs_alone(
    page: Page, account: Account, context: BrowserContext
) -> None:
    log_in(page, account)
    assert page.evaluate("localStorage.length") == 0
    assert page.evaluate("document.cookie") == ""
    assert context.cookies() == []
    page.close()
    other = context.new_page()
    other.goto("/")
    expect_login(other, account)


def test_new_tab_has_the_session_of_an_open_one(
    page: Page, account: Account, context: BrowserContext
) -> None:
    log_in(page, account)
    page.get_by_role("link", name="Users").click()
    link = page.get_by_role("link", name=account.username, exact=True)
    with context.expect_page() as opened:
        link.click(modifiers=["Control"])
    other = opened.value
    expect(other.get_by_role("heading", level=1)).to_have_text(account.username)
    assert token(other) == token(page)

    log_out_button(other).click()
    expect_login(page, account)
    expect(page.locator("#notice")).to_have_text("You logged out in another tab.")


def test_tab_that_logged_out_stays_logged_out(
    page: Page, account: Account, context: BrowserContext
) -> None:
    log_in(page, account)
    log_out_button(page).click()
    expect_login(page, account)
    other = context.new_page()
    log_in(other, account)
    page.reload()
    expect_login(page, account)
    expect(log_out_button(other)).to_be_visible()


def test_log_out_ends_the_session_on_the_server(page: Page, account: Account) -> None:
    log_in(page, account)
    before = token(page)
    assert profile_status(page, before) == 200
    log_out_button(page).click()
    expect_login(page, account)
    expect(page.locator("#notice")).to_have_text("You are logged out.")
    assert page.evaluate("sessionStorage.getItem('helfy.session')") is None
    assert profile_status(page, before) == 401


def test_back_does_not_show_the_profile(page: Page, account: Account) -> None:
    log_in(page, account)
    log_out_button(page).click()
    expect_login(page, account)
    page.go_back()
    expect_login(page, account)
    page.goto("about:blank")
    page.go_back()
    expect_login(page, account)


def test_revoked_session_leads_back_to_login(
    page: Page, account: Account, watch: Watch, snap: Snap
) -> None:
    watch.expect("status of 401")
    log_in(page, account)
    # Logged out elsewhere: the tab does not know yet.
    assert page.request.post("/logout", headers={"x-auth-token": token(page)}).ok
    page.reload()
    expect_login(page, account)
    expect(page.locator("#notice")).to_contain_text("Your session has ended")
    assert page.evaluate("sessionStorage.length") == 0
    snap("login-session-ended")
    fill(page, account.username, account.password)
    submit_button(page).click()
    expect_profile(page, account)


def test_garbage_token_leads_back_to_login(page: Page, account: Account, watch: Watch) -> None:
    watch.expect("status of 401")
    page.goto("/")
    page.evaluate("sessionStorage.setItem('helfy.session', JSON.stringify({token: 'garbage'}))")
    page.reload()
    expect_login(page, account)
    expect(page.locator("#notice")).to_contain_text("Your session has ended")
    # What is not even JSON is no session at all.
    page.evaluate("sessionStorage.setItem('helfy.session', '{')")
    page.reload()
    expect_login(page, account)
    expect(page.locator("#notice")).to_have_count(0)


def test_other_addresses_ask_for_a_login_first(page: Page, account: Account) -> None:
    page.goto("/#/nowhere")
    expect_login(page, account)
    page.goto("/#/profile")
    expect_login(page, account)
    fill(page, account.username, account.password)
    submit_button(page).click()
    expect_profile(page, account)
    assert page.url.endswith("/#/profile")


def test_two_clicks_are_one_login(page: Page, account: Account) -> None:
    held = hold(page, "/login")
    page.goto("/")
    fill(page, account.username, account.password)
    submit_button(page).click()
    expect(submit_button(page)).to_have_text("Logging in…")
    # Playwright would wait until the button is free; a user does not.
    submit_button(page).click(force=True)
    password_field(page).press("Enter")
    expect(submit_button(page)).to_have_attribute("aria-disabled", "true")
    assert len(held) == 1
    held[0].continue_()
    expect_profile(page, account)


def test_profile_tells_how_to_watch_the_record(page: Page, account: Account) -> None:
    log_in(page, account)
    record = page.get_by_role("region", name="The record of changes")
    expect(record.get_by_text("journalctl -u helfy-consumer -f", exact=True)).to_be_visible()
    expect(record.get_by_text("make changes", exact=True)).to_be_visible()


def test_profile_of_a_user_names_no_command(page: Page, api: Api) -> None:
    user = api.make()
    enter(page, api.log_in(user))
    expect(page.get_by_role("heading", level=1)).to_have_text(user.username)
    expect(page.get_by_text("journalctl")).to_have_count(0)
