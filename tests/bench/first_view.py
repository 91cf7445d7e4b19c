#!/usr/bin/env python3
"""Measure how long a browser that has never been here takes to show the page, and what it loads.

Each load is one of a browser without a cache. ``shown`` is when the form to log in can be used,
``painted`` the browser's first contentful paint; both from the beginning of the navigation.
"""

import argparse
import os
import shutil
import statistics
import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from commit_to_line import row
from machines import Machines
from playwright.sync_api import Browser, Request, sync_playwright

SHOWN_SECONDS: Final = 1.0
WEIGHT_BYTES: Final = 150_000

TIMES: Final = """() => new Promise((resolve) => {
  const shown = performance.now();
  const paint = () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
  const look = () => paint() ? resolve([paint(), shown]) : setTimeout(look, 10);
  look();
})"""


def load(browser: Browser, url: str) -> tuple[float, float, int, int]:
    """Load the page once: seconds until painted and until shown, bytes, number of files."""
    context = browser.new_context()
    page = context.new_page()
    requests: list[Request] = []

    def note(request: Request) -> None:
        requests.append(request)

    page.on("requestfinished", note)
    page.goto(url, wait_until="commit")
    page.wait_for_selector("form input", state="visible")
    painted, shown = page.evaluate(TIMES)
    page.wait_for_load_state("networkidle")
    sizes = [request.sizes() for request in requests]
    weight = sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes)
    context.close()
    return painted / 1000, shown / 1000, weight, len(requests)


def page_url() -> str:
    """Give the page's address."""
    if url := os.environ.get("HELFY_URL"):
        return url
    machines = Machines()
    try:
        client = machines.of("client")[0]
        return f"http://{client.address}:{client.vars['nginx_port']}"
    finally:
        machines.close()


def main() -> int:
    """Measure and print; the exit status is 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--loads", type=int, default=20, help="default: %(default)s")
    options = parser.parse_args()
    executable = os.environ.get("HELFY_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        load(browser, page_url())  # The browser's own start is not what is measured.
        loads = [load(browser, page_url()) for _ in range(options.loads)]
        browser.close()
    painted, shown, weights, files = zip(*loads, strict=True)
    print(f"{files[-1]} files, {weights[-1]} bytes over the network, headers included")
    print(f"{'ms':<22}" + "".join(f"{title:>9}" for title in ("p50", "p90", "p99", "max")))
    print(row("painted", list(painted)))
    print(row("shown", list(shown)))
    good = statistics.median(shown) <= SHOWN_SECONDS and max(weights) <= WEIGHT_BYTES
    print(
        f"goals: shown within {SHOWN_SECONDS:g} s ({statistics.median(shown):.2f}), "
        f"{WEIGHT_BYTES} bytes ({max(weights)}): {'reached' if good else 'missed'}"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
