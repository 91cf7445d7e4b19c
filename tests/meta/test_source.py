"""What the application's source does without: docs/asvs.md refers to it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import role_docs

SOURCE: Final = role_docs.ROOT / "app/helfy"
TREES: Final = {
    path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text())
    for path in sorted(SOURCE.rglob("*.py"))
}
PAGE: Final = role_docs.ROOT / "client"
# What turns bytes into objects of any kind, or has entities and includes.
READERS: Final = {"dill", "jsonpickle", "marshal", "pickle", "shelve", "xml", "yaml"}
HTTP: Final = {"aiohttp", "http", "httpx", "requests", "socketserver", "urllib", "urllib3"}
STARTERS: Final = {"multiprocessing", "pexpect", "pty", "subprocess"}


def imported(tree: ast.Module) -> Iterator[str]:
    """Give the packages that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def importing(packages: set[str]) -> set[str]:
    return {name for name, tree in TREES.items() if packages & set(imported(tree))}


def called() -> Iterator[tuple[str, ast.Call, str]]:
    """Give each call: its module, itself, and the name of what is called."""
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield module, node, ast.unparse(node.func)


def test_there_is_something_to_look_at() -> None:
    assert len(TREES) > 50
    assert "consumer/worker.py" in TREES


def test_only_the_consumer_starts_processes_and_only_its_workers() -> None:
    assert importing(STARTERS) == {"consumer/worker.py"}
    starting = ("os.system", "os.popen", "os.exec", "os.spawn", "os.posix_spawn")
    assert [name for _, _, name in called() if name.startswith(starting)] == []


def test_nothing_is_evaluated_or_made_into_objects_of_any_kind() -> None:
    assert importing(READERS) == set()
    assert [name for _, _, name in called() if name in {"eval", "exec", "compile"}] == []


def test_no_format_string_is_made_of_input() -> None:
    for module, call, name in called():
        if isinstance(call.func, ast.Attribute) and call.func.attr in {"format", "format_map"}:
            own = isinstance(call.func.value, ast.Constant) or name == "self.format"
            assert own, f"{module}: {name}"


def test_http_is_asked_only_of_our_own_processes_and_no_redirect_is_followed() -> None:
    # http.client, which follows none.
    clients = {name for name in importing(HTTP) if "http.client" in (SOURCE / name).read_text()}
    assert clients == {"api/status.py", "cli/check.py"}
    for name in importing(HTTP) - clients:
        assert {"http", *imported(TREES[name])} & HTTP == {"http"}, name


def test_hashes_are_sha256() -> None:
    used = {
        ast.unparse(node)
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "hashlib"
    }
    assert used == {"hashlib.sha256"}


def test_the_page_makes_no_markup_and_no_code_of_text() -> None:
    makers = [
        *("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("),
        *("new Function", "__proto__", "setPrototypeOf", "javascript:", "postMessage"),
    ]
    for path in _scripts():
        # A BroadcastChannel reaches the same origin alone.
        text = re.sub(r"\bchannel\??\.postMessage\(", "", path.read_text())
        assert [maker for maker in makers if maker in text] == [], path.name


def _scripts() -> list[Path]:
    found = [*PAGE.rglob("*.js"), *PAGE.rglob("*.html")]
    assert len(found) > 30
    return found
