"""The status: each part in words, the last hour in charts, and what it says without an answer."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from machine import Machine, wait_for
from page_accounts import Api, enter
from page_feed import Sql, sql
from page_look import assert_accessible, look_everywhere
from page_steps import Account, Snap, Watch, answer, hold
from playwright.sync_api import Locator, Page, expect

__all__ = ["sql"]

RENEWS_MS = 15_000
OUTAGE_MS = 60_000


def part(page: Page, name: str) -> Locator:
    return page.locator(".part").filter(has=page.get_by_text(name, exact=True))


def overall(page: Page) -> Locator:
    return page.locator(".status-overall")


def chart(page: Page, title: str) -> Locator:
    return page.locator(".chart").filter(has=page.get_by_role("heading", name=title, exact=True))


def total(page: Page, title: str, name: str) -> int:
    row = chart(page, title).locator(".totals > div", has_text=name)
    return int(row.locator("dd").inner_text().replace(",", ""))


def healthy(**more: Any) -> dict[str, Any]:
    """An hour in which much happened, so that the charts have something to show."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    hour: list[dict[str, Any]] = [
        {
            "at": (now - timedelta(minutes=59 - minute)).isoformat().replace("+00:00", "Z"),
            "requests": {"2xx": 40 + 7 * minute % 90, "4xx": minute % 9, "5xx": minute % 13 // 12},
            "logins": {
                "ok": minute % 6,
                "invalid_credentials": minute % 4,
                "throttled": minute // 50,
            },
            "changes": minute * 3 % 17,
            "p95Ms": [200, 300, 700, 1000, 20_000 // 2][minute % 5] if minute % 7 else None,
            "lagRecords": minute % 11 if minute % 3 == 0 else 0,
        }
        for minute in range(60)
        if minute not in (20, 21, 22, 40)
    ]
    sums: dict[str, dict[str, int]] = {"requests": {}, "logins": {}}
    for kind, counts in sums.items():
        for minute in hour:
            for name, count in minute[kind].items():
                counts[name] = counts.get(name, 0) + count
    latency = {"changes": 432, "p50Ms": 300, "p95Ms": 1000, "p99Ms": 10_000}
    return {
        "at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "parts": [
            {"name": "database", "instance": None, "state": "up", "said": "answers"},
            {"name": "kafka", "instance": None, "state": "up", "said": "answers"},
            {
                "name": "capture",
                "instance": None,
                "state": "up",
                "said": "the last record came 2 s ago",
            },
            {
                "name": "consumer",
                "instance": "helfy-1",
                "state": "up",
                "said": "every record has its line",
            },
            {"name": "api", "instance": "127.0.0.1:8001", "state": "up", "said": "release 1"},
        ],
        "stream": {"state": "live", "lagRecords": 0, "silenceSeconds": 2.0, "latency": latency},
        **sums,
        "hour": hour,
    } | more


def test_every_part_is_up_in_words(page: Page, api: Api, api_machine: Machine) -> None:
    enter(page, api.token, "#/status")
    expect(overall(page)).to_have_text("Everything is up", timeout=OUTAGE_MS)
    for name in ("Database", "Kafka", "Change capture", "Consumer"):
        expect(part(page, name)).to_contain_text("Up: ")
    expect(part(page, "API")).to_have_count(len(api_machine.api_units))
    expect(page.locator(".figures")).to_contain_text("Live")
    expect(page).to_have_title("Status · Helfy")


def by_minute(page: Page, title: str, column: str) -> dict[str, int]:
    """Give a chart's numbers, from its table."""
    shown = chart(page, title)
    if shown.locator("details").get_attribute("open") is None:
        shown.get_by_text("As a table").click()
        # The browser tells the page a moment later that it is open.
        expect(shown.locator(".chart-rows > *")).to_have_count(1)
    head = shown.locator("thead th").all_inner_texts()
    if column not in head:
        return {}
    rows = [row.split("\t") for row in shown.locator("tbody tr").all_inner_texts()]
    return {row[0]: int(row[head.index(column)].replace(",", "")) for row in rows}


class Counted:
    """What a chart counted since this was made, whatever has gone from the last hour since."""

    def __init__(self, page: Page, title: str, column: str) -> None:
        self._where = (page, title, column)
        self._before = by_minute(*self._where)

    def more(self) -> int:
        now = by_minute(*self._where)
        return sum(max(0, count - self._before.get(at, 0)) for at, count in now.items())


def test_what_happens_is_counted(page: Page, api: Api, sql: Sql, watch: Watch) -> None:
    watch.expect("status of 401")
    user = api.make()
    enter(page, api.token, "#/status")
    failed = Counted(page, "Logins", "invalid credentials")
    successful = Counted(page, "Logins", "successful")
    changes = Counted(page, "Changes", "changes")
    api.log_in(user)
    page.request.post("/login", data={"usernameOrEmail": user.username, "password": "not this one"})
    sql.insert()
    # It renews itself.
    wait_for(
        lambda: successful.more() == failed.more() == 1 and changes.more() > 0,
        "a login, a rejection and a change on the page",
        RENEWS_MS / 1000,
        0.5,
    )
    assert total(page, "Logins", "successful") >= 1
    assert total(page, "Requests to the API", "successful (2xx)") > 0
    said = chart(page, "Changes").locator("figcaption p").inner_text()
    assert int(said.split()[0].replace(",", "")) > 0


def test_a_chart_has_words_and_a_table(page: Page, api: Api) -> None:
    answer(page, "/status", status=200, body=json.dumps(healthy()))
    enter(page, api.token, "#/status")
    latency = chart(page, "Commit-to-Kafka latency")
    image = latency.get_by_role("img", name="Commit-to-Kafka latency")
    expect(image).to_be_visible()
    assert image.locator("rect").count() > 40
    expect(image.locator("desc")).to_have_text("p95 of the last hour: at most 1 s.")
    latency.get_by_text("As a table").focus()
    page.keyboard.press("Enter")
    rows = latency.locator("tbody tr")
    expect(rows).to_have_count(image.locator("g").count())
    expect(latency.locator("thead th")).to_have_text(["Minute", "p95, at most"])
    # It stays open when the page renews itself.
    asked = page.locator(".status-fresh time").get_attribute("datetime")
    answer(page, "/status", status=200, body=json.dumps(healthy()))
    expect(page.locator(".status-fresh time")).not_to_have_attribute(
        "datetime", str(asked), timeout=RENEWS_MS
    )
    expect(rows.first).to_be_visible()


def test_what_is_down_is_named(page: Page, api: Api, snap: Snap) -> None:
    parts = healthy()["parts"]
    parts[1] |= {"state": "down", "said": "does not answer"}
    parts[2] |= {"state": "unknown", "said": "the last record came 4711 s ago"}
    stream = healthy()["stream"] | {"state": "cutOff", "silenceSeconds": None}
    answer(page, "/status", status=200, body=json.dumps(healthy(parts=parts, stream=stream)))
    enter(page, api.token, "#/status")
    expect(overall(page)).to_have_text("Kafka is down")
    expect(part(page, "Kafka")).to_contain_text("Down: does not answer")
    expect(part(page, "Change capture")).to_contain_text(
        "Unknown: the last record came 4,711 s ago"
    )
    expect(page.locator(".figures")).to_contain_text("Disconnected: Kafka does not answer")
    lag = chart(page, "Unread records in Kafka").locator("figcaption p")
    expect(lag).to_contain_text("has not sent to Kafka yet are not counted")
    expect(page.locator(".figures")).to_contain_text("≤ 300 ms")
    assert_accessible(page)
    snap("status-down")


def test_an_hour_in_which_nothing_happened(page: Page, api: Api) -> None:
    latency = {"changes": 0, "p50Ms": None, "p95Ms": None, "p99Ms": None}
    stream = {"state": "behind", "lagRecords": 0, "silenceSeconds": None, "latency": latency}
    quiet = healthy(stream=stream, requests={}, logins={"odd": 1}, hour=[])
    answer(page, "/status", status=200, body=json.dumps(quiet))
    enter(page, api.token, "#/status")
    expect(chart(page, "Changes")).to_contain_text("No change within the last hour.")
    expect(page.locator(".chart rect")).to_have_count(0)
    expect(page.locator(".figures")).to_contain_text("none yet")
    assert total(page, "Logins", "odd") == 1
    chart(page, "Changes").get_by_text("As a table").click()
    expect(chart(page, "Changes")).to_contain_text("Nothing within the last hour.")


def test_when_it_cannot_know_it_says_so(page: Page, api: Api, watch: Watch, snap: Snap) -> None:
    watch.expect("status of 503")
    enter(page, api.token, "#/status")
    expect(overall(page)).not_to_have_text("")
    answer(page, "/status", status=503, body="{}")
    expect(overall(page)).to_have_text("How it is now is not known", timeout=RENEWS_MS)
    expect(page.locator(".status-fresh")).to_contain_text("This is how it was at")
    assert_accessible(page)
    snap("status-stale")
    page.unroute("**/status")
    page.get_by_role("button", name="Try now").click()
    expect(page.locator(".status-fresh")).to_contain_text("It renews itself.")
    answer(page, "/status", status=503, body="{}")
    page.reload()
    expect(overall(page)).to_have_text("How Helfy is could not be loaded")
    snap("status-not-loaded")
    page.unroute("**/status")
    page.get_by_role("button", name="Try again").click()
    expect(part(page, "Database")).to_be_visible()


def test_kafka_down_is_told(page: Page, api: Api, kafka_machine: Machine, artifacts: Path) -> None:
    enter(page, api.token, "#/status")
    kafka_machine.run("systemctl stop kafka", seconds=120)
    try:
        expect(part(page, "Kafka")).to_contain_text("Down: does not answer", timeout=OUTAGE_MS)
        expect(overall(page)).to_contain_text("Kafka")
        expect(part(page, "Database")).to_contain_text("Up: answers")
        page.screenshot(path=artifacts / "status-kafka-down.png", full_page=True)
    finally:
        kafka_machine.run("systemctl start kafka", seconds=120)
    expect(overall(page)).to_have_text("Everything is up", timeout=3 * OUTAGE_MS)


def test_a_hidden_tab_does_not_ask(page: Page, api: Api) -> None:
    enter(page, api.token, "#/status")
    held = hold(page, "/status")
    page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    # The one that was to come comes; after it there is none.
    deadline = time.monotonic() + RENEWS_MS / 1000
    while not held and time.monotonic() < deadline:
        page.wait_for_timeout(200)
    for route in held:
        route.continue_()
    count = len(held)
    page.wait_for_timeout(RENEWS_MS - 4_000)
    assert len(held) == count
    page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', {value: false, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    page.wait_for_timeout(500)
    assert len(held) == count + 1
    held[-1].continue_()


def test_it_looks_right_everywhere(page: Page, api: Api, snap: Snap) -> None:
    answer(page, "/status", status=200, body=json.dumps(healthy()))
    enter(page, api.token, "#/status")
    look_everywhere(page, snap, "status")


def test_it_is_for_admins(page: Page, api: Api, watch: Watch) -> None:
    watch.expect("status of 403")
    user: Account = api.make()
    for view in ("status", "changes"):
        enter(page, api.log_in(user), f"#/{view}")
        expect(page.get_by_role("heading", level=1)).to_have_text("This page is for admins")
