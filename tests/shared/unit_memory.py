"""Memory of each service of a machine.

Not systemd's MemoryCurrent: that counts the page cache of every file that a service reads and
writes, which the kernel gives back when asked. RSS is what the processes have in memory, and
counts a page that several of them share once for each; PSS counts it once in all, so PSS may be
summed.
"""

from dataclasses import dataclass
from typing import Final

from machine import Machine

_PROGRAM: Final = r"""
import glob, json, os, re
units = {}
for folder in glob.glob("/proc/[0-9]*"):
    try:
        cgroup = open(folder + "/cgroup").read()
        rollup = open(folder + "/smaps_rollup").read()
    except OSError:  # it ended meanwhile, or is the kernel's
        continue
    names = re.findall(r"([^/\n]+\.service)", cgroup)
    sizes = {k: int(v) * 1024 for k, v in re.findall(r"^(Rss|Pss):\s+(\d+) kB", rollup, re.M)}
    if names and sizes:
        unit = units.setdefault(names[0], {"processes": 0, "rss": 0, "pss": 0})
        unit["processes"] += 1
        unit["rss"] += sizes["Rss"]
        unit["pss"] += sizes["Pss"]
print(json.dumps(units))
"""


@dataclass(frozen=True)
class UnitMemory:
    """Number of processes, and bytes."""

    processes: int
    rss: int
    pss: int


def unit_memory(machine: Machine) -> dict[str, UnitMemory]:
    """Give the memory of every service that runs on a machine, largest first."""
    units = {name: UnitMemory(**it) for name, it in machine.python(_PROGRAM).items()}
    return dict(sorted(units.items(), key=lambda item: -item[1].pss))
