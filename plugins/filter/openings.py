"""Which of a host's ports others reach, out of the groups that need them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

ANYONE = "anyone"


def openings(
    ports: Iterable[Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    hostvars: Mapping[str, Mapping[str, Any]],
    here: str,
) -> list[dict[str, Any]]:
    """Ports with "variable", "port" and "from" (groups, or anyone), as the role firewall has them.

    "connections" is passed on, where there is one: how many of one address there may be at once.
    Sources are the addresses of the other hosts in those groups, sorted; none means everybody. A
    port that no other host needs is left out. They come by port, whatever the order they are given
    in: Ansible's set operations give another one in each run.
    """
    found: list[dict[str, Any]] = []
    for port in ports:
        wanted = port.get("from", [])
        hosts = set() if wanted == ANYONE else {h for g in wanted for h in groups.get(g, [])}
        sources = sorted({str(hostvars[host]["ansible_host"]) for host in hosts - {here}})
        if wanted == ANYONE or sources:
            name = str(port["variable"])
            opening = {"port": int(port["port"]), "name": name, "sources": sources}
            if "connections" in port:
                opening["connections"] = int(port["connections"])
            found.append(opening)
    return sorted(found, key=lambda opening: (opening["port"], opening["name"]))


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """The filters by name."""
        return {"openings": openings}
