"""Changing one's password: what makes a good one, what is refused, what ends."""

import json

import pytest
from page_accounts import Api, enter
from page_look import assert_accessible, look_everywhere, places
from page_steps import Account, Snap, Watch, answer, outcome, profile_status, submit_button
from playwright.sync_api import Locator, Page, expect

NEW = "quite another password"


def current(page: Page) -> Locator:
    return page.get_by_label("Current password", exact=True)


def fresh(page: Page) -> Locator:
    return page.get_by_label("New password", exact=True)


def again(page: Page) -> Locator:
    return page.get_by_label("New password once more", exact=True)


def fill_in(page: Page, old: str, new: str, repeated: str | None = None) -> None:
    current(page).fill(old)
    fresh(page).fill(new)
    again(page).fill(new if repeated is None else repeated)


@pytest.fixture
def user(api: Api) -> Account:
    return api.make()


def test_a_new_password_ends_the_other_sessions(page: Page, api: Api, user: Account) -> None:
    others = [api.log_in(user) for _ in range(2)]
    mine = api.log_in(user)
    enter(page, mine, "#/password")
    fill_in(page, user.password, NEW)
    submit_button(page).click()
    expect(page.locator("#toast")).to_have_text(
        "Your password is changed. Your 2 other sessions have ended."
    )
    expect(page).to_have_title("Profile · Helfy")
    expect(page.locator("dt", has_text="Password last changed").locator("+ dd")).to_contain_text(
        "just now"
    )
    assert [profile_status(page, token) for token in others] == [401, 401]
    assert profile_status(page, mine) == 200
    assert api.log_in(Account(user.username, user.email, NEW))


def test_rules_are_judged_while_it_is_typed(page: Page, api: Api, user: Account) -> None:
    enter(page, api.log_in(user), "#/password")
    rules = page.locator(".rules li")
    expect(rules).to_have_count(3)
    for typed, kept in {
        "": ["", "", ""],
        "seven77": ["broken", "kept", "kept"],
        "eight888": ["kept", "kept", "kept"],
        # Twenty-five characters of three bytes each.
        "€" * 25: ["kept", "broken", "kept"],
        "€" * 24: ["kept", "kept", "kept"],
        f" {user.username.upper()} ": ["kept", "kept", "broken"],
        user.email: ["kept", "kept", "broken"],
    }.items():
        fresh(page).fill(typed)
        expect(rules).to_have_class(kept)
    fresh(page).fill("seven77")
    expect(fresh(page)).to_have_accessible_description(
        "Not yet: At least 8 characters; a few words make a good one "
        "Yes: At most 72 bytes, which is 72 plain letters "
        "Yes: Not the username, nor the email address"
    )


def test_what_is_wrong_is_told_before_it_is_sent(
    page: Page, api: Api, user: Account, snap: Snap
) -> None:
    enter(page, api.log_in(user), "#/password")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    before = places(page, "#currentPassword", "#newPassword", "#again", "form [type=submit]")
    submit_button(page).click()
    expect(page.locator("#currentPassword-error")).to_have_text(
        "Enter the password that you have now."
    )
    expect(page.locator("#newPassword-error")).to_have_text("Enter a new password.")
    expect(page.locator("#again-error")).to_have_text("Enter the new password once more.")
    expect(current(page)).to_be_focused()
    assert_accessible(page)
    assert (
        places(page, "#currentPassword", "#newPassword", "#again", "form [type=submit]") == before
    )
    for new, said in {
        "seven77": "Use at least 8 characters; this has 7.",
        "€" * 25: "This is too long: 75 bytes, and 72 fit.",
        user.username: "Choose another one: the username or the email address",
        user.password: "This is the password that you have now.",
    }.items():
        fill_in(page, user.password, new)
        submit_button(page).click()
        expect(page.locator("#newPassword-error")).to_contain_text(said)
        expect(fresh(page)).to_be_focused()
    fill_in(page, user.password, NEW, f"{NEW}!")
    submit_button(page).click()
    expect(page.locator("#again-error")).to_have_text(
        "This is not the same as the new password above."
    )
    snap("password-refused-here")
    assert asked == []


def test_what_the_api_refuses_is_told_beside_the_field(
    page: Page, api: Api, user: Account, watch: Watch
) -> None:
    watch.expect("status of 400")
    token = api.log_in(user)
    enter(page, token, "#/password")
    fill_in(page, "not the password", NEW)
    submit_button(page).click()
    expect(page.locator("#currentPassword-error")).to_have_text(
        "Current password is not the current password."
    )
    expect(current(page)).to_be_focused()
    fill_in(page, user.password, "password123")
    submit_button(page).click()
    expect(page.locator("#newPassword-error")).to_have_text(
        "New password is too easy to guess; a few unrelated words make a good one."
    )
    expect(fresh(page)).to_be_focused()
    # The session outlived both.
    assert profile_status(page, token) == 200


def test_too_many_tries_count_down_and_keep_what_was_typed(
    page: Page, api: Api, user: Account, watch: Watch
) -> None:
    watch.expect("status of (429|503)")
    enter(page, api.log_in(user), "#/password")
    page.clock.install()
    body = json.dumps({"message": "later", "requestId": "0"})
    fill_in(page, user.password, NEW)
    answer(page, "/profile/password", status=503, body=body)
    submit_button(page).click()
    expect(outcome(page)).to_contain_text("not available right now (503)")
    answer(page, "/profile/password", status=429, headers={"Retry-After": "30"}, body=body)
    submit_button(page).click()
    expect(outcome(page)).to_contain_text("Try again in 30 seconds.")
    page.clock.run_for(12_000)
    expect(outcome(page)).to_contain_text("Try again in 18 seconds.")
    expect(fresh(page)).to_have_value(NEW)


def test_passwords_can_be_shown_and_caps_lock_is_told(page: Page, api: Api, user: Account) -> None:
    enter(page, api.log_in(user), "#/password")
    for name, field in {
        "current password": current(page),
        "new password": fresh(page),
        "new password once more": again(page),
    }.items():
        page.get_by_role("button", name=f"Show {name}", exact=True).click()
        expect(field).to_have_attribute("type", "text")
        page.get_by_role("button", name=f"Hide {name}", exact=True).click()
        expect(field).to_have_attribute("type", "password")
        # The driver's keyboard has no Caps Lock that stays on.
        field.dispatch_event("keydown", {"key": "A", "modifierCapsLock": True})
        expect(page.get_by_text("Caps Lock is on")).to_have_count(1)
        field.focus()
        field.blur()
        expect(page.get_by_text("Caps Lock is on")).to_have_count(0)
    for field, kind in ((current(page), "current-password"), (fresh(page), "new-password")):
        expect(field).to_have_attribute("autocomplete", kind)


def test_password_looks_right_everywhere(page: Page, api: Api, user: Account, snap: Snap) -> None:
    enter(page, api.log_in(user), "#/password")
    fresh(page).fill("seven77")
    look_everywhere(page, snap, "password")
