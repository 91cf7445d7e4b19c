"""Take out of a change what must never be seen, whatever the source was told to capture.

A column that is not listed as captured is absent from ``key``, ``data`` and ``old``, as one that
the source keeps back is, and its name stands in ``redacted``; so is every column of a table that
is not listed. Redacted as well: columns of certain names in any table, members of such names
inside JSON (objects, and strings that hold JSON; listed by their path: ``profile.password_hash``),
and values that hold a password's hash, whatever their column. Names are compared without regard
to case. In a DDL the literals that may be secrets are replaced, listed as ``sql``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from helfy.consumer.change import Change
from helfy.consumer.redact_sql import SqlRedactor
from helfy.consumer.wire import Json, NotJsonError, Row, compact, parse, text

_MAX_LISTED: Final = 64
_MAX_NAME: Final = 128
_MAX_NESTED_STRINGS: Final = 4
# As bcrypt writes it: with a salt of 22 characters at least.
_PASSWORD_HASH: Final = re.compile(r"\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{22}")


@dataclass(frozen=True, slots=True)
class Redacted:
    """A change without secrets, and the names of what is missing, sorted.

    ``leaked`` are columns that should never have reached the topic; ``*`` is the whole table.
    """

    change: Change
    names: tuple[str, ...]
    leaked: tuple[str, ...]


class Redactor:
    """Redacts by lists of columns, by ``database.table``: what is captured, and what is secret.

    ``columns`` are secret in every table.
    """

    def __init__(
        self,
        columns: Iterable[str],
        captured: Mapping[str, Iterable[str]],
        secret: Mapping[str, Iterable[str]],
    ) -> None:
        self._columns = frozenset(name.casefold() for name in columns)
        self._captured = {
            table.lower(): frozenset(name.casefold() for name in names)
            for table, names in captured.items()
        }
        self._secret = {table.lower(): tuple(names) for table, names in secret.items()}
        everywhere = {name.casefold() for names in self._secret.values() for name in names}
        self._sql = SqlRedactor(
            self._columns | everywhere, frozenset().union(*self._captured.values())
        )

    def redact(self, change: Change) -> Redacted:
        """Give the change without what must not be seen."""
        captured = self._captured.get(change.table_name)
        secret = self._secret.get(change.table_name, ())
        sweep = _Sweep(
            captured or frozenset(), self._columns | {name.casefold() for name in secret}
        )
        key = None if change.key is None else sweep.row(change.key)
        data = sweep.row(change.data)
        before = sweep.row(change.before)
        leaked = sorted(sweep.leaked.values())
        if captured is None:
            key = None
            leaked = ["*"] if leaked else []
        sql = change.sql
        if sql is not None:
            sql = self._sql.redact(sql, captured=captured is not None)
            if sql != change.sql:
                sweep.found["sql"] = "sql"
        names = {**sweep.found, **{name.casefold(): name for name in secret}}
        return Redacted(
            replace(change, key=key, data=data, before=before, sql=sql),
            tuple(sorted(names.values())[:_MAX_LISTED]),
            tuple(leaked),
        )


class _Sweep:
    """One pass over a change.

    ``found`` are the names it took out, by their folded name; ``leaked`` the columns among them
    that must not be on the topic.
    """

    def __init__(self, captured: frozenset[str], secret: frozenset[str]) -> None:
        self._captured = captured - secret
        self._secret = secret
        self.found: dict[str, str] = {}
        self.leaked: dict[str, str] = {}

    def row(self, row: Row) -> Row:
        kept: Row = {}
        for name, value in row.items():
            if name.casefold() not in self._captured or _is_password_hash(value):
                self._take(name)
                self.leaked.setdefault(name.casefold(), name[:_MAX_NAME])
            else:
                kept[name] = self._value(value, f"{name}."[:_MAX_NAME], _MAX_NESTED_STRINGS)
        return kept

    def _take(self, path: str) -> None:
        full = path[:_MAX_NAME]
        self.found.setdefault(full.casefold(), full)

    def _members(self, row: Row, path: str, strings: int) -> Row:
        kept: Row = {}
        for name, value in row.items():
            if name.casefold() in self._secret or _is_password_hash(value):
                self._take(path + name)
            else:
                kept[name] = self._value(value, f"{path}{name}."[:_MAX_NAME], strings)
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


def _is_password_hash(value: Json) -> bool:
    return isinstance(value, str) and "$2" in value and bool(_PASSWORD_HASH.search(value))
