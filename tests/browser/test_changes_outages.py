"""The live feed while something behind it is away, comes back, or is more than one can read."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from machine import Machine
from page_accounts import Api, enter
from page_feed import (
    COMES_MS,
    Sql,
    bar,
    comes,
    expect_state,
    lines,
    pause,
    resume,
    sql,
    titled,
    waits,
)
from page_steps import Watch
from playwright.sync_api import BrowserContext, Page, Route, expect

__all__ = ["sql"]

OUTAGE_MS = 90_000
MANY = 10_000
# A second of scripts for ten thousand lines, on a machine that does other things beside.
SCRIPT_SECONDS = 6.0


@pytest.fixture
def feed(page: Page, api: Api) -> Page:
    enter(page, api.token, "#/changes?table=users")
    expect_state(page, "live", "Live")
    return page


def ids(page: Page) -> list[str]:
    """What the page has: the title of each line."""
    return page.locator(".change-title").all_inner_texts()


def test_a_restart_of_the_api_loses_and_doubles_nothing(
    feed: Page, sql: Sql, api_machine: Machine, watch: Watch
) -> None:
    watch.expect("status of (401|50[234])")
    names = [sql.insert()]
    comes(titled(feed, f"Account {names[0]} made"))
    api_machine.run("systemctl stop helfy-api.target 'helfy-api@*'", seconds=60)
    try:
        names += [sql.insert() for _ in range(3)]
        expect_state(feed, "api", "Disconnected")
        expect(bar(feed)).to_contain_text("API does not answer.")
        expect(feed.get_by_role("button", name="Try now")).to_be_visible()
    finally:
        api_machine.run(
            f"systemctl start helfy-api.target {' '.join(api_machine.api_units)}", seconds=60
        )
    comes(titled(feed, f"Account {names[-1]} made"), OUTAGE_MS)
    names.append(sql.insert())
    comes(titled(feed, f"Account {names[-1]} made"))
    told = [title for title in ids(feed) if any(name in title for name in names)]
    assert told == [f"Account {name} made" for name in reversed(names)]
    expect_state(feed, "live", "Live", OUTAGE_MS)


def test_kafka_away_and_back_is_told(
    feed: Page, sql: Sql, kafka_machine: Machine, watch: Watch, artifacts: Path
) -> None:
    watch.expect("status of 503")
    name = sql.insert()
    comes(titled(feed, f"Account {name} made"))
    kafka_machine.run("systemctl stop kafka", seconds=120)
    try:
        expect_state(feed, "cutOff", "Disconnected", OUTAGE_MS)
        expect(bar(feed)).to_contain_text("Kafka does not answer.")
        expect(feed.locator(".changes-page > [role=status]")).to_contain_text("Disconnected.")
        expect(titled(feed, f"Account {name} made")).to_have_count(1)
        feed.screenshot(path=artifacts / "changes-cut-off.png")
        sql.update(name, "role = 'admin'")
    finally:
        kafka_machine.run("systemctl start kafka", seconds=120)
    # In one look: each process of the API finds Kafka again in its own time.
    expect(bar(feed)).to_contain_text(re.compile("Back.*Live again after"), timeout=OUTAGE_MS)
    feed.screenshot(path=artifacts / "changes-back.png")
    comes(titled(feed, f"Role of {name} changed"), OUTAGE_MS)
    expect_state(feed, "live", "Live", OUTAGE_MS)


def test_without_a_network_it_says_so_and_goes_on(
    feed: Page, context: BrowserContext, sql: Sql, watch: Watch
) -> None:
    watch.expect("ERR_INTERNET_DISCONNECTED")
    context.set_offline(True)
    expect_state(feed, "offline", "Disconnected")
    name = sql.insert()
    context.set_offline(False)
    comes(titled(feed, f"Account {name} made"))


def test_behind_is_told(page: Page, api: Api) -> None:
    """For as long as it lasts; a healthy stream catches up at once."""

    def late(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=json.dumps(answer.json() | {"state": "behind"}))

    page.route("**/changes?*", late)
    enter(page, api.token, "#/changes?table=users")
    expect_state(page, "behind", "Behind")
    expect(bar(page)).to_contain_text("Newer changes are still to come.")
    page.unroute("**/changes?*", late)
    expect(bar(page).locator("strong")).to_have_text("Back", timeout=COMES_MS)


def test_a_hidden_tab_asks_seldom_and_goes_on_at_once(feed: Page, sql: Sql) -> None:
    asked: list[float] = []
    feed.on(
        "request",
        lambda request: asked.append(time.monotonic()) if "/changes?" in request.url else None,
    )
    hide = (
        "value => { Object.defineProperty(document, 'hidden', {value, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    feed.evaluate(hide, True)
    feed.wait_for_timeout(1_500)
    asked.clear()
    name = sql.insert()
    feed.wait_for_timeout(3_000)
    assert asked == []
    feed.evaluate(hide, False)
    comes(titled(feed, f"Account {name} made"))
    feed.wait_for_timeout(2_000)
    assert len(asked) >= 2


def test_older_pages_come_when_they_are_asked_for(feed: Page, sql: Sql) -> None:
    mark = f"page-{time.time_ns()}"
    names = [f"{mark}-{number}" for number in range(70)]
    sql.made += names
    values = ", ".join(f"('{name}', '{name}@example.com', 'x')" for name in names)
    sql.run(f"INSERT INTO users (username, email, password_hash) VALUES {values}")
    comes(titled(feed, f"Account {names[-1]} made"))
    feed.reload()
    expect(lines(feed)).to_have_count(50)
    feed.get_by_role("button", name="Show 50 older changes").click()
    expect(titled(feed, f"Account {names[0]} made")).to_have_count(1)
    told = [title for title in ids(feed) if mark in title]
    assert told == [f"Account {name} made" for name in reversed(names)]
    expect(waits(feed)).to_contain_text("Held while you read")
    resume(feed).click()
    expect(lines(feed).first).to_be_in_viewport()
    expect(pause(feed)).to_be_visible()


class Made:
    """An API whose feed has as many lines as are wanted, at once."""

    def __init__(self) -> None:
        self.end = 0

    def line(self, offset: int) -> dict[str, Any]:
        stamp = "2026-11-24T10:00:00.000Z"
        row = {"id": offset, "username": f"u{offset}", "email": f"u{offset}@example.com"}
        change = {
            "id": f"c{offset}",
            "type": "UPDATE",
            "database": "helfy",
            "table": "users",
            "key": {"id": offset},
            "committedAt": stamp,
            "data": row,
            "old": {"email": "x@y"},
            "redacted": ["password_hash"],
        }
        source = {"topic": "t", "partition": 0, "offset": offset, "format": "debezium"}
        return {
            "timestamp": stamp,
            "action": "db_change",
            "source": source,
            "change": change,
            "lagMs": 5,
        }

    def answer(self, route: Route) -> None:
        query = dict(part.split("=") for part in route.request.url.partition("?")[2].split("&"))
        limit = int(query["limit"])
        body: dict[str, Any] = {"state": "live", "more": False, "lost": [], "older": None}
        if after := query.get("after"):
            first = int(after.removeprefix("0."))
            stop = min(self.end, first + limit)
            body |= {
                "changes": [self.line(each) for each in range(first, stop)],
                "more": stop < self.end,
            }
        else:
            stop = int(query["before"].removeprefix("0.")) if "before" in query else self.end
            first = max(0, stop - limit)
            body |= {"changes": [self.line(each) for each in reversed(range(first, stop))]}
            body |= {"older": f"0.{first}" if first else None}
            stop = self.end
        route.fulfill(body=json.dumps(body | {"next": f"0.{stop}", "pollAfterMs": 300}))


@pytest.fixture
def made(page: Page) -> Made:
    made = Made()
    page.route("**/changes?*", made.answer)
    return made


def test_ten_thousand_lines_do_not_slow_it(page: Page, api: Api, made: Made) -> None:
    made.end = 50
    enter(page, api.token, "#/changes")
    expect(lines(page)).to_have_count(50)
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable")

    def spent() -> dict[str, float]:
        found = tools.send("Performance.getMetrics")["metrics"]
        return {each["name"]: each["value"] for each in found}

    before = spent()
    made.end = 50 + MANY
    expect(titled(page, f"Email of u{MANY + 49} changed")).to_have_count(1, timeout=60_000)
    after = spent()
    script = after["ScriptDuration"] - before["ScriptDuration"]
    layout = after["LayoutDuration"] - before["LayoutDuration"]
    print(
        f"{MANY} lines: {script:.2f} s of scripts, {layout:.2f} s of layout,"
        f" {after['Nodes']:.0f} nodes"
    )
    assert lines(page).count() == 100
    assert script < SCRIPT_SECONDS
    # One more is as quick as the first ones were.
    begun = spent()["ScriptDuration"]
    for each in range(10):
        made.end += 1
        expect(titled(page, f"Email of u{made.end - 1} changed")).to_have_count(1)
        assert lines(page).count() == 100, each
    one = (spent()["ScriptDuration"] - begun) / 10
    print(f"one more: {one * 1000:.1f} ms of scripts, those of this test's looking included")
    assert one < 0.1


def test_one_can_read_on_and_back_through_many(page: Page, api: Api, made: Made) -> None:
    made.end = 1000
    enter(page, api.token, "#/changes")
    older = page.get_by_role("button", name="Show 50 older changes")
    for count in (50, 100, 150, 200, 200, 200):
        expect(lines(page)).to_have_count(count)
        older.click()
    expect(titled(page, "Email of u650 changed")).to_have_count(1)
    expect(titled(page, "Email of u999 changed")).to_have_count(0)
    made.end += 3
    expect(waits(page)).to_contain_text("3 changes wait")
    newer = page.get_by_role("button", name="Show newer changes")
    for top in (899, 949, 999):
        newer.click()
        expect(page.locator(".change-title").first).to_have_text(f"Email of u{top} changed")
    expect(newer).to_be_hidden()
    resume(page).click()
    expect(page.locator(".change-title").first).to_have_text("Email of u1002 changed")
    told = ids(page)
    assert told == [f"Email of u{each} changed" for each in range(1002, 1002 - len(told), -1)]
