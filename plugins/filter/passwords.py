"""What the folder of the secrets holds beside them: accounts in use, former and next keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ACCOUNTS_FILE = "database_accounts.json"


def accounts_in_use(folder: str, names: Sequence[str]) -> dict[str, str]:
    """Return the database account that is in use, by secret: helfy_api or helfy_api_2."""
    kept = _accounts(folder)
    return {name: kept.get(name, {}).get("in_use") or _first(name) for name in names}


def accounts_retiring(folder: str, names: Sequence[str]) -> list[str]:
    """Return the accounts that a rotation which has not ended takes out of use."""
    kept = _accounts(folder)
    return [kept[name]["retiring"] for name in names if kept.get(name, {}).get("retiring")]


def accounts_idle(folder: str, names: Sequence[str]) -> list[str]:
    """Return the accounts that nobody uses: of each pair one, unless it is retiring still."""
    kept = _accounts(folder)
    return [
        twin_account(account)
        for name, account in accounts_in_use(folder, names).items()
        if not kept.get(name, {}).get("retiring")
    ]


def twin_account(account: str) -> str:
    """Return the other account of a pair: helfy_api_2 for helfy_api, and the reverse."""
    return account.removesuffix("_2") if account.endswith("_2") else f"{account}_2"


def keys_with_others(key: str, folder: str, name: str) -> list[str]:
    """The key that signs, first; then the next one, and those that signed before, newest first."""
    former = [line.split()[-1] for line in _text(folder, f"{name}.before").splitlines()]
    return list(
        dict.fromkeys(each for each in (key, _text(folder, f"{name}.next"), *former) if each)
    )


def _first(name: str) -> str:
    return f"helfy_{name.removeprefix('database_')}"


def _accounts(folder: str) -> Mapping[str, Mapping[str, str]]:
    kept: Mapping[str, Mapping[str, str]] = json.loads(_text(folder, ACCOUNTS_FILE) or "{}")
    return kept


def _text(folder: str, name: str) -> str:
    path = Path(folder).expanduser() / name
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """The filters by name."""
        return {
            "accounts_idle": accounts_idle,
            "accounts_in_use": accounts_in_use,
            "accounts_retiring": accounts_retiring,
            "keys_with_others": keys_with_others,
            "twin_account": twin_account,
        }
