"""The OpenAPI 3.1 document at ``/openapi.json``, made from the code."""

import re
from typing import Any

from flask import Response, jsonify
from flask_openapi3.openapi import OpenAPI
from flask_openapi3.types import SecuritySchemesDict

from helfy.api.security import PUBLIC_ENDPOINTS, USER_ENDPOINTS

SECURITY_SCHEMES: SecuritySchemesDict = {
    "token": {"type": "apiKey", "in": "header", "name": "x-auth-token"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


def register(app: OpenAPI) -> None:
    """Add the route; the document is made once, now that all other routes are there."""
    document = _document(app)

    def openapi() -> Response:
        return jsonify(document)

    app.add_url_rule("/openapi.json", endpoint="openapi", view_func=openapi)


def _document(app: OpenAPI) -> dict[str, Any]:
    document = app.api_doc
    endpoints = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower()): rule.endpoint
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            # From the lists that are enforced, so that the document cannot say otherwise.
            endpoint = endpoints[path, method]
            public = endpoint in PUBLIC_ENDPOINTS
            operation["security"] = [] if public else [{name: []} for name in SECURITY_SCHEMES]
            if not public:
                operation["x-role"] = "user" if endpoint in USER_ENDPOINTS else "admin"
            # flask-openapi3 writes a docstring's line ends as HTML.
            text = operation.get("description", "").removeprefix("<br/>")
            if text:
                operation["description"] = text.replace("<br/>", " ")
    return document
