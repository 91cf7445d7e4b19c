"""The documentation page: it works under the strict policy, and asks nobody else."""

from playwright.sync_api import Page, expect


def test_the_page_shows_every_operation(page: Page) -> None:
    # What the policy does not let run is an error in the console, which fails this test.
    page.goto("/docs")
    expect(page.get_by_role("heading", name="Helfy")).to_be_visible()
    operations = page.locator(".opblock")
    expect(operations.first).to_be_visible()
    paths = page.request.get("/openapi.json").json()["paths"]
    expect(operations).to_have_count(sum(len(methods) for methods in paths.values()))
    page.locator(".opblock", has_text="/health/live").click()
    expect(page.locator(".opblock.is-open").get_by_text("Responses").first).to_be_visible()
