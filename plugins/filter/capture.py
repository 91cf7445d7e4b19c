"""What is captured, in the words of the program that captures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence


def in_database(captured: Mapping[str, Sequence[str]], database: str) -> dict[str, list[str]]:
    """The columns of each table by ``database.table``."""
    return {f"{database}.{table}": list(columns) for table, columns in captured.items()}


def column_selectors(captured: Mapping[str, Sequence[str]]) -> list[dict[str, list[str]]]:
    """TiCDC's column selectors, out of a list of columns for each table: those and no others."""
    return [{"matcher": [table], "columns": list(columns)} for table, columns in captured.items()]


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """The filters by name."""
        return {"column_selectors": column_selectors, "in_database": in_database}
