"""Take out of a change what must never be seen, whatever the source was told to leave out.

A redacted column is absent from ``key``, ``data`` and ``old``, as one that is never captured
is, and its name stands in ``redacted``. Names are compared without regard to case. Inside JSON
(objects, and strings that hold JSON) members of such names go too, listed by their path:
``profile.password_hash``. In a DDL the string literals that may be secrets are replaced, listed
as ``sql``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from helfy.consumer.change import Change
from helfy.consumer.redact_sql import SqlRedactor
from helfy.consumer.wire import Json, NotJsonError, Row, compact, parse, text

_MAX_LISTED: Final = 64
_MAX_NAME: Final = 128
_MAX_NESTED_STRINGS: Final = 4


@dataclass(frozen=True, slots=True)
class Redacted:
    """A change without secrets, and the names of what is missing, sorted.

    ``leaked`` are the secret columns that were captured nevertheless.
    """

    change: Change
    names: tuple[str, ...]
    leaked: tuple[str, ...]


class Redactor:
    """Redacts by configuration: columns by name everywhere, and the secret ones of each table."""

    def __init__(self, columns: Iterable[str], secret: Mapping[str, Iterable[str]]) -> None:
        self._columns = frozenset(name.casefold() for name in columns)
        self._secret = {table.lower(): tuple(names) for table, names in secret.items()}
        everywhere = {name.casefold() for names in self._secret.values() for name in names}
        self._sql = SqlRedactor(self._columns | everywhere)

    def redact(self, change: Change) -> Redacted:
        """Give the change without what must not be seen."""
        secret = self._secret.get(change.table_name, ())
        sweep = _Sweep(self._columns | {name.casefold() for name in secret})
        key = None if change.key is None else sweep.row(change.key)
        data = sweep.row(change.data)
        before = sweep.row(change.before)
        sql = change.sql
        if sql is not None:
            sql = self._sql.redact(sql)
            if sql != change.sql:
                sweep.found["sql"] = "sql"
        names = {**sweep.found, **{name.casefold(): name for name in secret}}
        return Redacted(
            replace(change, key=key, data=data, before=before, sql=sql),
            tuple(sorted(names.values())[:_MAX_LISTED]),
            tuple(sorted(name for name in secret if name.casefold() in sweep.found)),
        )


class _Sweep:
    """One pass over a change; ``found`` are the names it took out, by their folded name."""

    def __init__(self, secret: frozenset[str]) -> None:
        self._secret = secret
        self.found: dict[str, str] = {}

    def row(self, row: Row) -> Row:
        return self._members(row, "", _MAX_NESTED_STRINGS)

    def _members(self, row: Row, path: str, strings: int) -> Row:
        kept: Row = {}
        for name, value in row.items():
            if name.casefold() in self._secret:
                full = (path + name)[:_MAX_NAME]
                self.found.setdefault(full.casefold(), full)
            elif isinstance(value, str | dict | list):
                kept[name] = self._value(value, f"{path}{name}."[:_MAX_NAME], strings)
            else:
                kept[name] = value
        return kept

    def _value(self, value: Json, path: str, strings: int) -> Json:
        if isinstance(value, dict):
            return self._members(value, path, strings)
        if isinstance(value, list):
            return [self._value(item, path, strings) for item in value]
        if isinstance(value, str) and strings and self._may_hold(value):
            return self._json(value, path, strings - 1)
        return value

    def _may_hold(self, value: str) -> bool:
        if not value.lstrip().startswith(("{", "[", '"')):
            return False
        folded = value.casefold()
        # An escape may spell a name in another way.
        return "\\u" in folded or any(name in folded for name in self._secret)

    def _json(self, value: str, path: str, strings: int) -> Json:
        try:
            parsed = parse(value)
        except NotJsonError:
            return value
        swept = self._value(parsed, path, strings)
        return value if swept == parsed else text(compact(swept))
