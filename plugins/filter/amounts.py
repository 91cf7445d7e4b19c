"""Amounts as numbers, to be compared. What is no amount is 0: its role says that it is none."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

_FACTORS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def as_bytes(value: object) -> int:
    """Bytes of an amount such as 64M, 1g or 4096."""
    read = re.fullmatch(r"(\d+)([kKmMgG]?)", str(value))
    return int(read[1]) * _FACTORS[read[2].lower()] if read else 0


def as_mb(value: object) -> int:
    """The same in whole MB of 1024 * 1024 bytes."""
    return as_bytes(value) // 1024**2


def in_network(value: object, gateway: object, prefix: object) -> bool:
    """Whether a host may have the address in the gateway's network."""
    try:
        network = ipaddress.IPv4Network(f"{gateway}/{prefix}", strict=False)
        address = ipaddress.IPv4Address(str(value))
    except ValueError:
        return False
    taken = {
        network.network_address,
        network.broadcast_address,
        ipaddress.IPv4Address(str(gateway)),
    }
    return address in network and address not in taken


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """The filters by name."""
        return {
            "as_bytes": as_bytes,
            "as_mb": as_mb,
            "in_network": in_network,
        }
