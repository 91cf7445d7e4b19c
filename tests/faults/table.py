"""The tables of results in docs/reliability.md."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from evidence import Result

from faults import FAULTS

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
HEAD: Final = (
    *("fault", "changes committed", "distinct ids on record", "lost", "replays"),
    *("longest time without a line", "requests failed", "longest request", "well again after"),
    "measured",
)
END: Final = "<!-- end -->"


def begin(partitions: int) -> str:
    """Give the mark above the table of runs with so many partitions."""
    return f"<!-- faults, partitions={partitions}: written by make test-faults -->"


@dataclass
class Results:
    """The table of runs on a topic of so many partitions. ``add`` may raise ValueError."""

    partitions: int
    document: Path = DOCUMENT

    def add(self, result: Result) -> None:
        """Write a row in the place of the one that is there, or in its place in the order.

        A table says what was measured last for each fault, whether all were tried at once or not.
        """
        text = self.document.read_text(encoding="utf-8")
        mark = begin(self.partitions)
        place = re.compile(re.escape(mark) + ".*?" + re.escape(END), re.DOTALL)
        if not place.search(text):
            raise ValueError(f"{self.document} has no '{mark}' … '{END}'")
        known = {row[0]: row for row in rows(text, self.partitions)}
        known[result.title] = [*result.row(), f"{datetime.now(UTC):%Y-%m-%d}"]
        ordered = [known[fault.title] for fault in FAULTS if fault.title in known]
        cells = [HEAD, ["---"] * len(HEAD), *ordered]
        lines = "\n".join(f"| {' | '.join(row)} |" for row in cells)
        self.document.write_text(
            place.sub(lambda _: f"{mark}\n{lines}\n{END}", text, count=1), encoding="utf-8"
        )


def rows(text: str, partitions: int) -> list[list[str]]:
    """Give the rows of a table in the document, without its head."""
    _, _, rest = text.partition(begin(partitions))
    lines = [line for line in rest.partition(END)[0].splitlines() if line.startswith("| ")]
    return [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines[2:]]
