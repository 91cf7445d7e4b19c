"""Gaps of the record: the banner of admins, and the lines that tell of them."""

import json
import uuid
from collections.abc import Iterator

import pytest
from machine import Machine
from page_accounts import Api, enter
from page_feed import COMES_MS, lines
from page_look import assert_accessible, assert_fits, show_as
from page_steps import Snap
from playwright.sync_api import Page, expect

DETAIL = "Change capture lost its position and read all rows anew at binlog.000009:4711."


@pytest.fixture
def gap(api_machine: Machine) -> Iterator[int]:
    """A gap that is open; at the end it is not."""
    words = (
        f"gaps add --cause snapshot --source-id page:{uuid.uuid4().hex} --detail '{DETAIL}'"
        " --from 2026-11-23T19:00:00Z --to 2026-11-23T19:05:00Z --json"
    )
    made = json.loads(api_machine.run(f"helfy {words}"))["id"]
    yield made
    api_machine.attempt(f"helfy gaps acknowledge {made}")


def test_gap_is_pointed_out_to_admins_until_acknowledged(
    page: Page, api: Api, snap: Snap, gap: int
) -> None:
    assert gap
    user = api.make()
    enter(page, api.token, "#/changes")
    banner = page.get_by_role("region", name="Gaps of the record")
    expect(banner).to_contain_text("The record may be incomplete from 23 Nov 2026, ")
    expect(banner).to_contain_text("change capture took a new snapshot")
    expect(banner).to_contain_text(DETAIL)
    line = lines(page).filter(has_text="The record may be incomplete from").first
    expect(line).to_contain_text(DETAIL, timeout=COMES_MS)
    for scheme in ("light", "dark"):
        for width in (390, 820, 1440):
            show_as(page, width, scheme)
            assert_fits(page)
            assert_accessible(page)
            snap(f"gaps-{width}-{scheme}")
    enter(page, api.token, "#/users")
    expect(banner).to_be_visible()
    # Who is no admin sees nothing.
    enter(page, api.log_in(user), "#/profile")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(banner).to_have_count(0)
    enter(page, api.token, "#/changes")
    item = banner.locator("li", has_text=DETAIL).first
    item.get_by_role("button", name="Acknowledge").click()
    dialog = page.get_by_role("dialog", name="Acknowledge this gap?")
    assert_accessible(page)
    snap("gaps-dialog")
    dialog.get_by_role("button", name="Acknowledge").click()
    expect(banner).to_have_count(0)
    told = lines(page).filter(has_text="Gap of the record acknowledged by admin").first
    expect(told).to_contain_text("It was from 23 Nov 2026", timeout=COMES_MS)
