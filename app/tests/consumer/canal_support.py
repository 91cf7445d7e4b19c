"""Records of canal-json that are in order."""

from typing import Any

COMMIT_TS = 470669194426318858
COMMIT_MS = COMMIT_TS >> 18
TYPES = {"id": "bigint", "email": "varchar", "updated_at": "timestamp"}


def canal(kind: str = "UPDATE", **overrides: Any) -> dict[str, Any]:
    """A row's change, of a table with one visible column."""
    row = {"id": "1", "email": "new@example.com", "updated_at": "2026-11-23 19:01:29.000001"}
    value = {
        "id": 0,
        "database": "helfy",
        "table": "users",
        "pkNames": ["id"],
        "isDdl": False,
        "type": kind,
        "es": COMMIT_MS,
        "ts": COMMIT_MS + 400,
        "sql": "",
        "sqlType": {"id": -5, "email": 12, "updated_at": 93},
        "mysqlType": dict(TYPES),
        "data": [row],
        "old": [{**row, "email": "old@example.com"}] if kind == "UPDATE" else None,
        "_tidb": {"commitTs": COMMIT_TS},
    }
    return {**value, **overrides}


def column(mysql_type: str, text: str | None) -> dict[str, Any]:
    """The INSERT of a row with the column ``c`` besides its key."""
    return canal(
        "INSERT", mysqlType={"id": "bigint", "c": mysql_type}, data=[{"id": "1", "c": text}]
    )


def canal_ddl(sql: object, kind: str = "ALTER", **overrides: Any) -> dict[str, Any]:
    value = canal(kind, isDdl=True, sql=sql, pkNames=None, sqlType=None, mysqlType=None, data=None)
    return {**value, "old": None, **overrides}


def watermark(watermark_ts: int = COMMIT_TS) -> dict[str, Any]:
    nothing = {"database": "", "table": "", "sqlType": None, "mysqlType": None, "data": None}
    return canal("TIDB_WATERMARK", **nothing, pkNames=None, _tidb={"watermarkTs": watermark_ts})
