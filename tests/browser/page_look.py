"""How a view looks at each width in each colour scheme, and whether everybody can use it.

Each view's tests use these in the same way::

    enter(page, api.token, "#/users")
    look_everywhere(page, snap, "users")
"""

from importlib import resources
from typing import Any, Final

from page_steps import Snap
from playwright.sync_api import Page

WIDTHS: Final = (320, 768, 1440)
SCHEMES: Final = ("light", "dark")

AXE: Final = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()


def show_as(page: Page, width: int, scheme: str) -> None:
    """Make the window so wide, and the system light or dark."""
    page.set_viewport_size({"width": width, "height": 640 if width < 700 else 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")


def assert_fits(page: Page) -> None:
    """Nothing sticks out to the right."""
    root = "document.documentElement"
    wide = page.evaluate(f"[{root}.scrollWidth, {root}.clientWidth]")
    assert wide[0] <= wide[1]


def assert_accessible(page: Page) -> None:
    """Axe finds nothing."""
    if not page.evaluate("'axe' in window"):
        # From outside, where the page's own content security policy does not reach.
        page.evaluate(AXE)
    result: dict[str, Any] = page.evaluate("axe.run()")
    found = [
        f"{violation['id']}: {node['html']}: {node['failureSummary']}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]
    assert found == []


def look_everywhere(page: Page, snap: Snap, name: str) -> None:
    """Three widths, both schemes: everything fits, axe finds nothing; a screenshot of each."""
    for scheme in SCHEMES:
        for width in WIDTHS:
            show_as(page, width, scheme)
            assert_fits(page)
            # What is laid out in another way on wide screens is so from 768 pixels on.
            if width < WIDTHS[-1]:
                assert_accessible(page)
            snap(f"{name}-{width}-{scheme}")


def places(page: Page, *selectors: str) -> list[dict[str, float]]:
    """Where these are on the page, to see whether something moved them."""
    found: list[dict[str, float]] = [
        page.locator(selector).evaluate(
            "e => { const b = e.getBoundingClientRect();"
            " return {x: b.x, y: b.y + scrollY, width: b.width}; }"
        )
        for selector in selectors
    ]
    return found
