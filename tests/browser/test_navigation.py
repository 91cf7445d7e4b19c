"""Where one can go, who may, and how one comes back."""

import json
from urllib.parse import urlsplit

from page_accounts import Api, enter
from page_steps import (
    Account,
    Snap,
    Watch,
    expect_login,
    expect_profile,
    fill,
    hold,
    log_out_button,
    submit_button,
)
from playwright.sync_api import BrowserContext, Locator, Page, expect

USER_PAGES = ("Profile", "Sessions", "Password")
ADMIN_PAGES = ("Users", "Changes", "Status")
TITLES = {
    "#/profile": "Profile",
    "#/sessions": "Sessions",
    "#/password": "Password",
    "#/users": "Users",
    "#/users/new": "New user",
    "#/changes": "Changes",
    "#/status": "Status",
    "#/nowhere": "There is no such page",
    "#/users/0": "There is no such page",
}


def pages(page: Page) -> Locator:
    return page.get_by_role("navigation", name="Pages", exact=True)


def heading(page: Page) -> Locator:
    return page.get_by_role("heading", level=1)


def test_admins_have_more_pages_than_users(page: Page, api: Api) -> None:
    user = api.make()
    enter(page, api.log_in(user))
    expect(pages(page).get_by_role("link")).to_have_text(USER_PAGES)
    enter(page, api.token)
    expect(pages(page).get_by_role("link")).to_have_text(USER_PAGES + ADMIN_PAGES)


def test_each_page_has_its_title_and_is_marked(page: Page, api: Api) -> None:
    enter(page, api.token)
    for address, title in TITLES.items():
        page.goto(f"/{address}")
        expect(page).to_have_title(f"{title} · Helfy")
        expect(heading(page)).to_be_visible()
        marked = pages(page).locator("[aria-current=page]")
        if title == "There is no such page":
            expect(marked).to_have_count(0)
        else:
            expect(marked).to_have_count(1)
            assert address.startswith(marked.get_attribute("href") or "?")


def test_back_and_forward_show_what_was_there(page: Page, api: Api) -> None:
    enter(page, api.token)
    pages(page).get_by_role("link", name="Sessions").click()
    expect(page).to_have_title("Sessions · Helfy")
    expect(heading(page)).to_be_focused()
    pages(page).get_by_role("link", name="Password").click()
    expect(page).to_have_title("Password · Helfy")
    page.go_back()
    expect(page).to_have_title("Sessions · Helfy")
    page.go_back()
    expect(page).to_have_title("Profile · Helfy")
    page.go_forward()
    expect(page).to_have_title("Sessions · Helfy")
    expect(heading(page)).to_have_text("Where you are logged in")


def test_back_leads_to_where_one_was_reading(page: Page, api: Api) -> None:
    page.set_viewport_size({"width": 320, "height": 480})
    enter(page, api.token)
    page.evaluate("scrollTo(0, 300)")
    for _ in range(50):
        if page.evaluate("history.state?.y") == 300:
            break
        page.wait_for_timeout(100)
    page.evaluate("location.hash = '#/sessions'")
    expect(page).to_have_title("Sessions · Helfy")
    assert page.evaluate("scrollY") == 0
    page.go_back()
    expect(page).to_have_title("Profile · Helfy")
    assert page.evaluate("scrollY") == 300


def test_a_user_is_told_that_a_page_is_for_admins(page: Page, api: Api, snap: Snap) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    enter(page, api.log_in(api.make()), "#/users")
    expect(heading(page)).to_have_text("This page is for admins")
    snap("not-for-users")
    assert [url for url in asked if urlsplit(url).path.startswith("/users")] == []
    page.get_by_role("link", name="Go to your profile").click()
    expect(page).to_have_title("Profile · Helfy")


def test_who_is_no_admin_any_more_is_told_at_once(page: Page, api: Api, watch: Watch) -> None:
    watch.expect("status of 403")
    admin = api.make(role="admin")
    enter(page, api.log_in(admin), "#/users")
    api.ask("PATCH", f"/users/{admin.id}", {"role": "user"})
    page.get_by_label("Username or email has").fill("x")
    expect(heading(page)).to_have_text("This page is for admins")
    expect(pages(page).get_by_role("link")).to_have_text(USER_PAGES)


def test_an_ended_session_leads_back_with_the_filters(page: Page, api: Api, watch: Watch) -> None:
    watch.expect("status of 401")
    admin = api.make(role="admin")
    token = api.log_in(admin)
    enter(page, token, "#/users?role=admin")
    page.get_by_label("Username or email has").fill(admin.username)
    expect(page.get_by_role("row")).to_have_count(2)
    here = page.url
    assert f"search={admin.username}" in here
    api.ask("POST", "/logout", token=token)
    page.get_by_label("Role").select_option("Any role")
    expect_login(page, admin)
    expect(page.locator("#notice")).to_contain_text("Your session has ended")
    fill(page, admin.username, admin.password)
    submit_button(page).click()
    expect(heading(page)).to_have_text("Users")
    expect(page.get_by_label("Username or email has")).to_have_value(admin.username)
    expect(page.get_by_role("row")).to_have_count(2)
    assert page.url == here.replace("&role=admin", "").replace("role=admin&", "")


def test_who_must_change_the_password_is_led_to_it(page: Page, api: Api, snap: Snap) -> None:
    user = api.make(mustChangePassword=True)
    page.goto("/#/sessions")
    fill(page, user.username, user.password)
    submit_button(page).click()
    expect(heading(page)).to_have_text("Choose a new password")
    expect(page.get_by_text("Before anything else, choose a password of your own")).to_be_visible()
    expect(page.get_by_label("Current password", exact=True)).to_be_focused()
    expect(pages(page).get_by_role("link")).to_have_text(["Password"])
    snap("password-forced")
    page.goto("/#/profile")
    expect(heading(page)).to_have_text("Choose a new password")
    page.goto("/#/sessions")
    expect(heading(page)).to_have_text("Choose a new password")
    page.get_by_label("Current password", exact=True).fill(user.password)
    page.get_by_label("New password", exact=True).fill("quite another password")
    page.get_by_label("New password once more", exact=True).fill("quite another password")
    submit_button(page).click()
    # Where one was going.
    expect(heading(page)).to_have_text("Where you are logged in")
    expect(pages(page).get_by_role("link")).to_have_text(USER_PAGES)


def test_who_is_made_to_change_it_meanwhile_is_led_to_it(
    page: Page, api: Api, watch: Watch
) -> None:
    watch.expect("status of 403")
    user = api.make()
    enter(page, api.log_in(user))
    api.ask("PATCH", f"/users/{user.id}", {"mustChangePassword": True})
    pages(page).get_by_role("link", name="Sessions").click()
    expect(heading(page)).to_have_text("Choose a new password")


def test_a_view_that_cannot_be_loaded_can_be_tried_again(
    page: Page, api: Api, context: BrowserContext, watch: Watch, snap: Snap
) -> None:
    watch.expect("ERR_INTERNET_DISCONNECTED")
    enter(page, api.token)
    context.set_offline(True)
    pages(page).get_by_role("link", name="Users").click()
    expect(heading(page)).to_have_text("The users could not be loaded")
    expect(page.get_by_role("alert")).to_contain_text("You are offline.")
    snap("users-offline")
    context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(heading(page)).to_have_text("Users")


def test_a_view_whose_code_cannot_be_loaded_can_be_tried_again(
    page: Page, api: Api, context: BrowserContext, watch: Watch
) -> None:
    watch.expect("ERR_INTERNET_DISCONNECTED|ERR_FAILED")
    enter(page, api.token)
    context.set_offline(True)
    pages(page).get_by_role("link", name="Changes").click()
    expect(heading(page)).to_have_text("The changes could not be loaded")
    expect(page.get_by_role("alert")).to_contain_text("You are offline.")
    context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page).to_have_title("Changes · Helfy")


def test_a_view_that_takes_long_keeps_the_one_before(page: Page, api: Api) -> None:
    enter(page, api.token)
    held = hold(page, "/users?*")
    pages(page).get_by_role("link", name="Users").click()
    expect(page.locator("main")).to_have_attribute("aria-busy", "true")
    expect(page).to_have_title("Profile · Helfy")
    held[0].continue_()
    expect(page).to_have_title("Users · Helfy")
    expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")


def test_only_the_last_of_quick_clicks_counts(page: Page, api: Api) -> None:
    enter(page, api.token)
    held = hold(page, "/users?*")
    pages(page).get_by_role("link", name="Users").click()
    expect(page.locator("main")).to_have_attribute("aria-busy", "true")
    pages(page).get_by_role("link", name="Password").click()
    expect(page).to_have_title("Password · Helfy")
    answer = json.dumps({"items": [], "next": None})
    held[0].fulfill(content_type="application/json", body=answer)
    expect(page).to_have_title("Password · Helfy")


def test_keyboard_is_enough_to_go_about(page: Page, api: Api, account: Account) -> None:
    enter(page, api.token)
    expect_profile(page, account)
    page.keyboard.press("Tab")
    skip = page.get_by_role("button", name="Skip to the content")
    expect(skip).to_be_focused()
    page.keyboard.press("Enter")
    expect(heading(page)).to_be_focused()
    skip.focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Helfy, start page")).to_be_focused()
    page.keyboard.press("Tab")
    expect(pages(page).get_by_role("link", name="Profile")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text("Where you are logged in")
    expect(heading(page)).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(log_out_button(page)).to_be_focused()
