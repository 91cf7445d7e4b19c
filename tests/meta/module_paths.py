"""The project's own Ansible modules, importable as Ansible itself would see them."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import ansible.module_utils  # type: ignore[import-untyped]
import role_docs

_PLUGINS = role_docs.ROOT / "plugins"
ansible.module_utils.__path__.append(str(_PLUGINS / "module_utils"))
sys.path.insert(0, str(_PLUGINS / "modules"))


def module(name: str) -> ModuleType:
    """Give a module of plugins/modules."""
    return importlib.import_module(name)


def module_utils(name: str) -> ModuleType:
    """Give what modules share."""
    return importlib.import_module(f"ansible.module_utils.{name}")
