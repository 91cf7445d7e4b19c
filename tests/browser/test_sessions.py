"""One's own sessions: seen, and ended."""

import pytest
from page_accounts import Api, enter
from page_look import assert_accessible, look_everywhere
from page_steps import Snap, Watch, answer, profile_status
from playwright.sync_api import Locator, Page, expect

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)
HOSTILE = "<img src=x onerror=alert(1)>"


def rows(page: Page) -> Locator:
    return page.locator(".session")


def toast(page: Page) -> Locator:
    return page.locator("#toast")


def test_sessions_tell_where_and_when(page: Page, api: Api, snap: Snap) -> None:
    user = api.make()
    for agent in (SAFARI, HOSTILE):
        api.log_in(user, agent)
    enter(page, api.log_in(user, FIREFOX), "#/sessions")
    expect(rows(page)).to_have_count(3)
    current = rows(page).filter(has_text="This one")
    expect(current).to_have_count(1)
    expect(current).to_contain_text("Firefox 140 on Linux")
    expect(current.get_by_role("button")).to_have_count(0)
    expect(rows(page).filter(has_text="Safari 18 on iPhone")).to_have_count(1)
    # What a program calls itself is text.
    expect(rows(page).filter(has_text=HOSTILE)).to_have_count(1)
    expect(page.locator("main img")).to_have_count(0)
    for text in ("Last used", "Started", "Ends if not used", "from"):
        expect(current).to_contain_text(text)
    look_everywhere(page, snap, "sessions")


def test_one_can_be_ended(page: Page, api: Api) -> None:
    user = api.make()
    other = api.log_in(user, SAFARI)
    enter(page, api.log_in(user, FIREFOX), "#/sessions")
    page.get_by_role("button", name="End the session of Safari 18 on iPhone").click()
    expect(rows(page)).to_have_count(1)
    expect(toast(page)).to_contain_text("The session of Safari 18 on iPhone")
    assert profile_status(page, other) == 401
    # Nothing is left to end, which is said where it was.
    expect(page.get_by_role("button", name="End all others")).to_be_disabled()


def test_one_that_ended_meanwhile_goes_too(page: Page, api: Api, watch: Watch) -> None:
    watch.expect("status of 404")
    user = api.make()
    other = api.log_in(user, SAFARI)
    enter(page, api.log_in(user, FIREFOX), "#/sessions")
    api.ask("POST", "/logout", token=other)
    page.get_by_role("button", name="End the session of Safari 18 on iPhone").click()
    expect(toast(page)).to_contain_text("had ended already")
    expect(rows(page)).to_have_count(1)


def test_all_others_can_be_ended(page: Page, api: Api, snap: Snap) -> None:
    user = api.make()
    others = [api.log_in(user, SAFARI) for _ in range(2)]
    mine = api.log_in(user, FIREFOX)
    enter(page, mine, "#/sessions")
    button = page.get_by_role("button", name="End all others")
    button.click()
    dialog = page.get_by_role("dialog", name="End all other sessions?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    assert_accessible(page)
    snap("sessions-end-others")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    # The browser gives the focus back.
    expect(button).to_be_focused()
    assert [profile_status(page, token) for token in others] == [200, 200]
    button.click()
    dialog.get_by_role("button", name="End all others").click()
    expect(toast(page)).to_have_text("2 other sessions have ended.")
    expect(rows(page)).to_have_count(1)
    assert [profile_status(page, token) for token in others] == [401, 401]
    assert profile_status(page, mine) == 200


def test_many_come_in_pages(page: Page, api: Api) -> None:
    user = api.make()
    for number in range(21):
        api.log_in(user, f"robot {number}")
    enter(page, api.log_in(user, FIREFOX), "#/sessions")
    expect(rows(page)).to_have_count(20)
    more = page.get_by_role("button", name="Show more")
    more.click()
    expect(rows(page)).to_have_count(22)
    expect(more).to_be_hidden()
    # The newest first; the one that came is where one goes on.
    expect(rows(page).nth(20)).to_contain_text("robot 1")
    expect(rows(page).nth(20)).to_be_focused()


@pytest.mark.parametrize("name", ["End all others", "End the session of Safari 18 on iPhone"])
def test_a_refusal_is_told(page: Page, api: Api, watch: Watch, name: str) -> None:
    watch.expect("status of 503")
    user = api.make()
    api.log_in(user, SAFARI)
    enter(page, api.log_in(user, FIREFOX), "#/sessions")
    answer(page, "/sessions/*", status=503, headers={"Retry-After": "5"}, body="{}")
    answer(page, "/sessions", status=503, headers={"Retry-After": "5"}, body="{}")
    page.get_by_role("button", name=name).first.click()
    where = toast(page)
    if name == "End all others":
        where = page.get_by_role("dialog")
        where.get_by_role("button", name=name).click()
    expect(where).to_contain_text("not available right now (503). Try again in 5 seconds.")
    expect(rows(page)).to_have_count(2)
