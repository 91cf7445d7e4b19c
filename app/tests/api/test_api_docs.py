"""The page at ``/docs``: whole, from here alone, and without a line of script or style in it."""

import re
from html.parser import HTMLParser

import pytest
from api_support import assert_error
from flask.testing import FlaskClient


class Page(HTMLParser):
    """Collects what a page loads, and what a strict policy would not let it do."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inside: list[str] = []
        self._tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at an element."""
        self._tag = tag
        for name, value in attrs:
            if tag in ("script", "link", "img") and name in ("src", "href"):
                self.loads.append(str(value))
            if name == "style" or name.startswith("on"):
                self.inside.append(f"{tag} {name}")

    def handle_data(self, data: str) -> None:
        """Look at a text."""
        if self._tag in ("script", "style") and data.strip():
            self.inside.append(f"{self._tag}: {data.strip()[:40]}")


def test_the_page_loads_what_is_here_and_nothing_else(client: FlaskClient) -> None:
    with client.get("/docs") as response:
        assert response.status_code == 200
        assert response.mimetype == "text/html"
        page = Page()
        page.feed(response.text)
    assert page.inside == []
    assert len(page.loads) == 5
    for path in page.loads:
        assert re.match(r"/(?!/)", path), f"{path} is elsewhere"
        if path == "/favicon.svg":
            continue  # of the page that nginx serves
        with client.get(path) as response:
            assert response.status_code == 200, path
            assert len(response.data) > 10
            kind = "text/css" if path.endswith(".css") else "text/javascript"
            assert response.mimetype == kind


def test_the_page_shows_the_document(client: FlaskClient) -> None:
    with client.get("/docs/start.js") as response:
        assert 'url: "/openapi.json"' in response.text
        assert "http" not in response.text
    assert client.get("/openapi.json").status_code == 200


@pytest.mark.parametrize("name", ["nothing.js", "..", "%2e%2e", "index.html", "../docs.py"])
def test_there_is_nothing_else(client: FlaskClient, name: str) -> None:
    assert_error(client.get(f"/docs/{name}"), 404, "not found")
