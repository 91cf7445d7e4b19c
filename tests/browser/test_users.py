"""What an admin does with accounts: finds, makes, changes, locks out, deletes them."""

import re

import pytest
from page_accounts import PASSWORD, Api, enter
from page_look import assert_accessible, look_everywhere
from page_steps import Account, Snap, Watch, outcome, profile_status, submit_button
from playwright.sync_api import Locator, Page, expect

HOSTILE = "<img/src=x/onerror=alert(1)>@example.com"


def rows(page: Page) -> Locator:
    """The accounts that are listed, without the table's head."""
    return page.locator("tbody").get_by_role("row")


def search(page: Page) -> Locator:
    return page.get_by_label("Username or email has")


def toast(page: Page) -> Locator:
    return page.locator("#toast")


def heading(page: Page) -> Locator:
    return page.get_by_role("heading", level=1)


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def open_account(page: Page, api: Api, account: Account) -> None:
    enter(page, api.token, f"#/users/{account.id}")
    expect(heading(page)).to_have_text(account.username)


@pytest.fixture
def user(api: Api) -> Account:
    return api.make()


def test_accounts_can_be_searched_and_filtered(page: Page, api: Api, user: Account) -> None:
    admin = api.make(role="admin")
    off = api.make()
    api.ask("PATCH", f"/users/{off.id}", {"status": "disabled"})
    enter(page, api.token, "#/users")
    search(page).fill(user.username[5:].upper())
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_role("status").filter(has_text="1 user")).to_be_visible()
    expect(rows(page)).to_contain_text(user.email)
    search(page).fill("page-")
    page.get_by_label("Role").select_option("Admins")
    expect(rows(page).filter(has_text=admin.username)).to_have_count(1)
    expect(rows(page).filter(has_text=user.username)).to_have_count(0)
    page.get_by_label("Role").select_option("Any role")
    page.get_by_label("Status").select_option("Disabled")
    expect(rows(page).filter(has_text=off.username)).to_contain_text("Disabled")
    expect(rows(page).filter(has_text=admin.username)).to_have_count(0)
    # The address has it all, so a reload and a copied link do.
    page.reload()
    expect(search(page)).to_have_value("page-")
    expect(page.get_by_label("Status")).to_have_value("disabled")
    expect(rows(page).filter(has_text=off.username)).to_have_count(1)
    rows(page).get_by_role("link", name=off.username).click()
    expect(heading(page)).to_have_text(off.username)
    page.get_by_role("link", name="All users").click()
    expect(search(page)).to_have_value("page-")


def test_no_account_is_a_state_of_its_own(page: Page, api: Api, snap: Snap) -> None:
    enter(page, api.token, "#/users")
    search(page).fill("nobody has such a name")
    expect(page.get_by_text("No user is like that.")).to_be_visible()
    assert_accessible(page)
    snap("users-none")
    button(page, "Show all users").click()
    expect(rows(page).first).to_be_visible()
    expect(search(page)).to_have_value("")
    expect(search(page)).to_be_focused()


def test_many_accounts_come_in_pages(page: Page, api: Api, snap: Snap) -> None:
    for _ in range(26):
        api.make(password=PASSWORD)
    enter(page, api.token, "#/users?search=page-")
    expect(rows(page)).to_have_count(25)
    seen = rows(page).first.inner_text()
    expect(page.get_by_text("25 users on page 1")).to_be_visible()
    page.get_by_role("link", name="Next page").click()
    expect(page.get_by_text("on page 2")).to_be_visible()
    expect(search(page)).to_have_value("page-")
    expect(rows(page).filter(has_text=seen.split("\n", maxsplit=1)[0])).to_have_count(0)
    snap("users-page-2")
    page.get_by_role("link", name="Previous page").click()
    expect(page.get_by_text("on page 1")).to_be_visible()
    expect(rows(page).first).to_have_text(re.compile(seen.split("\n", maxsplit=1)[0]))
    page.go_back()
    expect(page.get_by_text("on page 2")).to_be_visible()


def test_an_account_can_be_made(page: Page, api: Api, user: Account, snap: Snap) -> None:
    name = f"{user.username}-new"
    enter(page, api.token, "#/users")
    page.get_by_role("link", name="New user").click()
    expect(heading(page)).to_have_text("New user")
    page.get_by_label("Username").fill(f" {name.upper()} ")
    page.get_by_label("Email").fill(f"{name}@example.com")
    page.get_by_label("Role").select_option("Admin")
    button(page, "Make one up").click()
    made_up = page.get_by_label("First password", exact=True)
    expect(made_up).to_have_attribute("type", "text")
    password = made_up.input_value()
    assert re.fullmatch(r"(?:[a-z2-9]{5}-){3}[a-z2-9]{5}", password)
    expect(page.locator(".rules .kept")).to_have_count(3)
    look_everywhere(page, snap, "user-new")
    submit_button(page).click()
    expect(heading(page)).to_have_text(name)
    expect(toast(page)).to_have_text(f"{name} is created.")
    expect(page.locator(".marks")).to_have_text("AdminActiveMust change password")
    made = Account(name, f"{name}@example.com", password, int(page.url.rsplit("/", 1)[1]))
    api.made.append(made.id)
    assert api.log_in(made)


def test_what_is_wrong_with_a_new_account_is_told(
    page: Page, api: Api, user: Account, watch: Watch, snap: Snap
) -> None:
    watch.expect("status of 4(00|09)")
    enter(page, api.token, "#/users/new")
    submit_button(page).click()
    expect(page.locator("#username-error")).to_have_text("Enter a username.")
    expect(page.locator("#email-error")).to_have_text("Enter an email address.")
    expect(page.locator("#password-error")).to_have_text("Enter a password, or have one made up.")
    expect(page.get_by_label("Username")).to_be_focused()
    page.get_by_label("Username").fill(user.email)
    submit_button(page).click()
    expect(page.locator("#username-error")).to_contain_text("A username has no @")
    # From here on the API says so.
    page.get_by_label("Username").fill("two words")
    page.get_by_label("Email").fill("no address")
    page.get_by_label("First password", exact=True).fill("password123")
    submit_button(page).click()
    expect(page.locator("#username-error")).to_have_text(
        "Username must be letters and digits, with '.', '_' or '-' between them."
    )
    expect(page.locator("#email-error")).to_have_text("Email must be an email address.")
    page.get_by_label("Username").fill(user.username)
    page.get_by_label("Email").fill(user.email)
    submit_button(page).click()
    expect(page.locator("#password-error")).to_have_text(
        "First password is too easy to guess; a few unrelated words make a good one."
    )
    page.get_by_label("First password", exact=True).fill(PASSWORD)
    submit_button(page).click()
    expect(page.locator("#username-error")).to_have_text(
        "Username belongs to another account already."
    )
    expect(page.locator("#email-error")).to_have_text("Email belongs to another account already.")
    expect(outcome(page)).to_have_text("Look at what is marked above.")
    expect(page.get_by_label("Username")).to_be_focused()
    assert_accessible(page)
    snap("user-new-conflict")


def test_names_and_role_can_be_changed(
    page: Page, api: Api, user: Account, watch: Watch, snap: Snap
) -> None:
    watch.expect("status of 409")
    other = api.make()
    open_account(page, api, user)
    submit_button(page).click()
    expect(outcome(page)).to_have_text("Nothing was changed.")
    page.get_by_label("Username").fill(other.username)
    submit_button(page).click()
    expect(page.locator("#username-error")).to_have_text(
        "Username belongs to another account already."
    )
    snap("user-conflict")
    page.get_by_label("Username").fill(f"{user.username}-X")
    page.get_by_label("Role", exact=True).select_option("Admin")
    submit_button(page).click()
    expect(outcome(page)).to_have_text("Saved.")
    expect(heading(page)).to_have_text(f"{user.username}-x")
    expect(page.get_by_label("Username")).to_have_value(f"{user.username}-x")
    expect(page.locator(".marks")).to_have_text("AdminActive")
    changed = api.ask("GET", f"/users/{user.id}")
    assert (changed["username"], changed["email"]) == (f"{user.username}-x", user.email)
    assert changed["role"] == "admin"


def test_disabling_ends_the_sessions(page: Page, api: Api, user: Account, snap: Snap) -> None:
    token = api.log_in(user)
    open_account(page, api, user)
    expect(page.locator(".session")).to_have_count(1)
    page.get_by_label("Email").fill("not-saved@example.com")
    button(page, "Disable…").click()
    dialog = page.get_by_role("dialog", name=f"Disable {user.username}?")
    snap("user-disable")
    dialog.get_by_role("button", name="Disable").click()
    expect(toast(page)).to_contain_text(f"{user.username} is disabled")
    expect(page.locator(".marks")).to_have_text("UserDisabled")
    expect(page.get_by_text("Not logged in anywhere.")).to_be_visible()
    # What was typed and not saved is still there.
    expect(page.get_by_label("Email")).to_have_value("not-saved@example.com")
    assert profile_status(page, token) == 401
    button(page, "Enable").click()
    expect(toast(page)).to_have_text(f"{user.username} can log in again.")
    expect(page.locator(".marks")).to_have_text("UserActive")
    assert api.log_in(user)


def test_a_new_password_can_be_asked_for(page: Page, api: Api, user: Account) -> None:
    token = api.log_in(user)
    open_account(page, api, user)
    button(page, "Ask for a new one").click()
    expect(page.locator(".marks")).to_contain_text("Must change password")
    assert api.ask("GET", "/profile", token=token)["mustChangePassword"] is True
    button(page, "Let it stay").click()
    expect(page.locator(".marks")).not_to_contain_text("Must change password")
    assert api.ask("GET", "/profile", token=token)["mustChangePassword"] is False


def test_another_password_can_be_set(page: Page, api: Api, user: Account, snap: Snap) -> None:
    token = api.log_in(user)
    open_account(page, api, user)
    button(page, "Set a password…").click()
    dialog = page.get_by_role("dialog", name=f"Another password for {user.username}")
    field = dialog.get_by_label("New password", exact=True)
    expect(field).to_be_focused()
    dialog.get_by_role("button", name="Set password").click()
    expect(dialog.locator(".field-error").first).to_have_text(
        "Enter a password, or have one made up."
    )
    field.fill(user.username)
    dialog.get_by_role("button", name="Set password").click()
    expect(dialog.locator(".field-error").first).to_contain_text("Choose another one")
    assert_accessible(page)
    snap("user-set-password")
    dialog.get_by_role("button", name="Make one up").click()
    password = field.input_value()
    dialog.get_by_role("button", name="Set password").click()
    expect(dialog).to_have_count(0)
    expect(toast(page)).to_have_text(
        f"{user.username} has another password. One session has ended."
    )
    expect(page.locator(".marks")).to_contain_text("Must change password")
    expect(page.locator(".session")).to_have_count(0)
    assert profile_status(page, token) == 401
    assert api.log_in(Account(user.username, user.email, password))


def test_sessions_of_somebody_can_be_ended(page: Page, api: Api, user: Account) -> None:
    tokens = [api.log_in(user, f"robot {number}") for number in range(3)]
    open_account(page, api, user)
    expect(page.locator(".session")).to_have_count(3)
    page.get_by_role("button", name=re.compile("^End the session of robot 0")).click()
    expect(page.locator(".session")).to_have_count(2)
    assert [profile_status(page, token) for token in tokens] == [401, 200, 200]
    button(page, "End all sessions").click()
    dialog = page.get_by_role("dialog", name=f"End all sessions of {user.username}?")
    dialog.get_by_role("button", name="End all sessions").click()
    expect(toast(page)).to_have_text("2 sessions have ended.")
    expect(page.get_by_text("Not logged in anywhere.")).to_be_visible()
    assert [profile_status(page, token) for token in tokens] == [401, 401, 401]


def test_deleting_names_whom_and_can_be_left(
    page: Page, api: Api, user: Account, watch: Watch, snap: Snap
) -> None:
    watch.expect("status of 404")
    token = api.log_in(user)
    open_account(page, api, user)
    button(page, "Delete…").click()
    dialog = page.get_by_role("dialog", name=f"Delete {user.username}?")
    expect(dialog).to_contain_text(user.email)
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    look_everywhere(page, snap, "user-delete")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert api.user(user) is not None
    button(page, "Delete…").click()
    dialog.get_by_role("button", name=f"Delete {user.username}").click()
    expect(heading(page)).to_have_text("Users")
    expect(toast(page)).to_have_text(f"{user.username} is deleted.")
    assert api.user(user) is None
    assert profile_status(page, token) == 401
    page.go_back()
    expect(heading(page)).to_have_text("There is no such user")


def test_keyboard_is_enough_to_make_and_delete_an_account(
    page: Page, api: Api, user: Account
) -> None:
    name = f"{user.username}-keys"
    enter(page, api.token, "#/users")
    page.get_by_role("link", name="New user").press("Enter")
    expect(heading(page)).to_have_text("New user")
    expect(page.get_by_label("Username")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(f"{name}@example.com")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(button(page, "Make one up")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.get_by_label("First password", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text(name)
    expect(heading(page)).to_be_focused()
    api.made.append(int(page.url.rsplit("/", 1)[1]))
    button(page, "Delete…").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    # The focus stays in the dialog.
    page.keyboard.press("Shift+Tab")
    expect(dialog.get_by_role("button", name=f"Delete {name}")).to_be_focused()
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text("Users")
    expect(heading(page)).to_be_focused()


def test_what_users_wrote_is_text_everywhere(page: Page, api: Api, snap: Snap) -> None:
    user = api.make(email=f"{HOSTILE}-{id(page)}")
    email = f"{HOSTILE}-{id(page)}"
    enter(page, api.token, f"#/users?search={user.username}")
    expect(rows(page)).to_contain_text(email)
    snap("users-hostile")
    rows(page).get_by_role("link").click()
    expect(page.get_by_label("Email")).to_have_value(email)
    button(page, "Delete…").click()
    expect(page.get_by_role("dialog")).to_contain_text(email)
    expect(page.locator("img")).to_have_count(0)
    enter(page, api.log_in(user))
    expect(page.get_by_text(email)).to_be_visible()
    expect(page.locator("img")).to_have_count(0)


def test_users_look_right_everywhere(page: Page, api: Api, user: Account, snap: Snap) -> None:
    api.make(mustChangePassword=True)
    long = api.make(email=f"{'long-' * 30}@{'host.' * 10}example.com")
    api.ask("PATCH", f"/users/{user.id}", {"status": "disabled"})
    api.log_in(long)
    enter(page, api.token, "#/users")
    look_everywhere(page, snap, "users")
    page.goto(f"/#/users/{long.id}")
    expect(heading(page)).to_have_text(long.username)
    look_everywhere(page, snap, "user")
