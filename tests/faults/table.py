"""The table of results in docs/reliability.md."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from evidence import Result

from faults import FAULTS

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
HEAD: Final = (
    *("fault", "changes committed", "distinct ids on record", "lost", "replays"),
    *("longest time without a line", "requests failed", "longest request", "well again after"),
)


def begin(partitions: int) -> str:
    """Give the mark above the table of a run."""
    return f"<!-- faults, partitions={partitions}: written by make test-faults -->"


END: Final = "<!-- end -->"


@dataclass
class Results:
    """The results of one run, on a topic of so many partitions."""

    partitions: int
    rows: dict[str, Result] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        """Note a result."""
        self.rows[result.title] = result

    def table(self) -> str:
        """Give the table, with the date."""
        cells = [HEAD, ["---"] * len(HEAD), *(self.rows[fault.title].row() for fault in FAULTS)]
        lines = "\n".join(f"| {' | '.join(row)} |" for row in cells)
        return f"Measured on {datetime.now(UTC):%Y-%m-%d}.\n\n{lines}\n"

    def write(self, document: Path = DOCUMENT) -> bool:
        """Put the table in the place of the one that is there; False where faults were left out.

        Raises ValueError where the document has no place for it.
        """
        if any(fault.title not in self.rows for fault in FAULTS):
            return False
        text = document.read_text(encoding="utf-8")
        place = re.compile(re.escape(begin(self.partitions)) + ".*?" + re.escape(END), re.DOTALL)
        if not place.search(text):
            raise ValueError(f"{document} has no '{begin(self.partitions)}' … '{END}'")
        new = f"{begin(self.partitions)}\n{self.table()}{END}"
        document.write_text(place.sub(lambda _: new, text, count=1), encoding="utf-8")
        return True


def rows(text: str, partitions: int) -> list[str]:
    """Give the first cells of a table in the document, without those of its head."""
    _, _, rest = text.partition(begin(partitions))
    lines = [line for line in rest.partition(END)[0].splitlines() if line.startswith("| ")]
    return [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]]
