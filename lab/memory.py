"""Memory of each service of this machine, in bytes: JSON by unit, or with "total" the MB of all.

Not systemd's MemoryCurrent: that counts the page cache of every file that a service reads and
writes, which the kernel gives back when asked. RSS is what the processes have in memory, and
counts a page that several of them share once for each; PSS counts it once in all, so PSS may be
summed. MB are of 10^6 bytes. Runs as root, from stdin: nothing of it is on the machine.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path


def units() -> dict[str, dict[str, int]]:
    """Give processes, rss and pss of every service that runs."""
    found: dict[str, dict[str, int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            names = re.findall(r"([^/\n]+\.service)", (folder / "cgroup").read_text())
            rollup = (folder / "smaps_rollup").read_text()
        except OSError:  # it ended meanwhile, or is the kernel's
            continue
        sizes = {
            k: int(v) * 1024 for k, v in re.findall(r"^(Rss|Pss):\s+(\d+) kB", rollup, re.MULTILINE)
        }
        if names and sizes:
            unit = found.setdefault(names[0], {"processes": 0, "rss": 0, "pss": 0})
            unit["processes"] += 1
            unit["rss"] += sizes["Rss"]
            unit["pss"] += sizes["Pss"]
    return found


if __name__ == "__main__":
    here = units()
    if sys.argv[1:] == ["total"]:
        print(sum(unit["pss"] for unit in here.values()) // 1_000_000)
    else:
        print(json.dumps(here))
