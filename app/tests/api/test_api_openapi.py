"""The OpenAPI document is valid 3.1 and tells what the application does."""

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator

from helfy.api.security import MUST_CHANGE_ENDPOINTS, PUBLIC_ENDPOINTS, USER_ENDPOINTS

# Beside the API itself: its description, and what monitoring asks on the VM.
DOCUMENTS = {"openapi", "docs", "docs_file", "metrics", "metrics_hour"}
PUBLIC = {"/login", "/health/live", "/health/ready"}


@pytest.fixture
def document(app: Flask) -> dict[str, Any]:
    """The document, asked for without a token."""
    response = app.test_client().get("/openapi.json")
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    return dict(response.json)


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return path, method and operation of each."""
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["title"] == "Helfy"
    assert document["info"]["version"]
    assert set(document) <= {"openapi", "info", "paths", "components", "tags", "security"}
    for _, method, operation in operations(document):
        assert method in ("get", "post", "put", "patch", "delete")
        assert operation["responses"]
        for status, response in operation["responses"].items():
            assert status.isdecimal()
            assert response["description"]
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))


def test_its_schemas_are_schemas_and_its_references_lead_somewhere(
    document: dict[str, Any],
) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                kind, name = node["$ref"].removeprefix("#/components/").split("/")
                assert name in document["components"][kind]
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(document)


def test_it_lists_every_route(app: Flask, document: dict[str, Any]) -> None:
    routes = {
        (rule.rule, method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
        if rule.endpoint not in DOCUMENTS
    }
    listed = {
        (re.sub(r"\{(\w+)\}", r"<int:\1>", path), method)
        for path, method, _ in operations(document)
    }
    assert listed == routes


def test_it_says_which_operations_are_public(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        expected = [] if path in PUBLIC else [{"token": []}, {"bearer": []}]
        assert operation["security"] == expected
    assert set(document["components"]["securitySchemes"]) == {"token", "bearer"}
    assert len(PUBLIC_ENDPOINTS) == len(PUBLIC) + len(DOCUMENTS)


def test_the_table_of_who_may_do_what_is_the_codes(app: Flask) -> None:
    document = (Path(__file__).parents[3] / "docs/security.md").read_text()
    text = document.partition("## Who may do what")[2].partition("## What may be sent")[0]
    allowed = {
        "nobody in particular": PUBLIC_ENDPOINTS - {"metrics", "metrics_hour"},
        "a user": USER_ENDPOINTS,
        "a user who must change the password": MUST_CHANGE_ENDPOINTS,
    }
    for who, endpoints in allowed.items():
        [row] = re.findall(rf"(?m)^\| {who} \| (.*?) \|", text)
        said = re.findall(r"`(?:([A-Z]+) )?(/.*?)(\u2026?)`", row)
        found = {
            rule.endpoint
            for rule in app.url_map.iter_rules()
            for method, path, more in said
            if (rule.rule.startswith(path) if more else rule.rule.rstrip("/") == path)
            or (path == "/docs" and rule.rule.startswith("/docs/"))
            if not method or method in (rule.methods or set())
        }
        assert found == endpoints, who
    assert re.search(r"(?m)^\| an admin \| all \|", text)


def test_the_contracts_names_are_in_it(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    assert set(schemas["LoginRequest"]["required"]) == {"usernameOrEmail", "password"}
    login = schemas["LoginAnswer"]
    assert set(login["properties"]) == {
        "message", "token", "expiresAt", "user", "mustChangePassword"
    }  # fmt: skip
    assert set(login["required"]) == {"token", "expiresAt", "user"}
    assert {"message", "requestId", "fields"} == set(schemas["Error"]["properties"])
    answers = document["paths"]["/login"]["post"]["responses"]
    assert set(answers) >= {"200", "400", "401", "413", "415", "429", "503"}
    assert "Retry-After" in answers["429"]["headers"]
    assert "x-auth-token" in answers["200"]["headers"]
    assert "<br" not in str(document)
