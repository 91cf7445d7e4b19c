"""docs/asvs.md has each requirement of levels 1 and 2 once, and names tests that there are."""

from __future__ import annotations

import re
from typing import Final

import pytest
import role_docs

TEXT: Final = (role_docs.ROOT / "docs/asvs.md").read_text()
# The sections of ASVS 5.0.0 and how many of their requirements are of level 1 or 2: always the
# first ones. Chapters 10 and 17 are answered as a whole.
SECTIONS: Final = """
1.1:2 1.2:9 1.3:11 1.4:3 1.5:2 2.1:3 2.2:3 2.3:4 2.4:1 3.2:2 3.3:4 3.4:6 3.5:5 3.7:2 4.1:3
4.2:1 4.3:2 4.4:4 5.1:1 5.2:3 5.3:2 5.4:3 6.1:3 6.2:12 6.3:4 6.4:4 6.5:5 6.6:3 6.8:4 7.1:3
7.2:4 7.3:2 7.4:5 7.5:2 7.6:2 8.1:2 8.2:3 8.3:1 8.4:1 9.1:3 9.2:4 11.1:2 11.2:3 11.3:3
11.4:4 11.5:1 11.6:1 12.1:3 12.2:2 12.3:4 13.1:1 13.2:5 13.3:2 13.4:5 14.1:2 14.2:4 14.3:3
15.1:3 15.2:3 15.3:7 16.1:1 16.2:5 16.3:4 16.4:3 16.5:3
"""
WANTED: Final = {a: int(b) for a, b in (pair.split(":") for pair in SECTIONS.split())}
STATES: Final = {"met", "in part", "not met", "not applicable", "met with `own`", "met with TLS"}


def rows() -> list[list[str]]:
    """Give the cells of all rows but the heads."""
    lines = re.findall(r"(?m)^\| (\d.*) \|$", TEXT)
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def named(cell: str) -> list[str]:
    """Give the requirements that a cell names: one by one, by ranges, or by sections."""
    found = []
    pattern = r"\b(\d+\.\d+)(?:\.(\d+))?(?:\u2013\d+\.\d+\.(\d+))?"
    for section, first, last in re.findall(pattern, cell):
        end = int(last or first or WANTED.get(section, 0))
        found += [f"{section}.{number}" for number in range(int(first or 1), end + 1)]
    return found


def wanted() -> set[str]:
    return {f"{section}.{n + 1}" for section, count in WANTED.items() for n in range(count)}


def test_each_requirement_has_one_answer() -> None:
    found = [number for cells in rows() for number in named(cells[0])]
    assert sorted(wanted() - set(found)) == []
    assert sorted({number for number in found if found.count(number) > 1}) == []


def test_states_are_plain_and_what_is_not_met_is_listed() -> None:
    assert {cells[1] for cells in rows()} <= STATES
    listed = set(re.findall(r"\d+\.\d+\.\d+", TEXT[: TEXT.index("## V1 ")]))
    open_ = {n for cells in rows() if cells[1] in ("in part", "not met") for n in named(cells[0])}
    assert listed == open_


# A file or a folder of tests; a file without a folder is in app/tests/api.
TEST: Final = re.compile(r"`((?:app/)?tests/[\w/.]+|test_\w+\.py)`")


@pytest.mark.parametrize(
    "cells", [cells for cells in rows() if cells[1].startswith("met")], ids=lambda cells: cells[0]
)
def test_what_is_met_is_so_by_a_test_or_by_construction(cells: list[str]) -> None:
    named = TEST.findall(cells[2])
    assert named or "by construction: " in cells[2]
    for name in named:
        path = role_docs.ROOT / (name if "/" in name else f"app/tests/api/{name}")
        found = [path] if path.is_file() else list(path.rglob("test_*.py"))
        assert found, name
        assert all(re.search(r"(?m)^def test_", file.read_text()) for file in found), name


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+\.py)`", TEXT))))
def test_tests_that_are_named_exist(name: str) -> None:
    assert (role_docs.ROOT / "app/tests/api" / name).is_file()
