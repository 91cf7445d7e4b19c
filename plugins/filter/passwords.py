"""What stands beside a secret in the folder of the secrets while it is rotated, and after."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def passwords_before(folder: str, names: Sequence[str]) -> dict[str, str]:
    """The passwords that are replaced but not forgotten yet, by name; others are left out."""
    return {name: text for name in names if (text := _text(folder, f"{name}.before"))}


def keys_with_others(key: str, folder: str, name: str) -> list[str]:
    """The key that signs, first; then the next one, and those that signed before, newest first."""
    former = [line.split()[-1] for line in _text(folder, f"{name}.before").splitlines()]
    return list(
        dict.fromkeys(each for each in (key, _text(folder, f"{name}.next"), *former) if each)
    )


def with_passwords(
    accounts: Iterable[Mapping[str, Any]], former: Mapping[str, str]
) -> list[dict[str, object]]:
    """Accounts of the database at each of their addresses, with the passwords accepted.

    The current one is the first.
    """
    return [
        {
            "name": account["name"],
            "host": host,
            "passwords": [
                each for each in (account["password"], former.get(account["secret"])) if each
            ],
        }
        for account in accounts
        for host in account["addresses"]
    ]


def accounts_at(accounts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Accounts of the database at each of their addresses, as its client prints them in columns."""
    return [f"{each['name']}\t{host}" for each in accounts for host in each["addresses"]]


def _text(folder: str, name: str) -> str:
    path = Path(folder).expanduser() / name
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """The filters by name."""
        return {
            "accounts_at": accounts_at,
            "keys_with_others": keys_with_others,
            "passwords_before": passwords_before,
            "with_passwords": with_passwords,
        }
