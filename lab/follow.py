"""Copies ansible-playbook's output to a log, and shows plays, changes and retries with their time.

follow.py LOG STARTED      STARTED: seconds since the epoch
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

HEADING = re.compile(r"^(PLAY|TASK|RUNNING HANDLER) \[(.*)\] \**$")
QUIET_SECONDS = 20


def main() -> None:
    """Follow until the end of stdin."""
    started = int(sys.argv[2])
    task, said, last = "", "", time.monotonic()

    def show(text: str) -> None:
        nonlocal last
        seconds = int(time.time()) - started
        print(f"{seconds // 60}:{seconds % 60:02}   {text}", flush=True)
        last = time.monotonic()

    with Path(sys.argv[1]).open("w", encoding="utf-8") as log:
        for line in sys.stdin:
            log.write(line)
            log.flush()
            heading = HEADING.match(line)
            if heading and heading[1] == "PLAY":
                show(heading[2])
            elif heading:
                task = heading[2]
                if time.monotonic() - last > QUIET_SECONDS:
                    show(f"  {task}")
            elif line.startswith("changed: ") and said != task:
                show(f"  changed: {task}")
                said = task
            elif "RETRYING" in line and time.monotonic() - last > 1:
                show(f"  waiting: {task}")


if __name__ == "__main__":
    main()
