"""Writes each role's README: what it is, its tasks, and its variables, out of the role's own files.

python tests/meta/role_docs.py    writes roles/*/README.md; a test holds them to it
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())


def options(role: Path) -> dict[str, dict[str, Any]]:
    """The role's variables by name, as its argument specs describe them."""
    return dict(_main(role).get("options", {}))


def defaults(role: Path) -> dict[str, Any]:
    """The role's defaults by name, expressions unevaluated."""
    path = role / "defaults/main.yml"
    return dict(yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def readme(role: Path) -> str:
    """The text of the role's README."""
    spec = _main(role)
    lines = [f"# {role.name}", "", f"{spec['short_description']}."]
    if "description" in spec:
        lines += ["", spec["description"]]
    values = defaults(role)
    lines += [
        "",
        "## Variables",
        "",
        "| variable | type | default | what it is |",
        "|---|---|---|---|",
    ]
    for name, option in options(role).items():
        kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
        lines.append(f"| `{name}` | {kind} | {_shown(values.get(name))} | {_cell(option)} |")
        for inner, described in option.get("options", {}).items():
            lines.append(f"| `{name}[].{inner}` | {described['type']} | | {_cell(described)} |")
    lines += ["", "Types and meaning are checked before anything is touched.", ""]
    return "\n".join(lines)


def _main(role: Path) -> dict[str, Any]:
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text())
    return dict(specs["argument_specs"]["main"])


def _cell(option: dict[str, Any]) -> str:
    choices = f" One of {', '.join(option['choices'])}." if "choices" in option else ""
    return str(option["description"]).replace("|", "\\|") + choices


def _shown(value: object) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, str) and "{{" in value:
        return "from the inventory"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


if __name__ == "__main__":
    for each in ROLES:
        (each / "README.md").write_text(readme(each))
