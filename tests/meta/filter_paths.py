"""The project's own filters, and the programs that the role tidb_tiup runs, importable by name."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import role_docs

sys.path[:0] = [
    str(role_docs.ROOT / "plugins/filter"),
    str(role_docs.ROOT / "roles/tidb_tiup/files"),
]


def plugin(name: str) -> ModuleType:
    """Give one of them."""
    return importlib.import_module(name)
