"""Tests of what a variable's value means, for the roles' tasks/validate.yml.

None of them fails on a value of another type: it is then simply not what was asked for.
"""

from __future__ import annotations

import ipaddress
import re
import zoneinfo
from collections.abc import Callable
from pathlib import Path

_HIGHEST_PORT = 65535


def is_whole(value: object, lowest: int = 0, highest: int | None = None) -> bool:
    """Whether it is a whole number (or reads as one) from lowest to highest."""
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,18}", str(value)):
        return False
    return lowest <= int(str(value)) and (highest is None or int(str(value)) <= highest)


def is_port(value: object) -> bool:
    """Whether it is a TCP port, 1 to 65535."""
    return is_whole(value, 1, _HIGHEST_PORT)


def is_ipv4(value: object) -> bool:
    """Whether it is an IPv4 address, four numbers with dots."""
    try:
        ipaddress.IPv4Address(str(value))
    except ValueError:
        return False
    return True


def is_network(value: object) -> bool:
    """Whether it is an IPv4 address or network, such as 10.0.0.0/8, whose host part is zero."""
    try:
        ipaddress.IPv4Network(str(value))
    except ValueError:
        return False
    return True


def is_host(value: object) -> bool:
    """Whether it is an IPv4 address or a host's name."""
    text = str(value)
    if re.fullmatch(r"[\d.]+", text):
        return is_ipv4(text)
    return (
        re.fullmatch(r"(?=.{1,253}$)([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.|$))+", text)
        is not None
    )


def is_server(value: object) -> bool:
    """Whether it is host:port."""
    host, _, port = str(value).rpartition(":")
    return is_host(host) and is_port(port)


def is_size(value: object) -> bool:
    """Whether it is an amount of memory or disk, such as 64M or 1G."""
    return re.fullmatch(r"[1-9]\d{0,8}[kKmMgG]", str(value)) is not None


def is_time_zone(value: object) -> bool:
    """Whether the zone database knows it; where there is none here, whether it may."""
    name = str(value)
    if re.fullmatch(r"[A-Za-z]+(/[A-Za-z0-9_+-]+)*", name) is None:
        return False
    folders = [folder for folder in map(Path, zoneinfo.TZPATH) if (folder / "UTC").is_file()]
    return not folders or any((folder / name).is_file() for folder in folders)


def is_database_name(value: object) -> bool:
    """Whether it is a name that needs no quoting anywhere, of a database, a table or a column."""
    return re.fullmatch(r"[a-z][a-z0-9_]{0,63}", str(value)) is not None


def is_topic_name(value: object) -> bool:
    """Whether Kafka takes it as the name of a topic."""
    text = str(value)
    return re.fullmatch(r"[A-Za-z0-9._-]{1,249}", text) is not None and text not in {".", ".."}


def is_columns(value: object, *, qualified: bool = False) -> bool:
    """Whether it is a list of columns, not empty, for each table (database.table if qualified)."""
    return isinstance(value, dict) and all(
        (re.fullmatch(r"\w+\.\w+", str(table)) if qualified else is_database_name(table))
        and isinstance(columns, list)
        and bool(columns)
        and all(is_database_name(column) for column in columns)
        for table, columns in value.items()
    )


def is_secret(value: object, shortest: int = 16) -> bool:
    """Whether it is long enough, on one line, without what quotes or ends in a configuration."""
    return len(str(value)) >= shortest and re.search(r"[\s'\"\\]", str(value)) is None


class TestModule:
    """What Ansible looks for."""

    def tests(self) -> dict[str, Callable[..., bool]]:
        """The tests by name."""
        return {
            "columns": is_columns,
            "database_name": is_database_name,
            "host": is_host,
            "ipv4": is_ipv4,
            "network": is_network,
            "port": is_port,
            "secret": is_secret,
            "server": is_server,
            "size": is_size,
            "time_zone": is_time_zone,
            "topic_name": is_topic_name,
            "whole": is_whole,
        }
