"""Memory of each service of a machine, as lab/memory.py measures it there."""

from dataclasses import dataclass
from typing import Final

from machine import ROOT, Machine

PROGRAM: Final = ROOT / "lab/memory.py"


@dataclass(frozen=True)
class UnitMemory:
    """Number of processes, and bytes."""

    processes: int
    rss: int
    pss: int


def unit_memory(machine: Machine) -> dict[str, UnitMemory]:
    """Give the memory of every service that runs on a machine, largest first."""
    units = {
        name: UnitMemory(**it)
        for name, it in machine.python(PROGRAM.read_text(encoding="utf-8")).items()
    }
    return dict(sorted(units.items(), key=lambda item: -item[1].pss))
