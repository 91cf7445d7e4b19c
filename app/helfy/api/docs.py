"""``/docs``: the OpenAPI document as a page.

Swagger UI, out of the package, with a page and a script of our own: its own page begins with a
script inside it, which the Content-Security-Policy of nginx does not let run.
"""

from pathlib import Path

import flask_openapi3_swagger  # type: ignore[import-untyped]
from flask import Flask, Response, send_file
from werkzeug.exceptions import NotFound

_OURS = Path(__file__).parent / "page"
_SWAGGER = Path(flask_openapi3_swagger.__file__).parent / "templates" / "swagger"
_FILES = {
    "start.js": _OURS / "start.js",
    "page.css": _OURS / "page.css",
    "swagger-ui.css": _SWAGGER / "css" / "swagger-ui.css",
    "swagger-ui-bundle.js": _SWAGGER / "js" / "swagger-ui-bundle.js",
}


def register(app: Flask) -> None:
    """Add the page and its files."""
    app.add_url_rule("/docs", endpoint="docs", view_func=_page)
    app.add_url_rule("/docs/<name>", endpoint="docs_file", view_func=_file)


def _page() -> Response:
    return send_file(_OURS / "index.html")


def _file(name: str) -> Response:
    if name not in _FILES:
        raise NotFound
    return send_file(_FILES[name])
