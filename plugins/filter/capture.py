"""What is captured, in the words of the program that captures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence


def in_database(captured: Mapping[str, Sequence[str]], database: str) -> dict[str, list[str]]:
    """The columns of each table by ``database.table``."""
    return {f"{database}.{table}": list(columns) for table, columns in captured.items()}


def column_selectors(captured: Mapping[str, Sequence[str]]) -> list[dict[str, list[str]]]:
    """TiCDC's column selectors, out of a list of columns for each table: those and no others."""
    return [{"matcher": [table], "columns": list(columns)} for table, columns in captured.items()]


def capture_faults(
    found: Sequence[str], captured: Mapping[str, Sequence[str]], database: str
) -> list[str]:
    """What keeps tables of a database from being captured, a sentence for each.

    ``found`` are lines with tabs, of the tables that there are: name, type, index, column, whether
    the column may be null (YES), and what the server says of it (extra). A table has a line for
    each column of each unique index, and one with an empty index. Names in small letters.
    A table that is not there is no fault: it may be created later.
    """
    types: dict[str, str] = {}
    keys: dict[str, dict[str, list[tuple[str, bool]]]] = {}
    for line in found:
        table, kind, index, column, nullable, extra = [*line.split("\t"), "", "", "", ""][:6]
        types[table] = kind
        if index:
            sure = bool(column) and nullable != "YES" and "VIRTUAL" not in extra.upper()
            keys.setdefault(table, {}).setdefault(index, []).append((column.lower(), sure))
    return [
        f"captured table {database}.{table} cannot be recorded: {why}."
        for table, columns in captured.items()
        if table in types
        for why in _why_not(types[table], keys.get(table, {}), set(columns))
    ]


def _why_not(
    kind: str, keys: Mapping[str, Sequence[tuple[str, bool]]], columns: set[str]
) -> list[str]:
    if "BASE TABLE" not in kind:
        return ["it is no table. Remove it from capture_extra_columns"]
    usable = {
        name: [column for column, _ in parts]
        for name, parts in keys.items()
        if name == "PRIMARY" or all(sure for _, sure in parts)
    }
    if not usable:
        return ["it has no primary key, and no unique key without nullable columns. Add one"]
    needed = [usable["PRIMARY"]] if "PRIMARY" in usable else list(usable.values())
    if not any(columns.issuperset(key) for key in needed):
        missing = ", ".join(sorted(set(needed[0]) - columns))
        return [f"its key has {missing}, which is not listed. Add it to capture_extra_columns"]
    return []


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """The filters by name."""
        return {
            "capture_faults": capture_faults,
            "column_selectors": column_selectors,
            "in_database": in_database,
        }
