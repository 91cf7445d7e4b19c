#!/usr/bin/env python3
"""Print the memory of each service of the inventory's machines: RSS and PSS, in MB of 10^6 bytes.

The sum of PSS is what the services take together; lab/memory.py says why it is not that of RSS,
nor systemd's MemoryCurrent.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from machines import Machines
from unit_memory import UnitMemory, unit_memory

# By the group of the database.
GOAL_MB: Final = {"mariadb": 1300, "tidb": 2500}


def row(name: str, it: UnitMemory) -> str:
    """Write one line of the table."""
    return f"{name:<34}{it.processes:>10}{it.rss / 1e6:>9.1f}{it.pss / 1e6:>9.1f}"


def main() -> int:
    """Measure and print; the exit status is 1 where a machine is over the goal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inventory", help="its folder (default: inventory/current)")
    options = parser.parse_args()
    if options.inventory:
        os.environ["HELFY_INVENTORY"] = str(Path(options.inventory).resolve())
    machines = Machines()
    over = False
    goal = GOAL_MB["tidb" if machines.of("tidb") else "mariadb"]
    try:
        for machine in machines.by_name.values():
            units = unit_memory(machine)
            print(f"{machine.name:<34}{'processes':>10}{'RSS':>9}{'PSS':>9}")
            for name, it in units.items():
                print(row(name, it))
            those = units.values()
            total = UnitMemory(
                sum(it.processes for it in those),
                sum(it.rss for it in those),
                sum(it.pss for it in those),
            )
            print(row("all", total))
            over = over or total.pss > goal * 1_000_000
    finally:
        machines.close()
    print(f"goal: PSS of a machine at most {goal} MB: {'missed' if over else 'reached'}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
