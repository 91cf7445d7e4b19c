"""Says in a line how the cluster is; exits with 1, and why on stderr, where a node is not up.

    cluster_health.py CLUSTER VERSION_OF_TIUP

'tiup cluster display' ends with 0 whatever it finds, so what it finds is read.
"""

from __future__ import annotations

import collections
import json
import subprocess
import sys
from typing import Any

LEAVING = ("Pending Offline", "Offline", "Tombstone")


def judge(shown: dict[str, Any]) -> tuple[str, list[str]]:
    """A line about the cluster, and each node that is not up."""
    nodes = shown.get("instances", [])
    down = [
        f"{node['role']} {node['id']} is {node['status']}"
        for node in nodes
        if not node["status"].startswith("Up") and node["status"] not in LEAVING
    ]
    leaving = [node["id"] for node in nodes if node["status"] in LEAVING]
    up = collections.Counter(n["role"] for n in nodes if n["status"].startswith("Up"))
    said = f"{shown['cluster_meta']['cluster_version']}, up: " + ", ".join(
        f"{count} {role}" for role, count in sorted(up.items())
    )
    return said + (f"; leaving: {', '.join(leaving)}" if leaving else ""), down


def main() -> int:
    """See the module's text."""
    cluster, version = sys.argv[1:]
    command = ["tiup", f"cluster:v{version}", "display", cluster, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    try:
        shown = json.JSONDecoder().raw_decode(done.stdout[done.stdout.index("{") :])[0]
        said, down = judge(shown)
    except (ValueError, KeyError):
        print(f"TiUP cannot say: {(done.stderr or done.stdout).strip()[-500:]}", file=sys.stderr)
        return 1
    if down:
        print("; ".join(down), file=sys.stderr)
        return 1
    print(said)
    return 0


if __name__ == "__main__":
    sys.exit(main())
