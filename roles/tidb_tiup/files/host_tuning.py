"""Sets what TiDB wants of the kernel, at boot and when deployed; tells refused from failed.

    host_tuning.py SETTINGS [--look]

SETTINGS: a JSON file, {path below / : value}. A container may not set what belongs to its host: the
kernel refuses, which is no failure. --look sets nothing.

Prints {"set": [...], "wrong": [...], "refused": [...]}; exits with 1 where something could not be
set for another reason than that.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from pathlib import Path
from typing import Final

REFUSED: Final = {errno.EROFS, errno.EACCES, errno.EPERM}
ROOT: Final = Path("/")


def tune(settings: dict[str, str], look: bool, root: Path = ROOT) -> dict[str, list[str]]:
    """Set each of them that is not as it shall be. Raises OSError where that fails."""
    found: dict[str, list[str]] = {"set": [], "wrong": [], "refused": []}
    for name, value in settings.items():
        path = root / name
        if not path.exists():
            found["refused"].append(f"{name}: the kernel here has none")
            continue
        if now(path) == value:
            continue
        if look:
            # A container's /proc and /sys are mounted read-only where they are the host's.
            found["wrong" if os.access(path, os.W_OK) else "refused"].append(name)
            continue
        try:
            path.write_text(value)
        except OSError as error:
            if error.errno not in REFUSED:
                raise
            found["refused"].append(f"{name} stays {now(path)}: it is the host's")
        else:
            found["set"].append(name)
    return found


def now(path: Path) -> str:
    """The value in effect; of a choice, the one in brackets."""
    text = path.read_text().strip()
    chosen = re.search(r"\[(\S+)\]", text)
    return chosen[1] if chosen else text


def main() -> int:
    """See the module's text."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    try:
        print(json.dumps(tune(settings, "--look" in sys.argv)))
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
