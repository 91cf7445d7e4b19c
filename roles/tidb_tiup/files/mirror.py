"""Asks a mirror of TiUP's for its lists: which components it has, in which versions.

    mirror.py MIRROR PLATFORM REMEMBERED

MIRROR: a URL or a folder. PLATFORM: such as linux/amd64. REMEMBERED: a file; it keeps the answer,
which is given again where the mirror does not answer later: a deployed cluster that needs nothing
new from it does not depend on it.

Prints {"components": {NAME: [VERSION, ...]}}; exits with 1 and says why on stderr.
"""

from __future__ import annotations

import concurrent.futures
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final

SECONDS: Final = 5
# What a deployment may ask of it.
ASKED: Final = (
    *("tiup", "cluster", "pd", "tikv", "tidb", "cdc", "node_exporter", "blackbox_exporter"),
    *("prometheus", "grafana", "alertmanager"),
)


class MirrorError(Exception):
    """The message says what is wrong."""


def components(mirror: str, platform: str) -> dict[str, list[str]]:
    """Names of the components with their versions on the platform. Raises MirrorError."""
    latest = signed(mirror, "snapshot.json")["meta"]
    index = signed(mirror, f"{latest['/index.json']['version']}.index.json")["components"]

    def versions(name: str) -> list[str]:
        url = index[name]["url"]
        listed = signed(mirror, f"{latest[url]['version']}.{url.lstrip('/')}")["platforms"]
        return sorted(v for v, item in listed.get(platform, {}).items() if not item.get("yanked"))

    there = [name for name in ASKED if name in index and not index[name].get("yanked")]
    try:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            return dict(zip(there, pool.map(versions, there), strict=True))
    except (KeyError, TypeError) as error:
        raise MirrorError(f"its lists are not TiUP's: {error}") from None


def signed(mirror: str, name: str) -> dict[str, Any]:
    """The signed part of one of its lists. TiUP itself checks the signatures when it downloads."""
    try:
        if "://" in mirror:
            address = f"{mirror.rstrip('/')}/{name}"
            with urllib.request.urlopen(address, timeout=SECONDS) as answer:
                text = answer.read()
        else:
            text = (Path(mirror) / name).read_bytes()
        return dict(json.loads(text)["signed"])
    except urllib.error.HTTPError as error:
        raise MirrorError(f"it answers {error.code} for {name}") from None
    except urllib.error.URLError as error:
        raise MirrorError(f"it does not answer ({error.reason})") from None
    except OSError as error:
        raise MirrorError(f"it does not answer ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError):
        raise MirrorError(f"{name} is none of TiUP's lists") from None


def main() -> int:
    """See the module's text."""
    mirror, platform, remembered = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    known: dict[str, Any] = {}
    if remembered.exists():
        known = json.loads(remembered.read_text())
    try:
        answer = {"mirror": mirror, "components": components(mirror, platform)}
    except MirrorError as error:
        if known.get("mirror") != mirror:
            print(error, file=sys.stderr)
            return 1
        answer = known
    else:
        if answer != known:
            remembered.parent.mkdir(parents=True, exist_ok=True)
            remembered.write_text(json.dumps(answer))
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
