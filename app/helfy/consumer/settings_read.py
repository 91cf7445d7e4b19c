"""Read values out of a TOML table, each with a clear refusal."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

from helfy.config import readable

_SERVER: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):([0-9]{1,5})")
# What Kafka allows for a topic; a group's name may be more, but need not.
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_TABLE: Final = re.compile(r"[^\s.]+\.[^\s.]+")
_MAX_PORT: Final = 65_535
_SHOWN: Final = 80


class SettingsError(ValueError):
    """The configuration is refused; the message names file, key, value and remedy."""


class Table:
    """A table of the file, for messages that say where a value stands."""

    def __init__(self, path: Path, name: str, content: Mapping[str, object]) -> None:
        self._path = path
        self._name = name
        self._content = content

    def only(self, *known: str) -> None:
        """Refuse keys that are not known."""
        for key in self._content:
            if key not in known:
                self._refuse(key, "is not known", f"remove it; known are {', '.join(known)}")

    def table(self, key: str) -> "Table":
        """Give a table in this one, empty where there is none."""
        value = self._content.get(key, {})
        if not isinstance(value, dict):
            self._refuse(key, "is no table", f"write it as [{key}]")
        return Table(self._path, f"{self._name}{key}.", value)

    def has(self, key: str) -> bool:
        """Say whether a key is there."""
        return key in self._content

    def name(self, key: str, default: str | None = None) -> str:
        """Give a name of Kafka's."""
        value = self._content.get(key, default)
        if value is None:
            self._refuse(key, "is missing", "give the name of it in Kafka")
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            self._refuse(key, "is no name", "use letters, digits, '.', '_' and '-', at most 249")
        return value

    def servers(self, key: str) -> tuple[str, ...]:
        """Give a list of HOST:PORT, one at least."""
        remedy = 'give a list of "HOST:PORT", such as ["127.0.0.1:9092"]'
        if key not in self._content:
            self._refuse(key, "is missing", remedy)
        servers = self._strings(key, (), remedy)
        for server in servers:
            match = _SERVER.fullmatch(server)
            if match is None or not 0 < int(match[1]) <= _MAX_PORT:
                self._refuse(key, "holds what is no address", remedy)
        if not servers:
            self._refuse(key, "is empty", remedy)
        return servers

    def server(self, key: str) -> str | None:
        """Give one HOST:PORT, None where there is none."""
        value = self._content.get(key)
        match = _SERVER.fullmatch(value) if isinstance(value, str) else None
        if value is not None and (match is None or not 0 < int(match[1]) <= _MAX_PORT):
            self._refuse(key, "is no address", 'give "HOST:PORT", such as "127.0.0.1:9101"')
        return value if isinstance(value, str) else None

    def file(self, key: str) -> str | None:
        """Give the path of a file that can be read, None where there is none."""
        value = self._content.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            self._refuse(key, "is no path", "give that of a file")
        try:
            return readable(value)
        except ValueError:
            self._refuse(key, "cannot be read", "name a file that can, or remove the setting")

    def integer(self, key: str, default: int, least: int, most: int) -> int:
        """Give a whole number within bounds."""
        value = self._content.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self._refuse(key, "does not do", f"give a whole number from {least} to {most}")
        return value

    def names(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Give a list of columns' names."""
        return self._strings(key, default, 'give a list of columns, such as ["password_hash"]')

    def names_by_table(self) -> dict[str, tuple[str, ...]]:
        """Give this whole table as columns by ``database.table``."""
        for key in self._content:
            self._table_name(key)
        return {key.lower(): self.names(key, ()) for key in self._content}

    def _table_name(self, key: str) -> None:
        if not _TABLE.fullmatch(key):
            self._refuse(key, "names no table", 'write it as "DATABASE.TABLE", in quotes')

    def _strings(self, key: str, default: tuple[str, ...], remedy: str) -> tuple[str, ...]:
        value = self._content.get(key, list(default))
        if not isinstance(value, list):
            self._refuse(key, "is no list", remedy)
        if not all(isinstance(item, str) and item for item in value):
            self._refuse(key, "holds what is no text", remedy)
        return tuple(value)

    def _refuse(self, key: str, what: str, remedy: str) -> NoReturn:
        shown = f" = {self._content[key]!r}"[:_SHOWN] if key in self._content else ""
        raise SettingsError(f"{self._path}: {self._name}{key}{shown} {what}: {remedy}")
