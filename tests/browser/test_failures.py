"""What the page says where the service cannot answer.

A healthy deployment cannot be made to answer like this: here alone the answers are made up.
"""

import json
import re

from page_steps import (
    Account,
    Snap,
    Watch,
    answer,
    expect_login,
    expect_profile,
    fill,
    hold,
    log_in,
    log_out_button,
    outcome,
    password_field,
    submit_button,
    user_field,
)
from playwright.sync_api import BrowserContext, Page, expect

HTML = "<html><head><title>Bad Gateway</title></head><body><h1>nginx</h1></body></html>"
REQUEST_ID = "5f0c1f6c2f0b4d5e"


def try_to_log_in(page: Page) -> None:
    page.goto("/")
    fill(page, "somebody", "whatever")
    submit_button(page).click()


def test_failure_is_told_in_plain_words(page: Page, watch: Watch, snap: Snap) -> None:
    said = {
        404: "does not understand (404)",
        413: "too long",
        429: "Wait a moment",
        500: "Something went wrong on the server",
        502: "does not answer right now (502)",
        503: "not available right now (503)",
        504: "does not answer right now (504)",
    }
    watch.expect("status of (4|5)..")
    page.goto("/")
    fill(page, "somebody", "whatever")
    for status, text in said.items():
        answer(page, "/login", status=status, content_type="text/html", body=HTML)
        submit_button(page).click()
        expect(outcome(page)).to_contain_text(text)
        expect(outcome(page)).not_to_contain_text("nginx")
        expect(outcome(page)).to_have_attribute("aria-live", "assertive")
        expect(submit_button(page)).to_have_attribute("aria-disabled", "false")
        expect(submit_button(page)).to_be_focused()
        expect(password_field(page)).to_have_value("whatever")
        snap(f"login-{status}")


def test_request_id_is_shown_where_quoting_it_helps(page: Page, watch: Watch, snap: Snap) -> None:
    watch.expect("status of (401|500|503)")
    refusal = json.dumps({"message": "no", "requestId": REQUEST_ID})
    page.goto("/")
    fill(page, "somebody", "whatever")
    for status, times in ((500, 1), (503, 1), (401, 0)):
        answer(page, "/login", status=status, body=refusal)
        submit_button(page).click()
        expect(outcome(page)).to_have_class(re.compile("danger|caution"))
        expect(outcome(page).get_by_text(REQUEST_ID)).to_have_count(times)
        snap(f"login-{status}-from-the-api")


def test_success_that_is_none_is_told(page: Page) -> None:
    page.goto("/")
    fill(page, "somebody", "whatever")
    for body in ("<p>captive portal</p>", "[]", '{"message":"ok"}', ""):
        with page.expect_response("**/login"):
            answer(page, "/login", status=200, content_type="application/json", body=body)
            submit_button(page).click()
        expect(outcome(page)).to_contain_text("does not understand (200)")


def test_throttle_counts_the_seconds_down(page: Page, watch: Watch, snap: Snap) -> None:
    watch.expect("status of 429")
    page.clock.install()
    answer(page, "/login", status=429, headers={"Retry-After": "30"}, body="{}")
    try_to_log_in(page)
    expect(outcome(page)).to_contain_text("Try again in 30 seconds.")
    snap("login-429-countdown")
    page.clock.run_for(12_000)
    expect(outcome(page)).to_contain_text("Try again in 18 seconds.")
    # Ticking is not read out; that it is over is.
    expect(outcome(page)).to_have_attribute("aria-live", "off")
    page.clock.run_for(20_000)
    expect(outcome(page)).to_contain_text("You can try again now.")
    expect(outcome(page)).to_have_attribute("aria-live", "assertive")


def test_fields_that_the_page_does_not_have_are_told(page: Page, watch: Watch) -> None:
    watch.expect("status of 400")
    refusal = {"message": "bad", "requestId": REQUEST_ID, "fields": {"otp": "is missing"}}
    answer(page, "/login", status=400, body=json.dumps(refusal))
    try_to_log_in(page)
    expect(outcome(page)).to_contain_text("Helfy does not accept this. otp is missing.")


def test_offline_is_told_and_the_next_try_works(
    page: Page, context: BrowserContext, account: Account, watch: Watch, snap: Snap
) -> None:
    watch.expect("ERR_INTERNET_DISCONNECTED")
    page.goto("/")
    fill(page, account.username, account.password)
    context.set_offline(True)
    submit_button(page).click()
    expect(outcome(page)).to_contain_text("You are offline.")
    snap("login-offline")
    context.set_offline(False)
    submit_button(page).click()
    expect_profile(page, account)


def test_server_out_of_reach_is_told(page: Page, watch: Watch, snap: Snap) -> None:
    watch.expect("ERR_CONNECTION_REFUSED")
    page.route("**/login", lambda route: route.abort("connectionrefused"))
    try_to_log_in(page)
    expect(outcome(page)).to_contain_text("Helfy cannot be reached.")
    snap("login-unreachable")


def test_no_answer_in_time_is_told(page: Page, snap: Snap) -> None:
    page.clock.install()
    held = hold(page, "/login")
    try_to_log_in(page)
    expect(submit_button(page)).to_have_text("Logging in…")
    snap("login-busy")
    page.clock.run_for(10_500)
    expect(outcome(page)).to_contain_text("did not answer within 10 seconds")
    expect(submit_button(page)).to_have_text("Log in")
    assert len(held) == 1


def test_profile_can_be_tried_again(page: Page, account: Account, watch: Watch, snap: Snap) -> None:
    watch.expect("status of 503")
    log_in(page, account)
    refusal = {"message": "no database", "requestId": REQUEST_ID}
    answer(page, "/profile", status=503, body=json.dumps(refusal))
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("not available right now (503)")
    expect(page.get_by_role("alert")).to_contain_text(REQUEST_ID)
    snap("profile-503")
    page.unroute("**/profile")
    page.get_by_role("button", name="Try again").click()
    # The session outlived the failure.
    expect_profile(page, account)


def test_log_out_that_the_server_does_not_hear_is_told(
    page: Page, account: Account, watch: Watch, snap: Snap
) -> None:
    watch.expect("status of 502")
    log_in(page, account)
    answer(page, "/logout", status=502, content_type="text/html", body=HTML)
    log_out_button(page).click()
    expect_login(page, account)
    expect(page.locator("#notice")).to_contain_text("The server could not be reached")
    assert page.evaluate("sessionStorage.getItem('helfy.session')") is None
    snap("login-logout-unheard")


def test_what_users_wrote_is_text(page: Page, account: Account) -> None:
    log_in(page, account)
    hostile = "<img src=x onerror=alert(1)>"
    body = {"id": 1, "username": hostile, "email": f"{hostile}@example.com", "role": hostile}
    answer(page, "/profile", status=200, body=json.dumps(body))
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text(hostile)
    expect(page.locator("main img")).to_have_count(0)


def test_form_stays_in_place_whatever_is_said(page: Page, watch: Watch) -> None:
    watch.expect("status of (401|503)")
    page.set_viewport_size({"width": 320, "height": 700})
    page.goto("/")

    def places() -> list[dict[str, float] | None]:
        shown = (user_field(page), password_field(page), submit_button(page))
        boxes = [locator.evaluate("e => e.getBoundingClientRect().toJSON()") for locator in shown]
        scrolled = page.evaluate("scrollY")
        return [{"x": box["x"], "y": box["y"] + scrolled, "w": box["width"]} for box in boxes]

    before = places()
    submit_button(page).click()
    expect(user_field(page)).to_have_attribute("aria-invalid", "true")
    assert places() == before
    for status in (401, 503):
        answer(page, "/login", status=status, body="{}")
        fill(page, "somebody", "whatever")
        submit_button(page).click()
        expect(outcome(page)).to_have_class(
            "note slot danger" if status == 401 else "note slot caution"
        )
        assert places() == before
