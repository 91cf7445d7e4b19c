"""What the pages of accounts say where something cannot be done."""

import json

from page_accounts import Api, enter
from page_look import assert_accessible
from page_steps import Account, Snap, Watch, answer, expect_login, expect_profile, submit_button
from playwright.sync_api import Page, expect

LAST = "This is the last active admin who has logged in. Have another admin log in first"
REQUEST_ID = "5f0c1f6c2f0b4d5e"


def lab_admin(api: Api, account: Account) -> int:
    """The id of the lab's admin, who has to be the only one, or a test would take it away."""
    admins = api.ask("GET", "/users?role=admin&status=active")["items"]
    assert [admin["username"] for admin in admins] == [account.username], "other admins are there"
    return int(admins[0]["id"])


def test_the_last_admin_stays_one(
    page: Page, api: Api, account: Account, watch: Watch, snap: Snap
) -> None:
    watch.expect("status of 409")
    enter(page, api.token, f"#/users/{lab_admin(api, account)}")
    expect(page.locator(".marks")).to_contain_text("You")
    page.get_by_label("Role", exact=True).select_option("User")
    submit_button(page).click()
    for button, title, yes in (
        (None, "Give up being an admin?", "Give it up"),
        ("Disable…", f"Disable {account.username}?", "Disable"),
        ("Delete…", f"Delete {account.username}?", f"Delete {account.username}"),
    ):
        if button:
            page.get_by_role("button", name=button).click()
        dialog = page.get_by_role("dialog", name=title)
        expect(dialog).to_contain_text("This is your own account")
        if button == "Delete…":
            dialog.get_by_label("Type").fill(account.username)
        dialog.get_by_role("button", name=yes).click()
        expect(dialog.get_by_role("alert")).to_contain_text(LAST)
        assert_accessible(page)
        snap(f"user-last-admin-{yes.split(' ')[0].lower()}")
        dialog.get_by_role("button", name="Cancel").click()
        expect(dialog).to_have_count(0)
    me = api.ask("GET", "/profile")
    assert (me["username"], me["role"]) == (account.username, "admin")


def test_the_last_admin_is_told_beside_the_field(
    page: Page, api: Api, watch: Watch, snap: Snap
) -> None:
    # Somebody who sees another one's account is an admin too, so here the answer is made up.
    watch.expect("status of 409")
    user = api.make()
    fields = {"role": "the last active admin who has logged in must stay"}
    refusal = {"message": fields["role"], "requestId": REQUEST_ID, "fields": fields}
    enter(page, api.token, f"#/users/{user.id}")
    page.get_by_label("Role", exact=True).select_option("Admin")
    answer(page, f"/users/{user.id}", status=409, body=json.dumps(refusal))
    submit_button(page).click()
    expect(page.locator("#role-error")).to_contain_text(LAST)
    expect(page.get_by_label("Role", exact=True)).to_be_focused()
    snap("user-last-admin-field")


def test_who_deletes_the_own_account_is_logged_out(page: Page, api: Api, watch: Watch) -> None:
    watch.expect("status of 401")
    admin = api.make(role="admin")
    enter(page, api.log_in(admin), f"#/users/{admin.id}")
    page.get_by_role("button", name="Delete…").click()
    dialog = page.get_by_role("dialog")
    proof = dialog.get_by_label(f"Type {admin.username} to confirm")
    expect(proof).to_be_focused()
    proof.fill("somebody else")
    dialog.get_by_role("button", name=f"Delete {admin.username}").click()
    expect(dialog.get_by_text(f"Type {admin.username}.", exact=True)).to_be_visible()
    expect(proof).to_be_focused()
    proof.fill(admin.username)
    proof.press("Enter")
    expect_login(page, admin)


def test_who_gives_up_being_an_admin_is_a_user_at_once(page: Page, api: Api) -> None:
    admin = api.make(role="admin")
    enter(page, api.log_in(admin), f"#/users/{admin.id}")
    page.get_by_label("Role", exact=True).select_option("User")
    submit_button(page).click()
    page.get_by_role("dialog").get_by_role("button", name="Give it up").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This page is for admins")
    expect(page.get_by_role("link", name="Users", exact=True)).to_have_count(0)


def test_an_account_that_is_gone_is_told(page: Page, api: Api, watch: Watch, snap: Snap) -> None:
    watch.expect("status of 404")
    user = api.make()
    enter(page, api.token, f"#/users/{user.id}")
    api.ask("DELETE", f"/users/{user.id}")
    page.get_by_role("button", name="Ask for a new one").click()
    expect(page.locator("#toast")).to_contain_text("This is not there any more.")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such user")
    assert_accessible(page)
    snap("user-gone")
    page.get_by_role("link", name="All users").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Users")


def test_a_search_that_fails_can_be_tried_again(
    page: Page, api: Api, account: Account, watch: Watch, snap: Snap
) -> None:
    watch.expect("status of 503")
    enter(page, api.token, "#/users")
    refusal = {"message": "the database is away, try again", "requestId": REQUEST_ID}
    answer(page, "/users?*", status=503, body=json.dumps(refusal))
    page.get_by_label("Username or email has").fill(account.username)
    expect(page.get_by_role("alert")).to_contain_text("not available right now (503)")
    expect(page.get_by_role("alert")).to_contain_text(REQUEST_ID)
    assert_accessible(page)
    snap("users-503")
    page.unroute("**/users?*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("tbody").get_by_role("row").filter(has_text=account.email)).to_have_count(1)


def test_what_fails_while_an_account_is_made_keeps_what_was_typed(
    page: Page, api: Api, watch: Watch, snap: Snap
) -> None:
    watch.expect("status of 503|ERR_CONNECTION_REFUSED")
    enter(page, api.token, "#/users/new")
    page.get_by_label("Username").fill("page-never")
    page.get_by_label("Email").fill("page-never@example.com")
    page.get_by_role("button", name="Make one up").click()
    answer(page, "/users", status=503, headers={"Retry-After": "1"}, body="{}")
    submit_button(page).click()
    slot = page.locator("form .slot")
    expect(slot).to_contain_text("not available right now (503). Try again in 1 second.")
    page.route("**/users", lambda route: route.abort("connectionrefused"))
    submit_button(page).click()
    expect(slot).to_contain_text("Helfy cannot be reached.")
    expect(page.get_by_label("Username")).to_have_value("page-never")
    snap("user-new-unreachable")


def test_the_lab_account_is_as_it_was(page: Page, account: Account) -> None:
    page.goto("/")
    page.get_by_label("Username or email").fill(account.username)
    page.get_by_label("Password", exact=True).fill(account.password)
    submit_button(page).click()
    expect_profile(page, account)
