"""Which transactions of the binlog concern a captured table."""

from __future__ import annotations

import module_paths
import pytest

binlog = module_paths.module_utils("binlog")

Row = tuple[str, str]


def server(rows: list[Row], folded: str = "0") -> object:
    """Answer as a server whose binlog has one transaction of these events (kind, text)."""
    events = [("Format_desc", ""), ("Gtid", "BEGIN GTID 0-1-7"), *rows, ("Xid", "COMMIT /* */")]
    listed = [("b.1", 0, kind, 1, 100 * (i + 1), text) for i, (kind, text) in enumerate(events)]

    def sql(statement: str) -> list[tuple[object, ...]]:
        if "lower_case_table_names" in statement:
            return [(folded,)]
        return [("b.1", 999)] if statement == "SHOW BINARY LOGS" else list(listed)

    return sql


@pytest.mark.parametrize(
    ("rows", "folded", "kind", "captured"),
    [
        ([("Table_map", "table_id: 3 (helfy.users)")], "0", "rows", True),
        ([("Table_map", "table_id: 3 (helfy.Users)")], "0", "rows", False),
        ([("Table_map", "table_id: 3 (helfy.Users)")], "1", "rows", True),
        ([("Table_map", "table_id: 3 (other.users)")], "0", "rows", False),
        ([("Table_map", "t: 3 (helfy.t)"), ("Table_map", "t: 4 (helfy.users)")], "0", "rows", True),
        ([("Query", "use `helfy`; ALTER TABLE users ADD a INT")], "0", "statement", True),
        ([("Query", "use `helfy`; ALTER TABLE `users` ADD a INT")], "0", "statement", True),
        ([("Query_compressed", "use `helfy`; DROP TABLE users")], "0", "statement", True),
        ([("Query", "use `helfy`; ALTER TABLE users_old ADD a INT")], "0", "statement", False),
        ([("Query", "use `other`; ALTER TABLE users ADD a INT")], "0", "statement", False),
        ([("Query", "use `other`; ALTER TABLE helfy.users ADD a INT")], "0", "statement", True),
        ([("Query", "use `other`; RENAME TABLE t TO `helfy`.x")], "0", "statement", True),
        ([("Query", "ALTER TABLE `helfy`.`users` ADD a INT")], "0", "statement", True),
        ([("Query", "COMMIT")], "0", "rows", False),
    ],
)  # fmt: skip
def test_transaction_of_a_captured_table_is_told(
    rows: list[Row], folded: str, kind: str, captured: bool
) -> None:
    [found] = binlog.transactions(
        server(rows, folded), ("b.1", 4), "", "helfy", ["users", "sessions"]
    )
    assert (found.gtid, found.kind, found.captured) == ("0-1-7", kind, captured)
    assert (found.file, found.start, found.end) == ("b.1", 200, 100 * (len(rows) + 3))


def test_transactions_that_were_read_are_left_out() -> None:
    given = (server([]), ("b.1", 4), "0-1-7,1-1-9", "helfy", ["users"])
    assert list(binlog.transactions(*given)) == []
    assert len(list(binlog.transactions(given[0], given[1], "0-1-6", *given[3:]))) == 1


def test_purged_file_is_an_error() -> None:
    with pytest.raises(binlog.BinlogError, match="the binlog begins with"):
        list(binlog.transactions(server([]), ("b.0", 4), "", "helfy", ["users"]))
