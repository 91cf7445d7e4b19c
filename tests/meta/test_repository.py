"""What the repository promises about itself."""

from __future__ import annotations

import re
import subprocess

import role_docs
import yaml

ROOT = role_docs.ROOT


def tracked(*patterns: str) -> list[str]:
    """Names of the files that are, or are about to be, part of the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.splitlines() if (ROOT / name).is_file()]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


def test_every_make_target_of_the_docs_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name in tracked("*.md"):
        named = set(
            re.findall(
                r"\bmake ([a-z][a-z-]*)\b(?=[`\s]*(?:$|[`#)|.,;]| [A-Z#]))",
                (ROOT / name).read_text(),
            )
        )
        code = set(re.findall(r"`make ([a-z-]+)", (ROOT / name).read_text()))
        assert (named & code) | code <= targets, name


def test_every_path_that_the_docs_name_exists() -> None:
    for name in [n for n in tracked("*.md") if n == "README.md" or n.startswith("docs/")]:
        for path in re.findall(
            r"`((?:app|lab|roles|playbooks|inventory|tests|docs|client|molecule)/[\w./-]+)`",
            (ROOT / name).read_text(),
        ):
            made = path in ("inventory/current", "inventory/tidb_tiup_mirror")
            assert (ROOT / path).exists() or made, f"{name} names {path}"


def test_requirements_are_pinned_by_version_and_hash() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        pinned = re.findall(r"^[a-z][\w.\[\]-]*==\S+", text, re.MULTILINE)
        named = re.findall(r"^[a-z]\S*", text, re.MULTILINE)
        assert len(pinned) == len(named), path.name
        assert text.count("--hash=sha256:") >= len(pinned), path.name


def test_inventories_place_every_group_on_known_hosts() -> None:
    for path in [*ROOT.glob("inventory/*/hosts.yml"), *ROOT.glob("molecule/*/inventory/hosts.yml")]:
        inventory = yaml.safe_load(path.read_text())["all"]
        hosts = set(inventory["hosts"])
        for group, members in inventory["children"].items():
            assert set(members["hosts"]) <= hosts, f"{path}: {group}"
