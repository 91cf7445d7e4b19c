"""Says in a line how much disk and memory are left; exits with 1, and why on stderr, at too little.

So it does where the journal is not persistent. It writes a line to it for that: machine_health.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

LEAST_DISK = 500_000_000
LEAST_DISK_SHARE = 0.05
LEAST_MEMORY_SHARE = 0.05
PLACES = ("/var", "/opt", "/tmp")
CGROUPS = Path("/sys/fs/cgroup")
JOURNAL = Path("/var/log/journal")
IDENTIFIER = "helfy-health"


def main() -> int:
    """See the module's text."""
    free, size = min((disk(place) for place in PLACES), key=lambda found: found[0])
    available, total = memory()
    failed = failed_units()
    said = (
        f"disk: {size_of(free)} free of {size_of(size)};"
        f" memory: {size_of(available)} of {size_of(total)}"
    )
    faults = []
    if free < LEAST_DISK or free < size * LEAST_DISK_SHARE:
        faults.append("the disk is nearly full")
    if available < total * LEAST_MEMORY_SHARE:
        faults.append("memory is nearly used up")
    if not journal_is_persistent():
        faults.append(
            f"the journal is not persistent: make room on the file system of {JOURNAL}, which must "
            "be on a disk and writable, then run: journalctl --flush"
        )
    if failed:
        faults.append(f"failed: {' '.join(failed)}")
    if faults:
        print(f"{'; '.join(faults)} ({said})", file=sys.stderr)
        return 1
    print(said)
    return 0


def disk(place: str) -> tuple[int, int]:
    """Give the free and all bytes of the file system of a place."""
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def memory() -> tuple[int, int]:
    """Give available and all bytes: the control group's in a container, else the kernel's."""
    kernel = {
        name: int(kilobytes) * 1024
        for name, kilobytes in re.findall(r"(\w+):\s+(\d+) kB", Path("/proc/meminfo").read_text())
    }
    available, total = kernel["MemAvailable"], kernel["MemTotal"]
    for limit, usage, statistics, cache in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
            "total_inactive_file",
        ),
    ):
        try:
            most = int((CGROUPS / limit).read_text())
            used = int((CGROUPS / usage).read_text())
            found = re.search(rf"^{cache} (\d+)", (CGROUPS / statistics).read_text(), re.MULTILINE)
        except (OSError, ValueError):
            continue
        if most < total:
            reclaimable = int(found[1]) if found else 0
            return min(available, most - used + reclaimable), most
    return available, total


def journal_is_persistent() -> bool:
    """Write a line to the journal, and say whether it is in the files that outlive the machine."""
    directory = JOURNAL / Path("/etc/machine-id").read_text(encoding="ascii").strip()
    mark = uuid.uuid4().hex

    def said(*command: str, given: str | None = None) -> str:
        return subprocess.run(
            command, input=given, capture_output=True, text=True, check=False, timeout=30
        ).stdout

    if said("stat", "--file-system", "--format=%T", str(directory)).strip() in {"tmpfs", "ramfs"}:
        return False
    said("systemd-cat", f"--identifier={IDENTIFIER}", "--priority=debug", given=f"{mark}\n")
    said("journalctl", "--sync")
    found = (
        "journalctl",
        "-q",
        "-o",
        "cat",
        "-n",
        "1",
        "-t",
        IDENTIFIER,
        f"--directory={directory}",
    )
    return mark in said(*found)


def failed_units() -> list[str]:
    """Give the names of units that failed."""
    listed = ["systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager"]
    said = subprocess.run(listed, capture_output=True, text=True, check=False, timeout=10).stdout
    return [line.split()[0] for line in said.splitlines() if line.strip()]


def size_of(count: int) -> str:
    """Give a number of bytes for people."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"  # noqa: PLR2004


if __name__ == "__main__":
    sys.exit(main())
