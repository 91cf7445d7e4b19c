"""No secret gets out of a DDL, and what is harmless in one stays."""

import pytest
from consumer_support import SETTINGS, ddl, line
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helfy.consumer.redact_sql import SqlRedactor

SECRET = "s3cr3t-7f00d"


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        (
            f"ALTER USER 'bob'@'%' IDENTIFIED BY '{SECRET}'",
            "ALTER USER 'bob'@'%' IDENTIFIED BY '[redacted]'",
        ),
        (
            f"set password for bob = password('it''s {SECRET}')",
            "set password for bob = password('[redacted]')",
        ),
        (
            f'CREATE USER a IDENTIFIED BY "{SECRET}" REQUIRE SSL',
            "CREATE USER a IDENTIFIED BY '[redacted]' REQUIRE SSL",
        ),
        (
            "GRANT ALL ON *.* TO a IDENTIFIED BY PASSWORD 0xABCDEF",
            "GRANT ALL ON *.* TO a IDENTIFIED BY PASSWORD '[redacted]'",
        ),
        (
            f"ALTER TABLE users ALTER `password_hash` SET DEFAULT '{SECRET}'",
            "ALTER TABLE users ALTER `password_hash` SET DEFAULT '[redacted]'",
        ),
        (
            f"CREATE USER a IDENTIFIED BY 'x\\' OR '{SECRET}'",
            "CREATE USER a IDENTIFIED BY '[redacted]' …",
        ),
        (
            f"CREATE USER a /*!50700 IDENTIFIED BY '{SECRET}*/{SECRET}' */",
            "CREATE USER a /*!50700 IDENTIFIED BY '[redacted]' …",
        ),
        (
            f"ALTER USER a IDENTIFIED BY 'x' -- was {SECRET}",
            "ALTER USER a IDENTIFIED BY '[redacted]' /* … */",
        ),
        (
            f"ALTER USER a IDENTIFIED BY '{SECRET}",
            "ALTER USER a IDENTIFIED BY '[redacted]' …",
        ),
    ],
)
def test_secrets_in_a_ddl_are_replaced(sql: str, written: str) -> None:
    told = line(ddl(sql))["change"]
    assert told["sql"] == written
    assert told["redacted"] == ["password_hash", "sql"]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE users (role ENUM('user','admin') DEFAULT 'user' CHECK (role <> 'x'))",
        "ALTER TABLE users ADD password_changed_at DATETIME(6) COMMENT 'it''s visible'",
        "ALTER TABLE `users` ADD COLUMN `note` VARCHAR(9) DEFAULT _UTF8MB4'ok'",
        "CREATE TABLE users (id INT /*T![clustered_index] CLUSTERED */) COMMENT='of people'",
        "ALTER TABLE users ADD PARTITION (PARTITION p VALUES IN ('x'))",
        "GRANT SELECT ON app.* TO 'bob'@'%'",
        "DROP TABLE `x`",
    ],
)
def test_a_ddl_without_secrets_stays_as_it_is(sql: str) -> None:
    told = line(ddl(sql))["change"]
    assert told["sql"] == sql
    assert told["redacted"] == ["password_hash"]


HASH = "$2b$12$abcdefghijklmnopqrstuu.WXYZ0123456789./abcdefghijklmno"


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        ("ALTER TABLE users ADD pw TEXT DEFAULT 'x'", "ALTER TABLE users ADD pw TEXT DEFAULT '*'"),
        (
            "ALTER TABLE users ADD note TEXT DEFAULT 'ok', ADD api_token TEXT DEFAULT 'x'",
            "ALTER TABLE users ADD note TEXT DEFAULT 'ok', ADD api_token TEXT DEFAULT '*'",
        ),
        (
            f"ALTER TABLE users ADD note TEXT DEFAULT '{HASH}' COMMENT 'a note'",
            "ALTER TABLE users ADD note TEXT DEFAULT '*' COMMENT 'a note'",
        ),
        (
            f"CREATE TABLE users (id INT) COMMENT='{HASH}'",
            "CREATE TABLE users (id INT) COMMENT='*'",
        ),
        (
            f"CREATE TABLE users (a INT CHECK (a <> '{HASH}'))",
            "CREATE TABLE users (a INT CHECK (a <> '*'))",
        ),
        (
            f"ALTER TABLE users ADD a TEXT AS (IF(b = '{HASH}', 'x', 'y')) STORED",
            "ALTER TABLE users ADD a TEXT AS (IF(b = '*', 'x', 'y')) STORED",
        ),
        (
            f"ALTER TABLE users ADD PARTITION (PARTITION p VALUES IN ('{HASH}'))",
            "ALTER TABLE users ADD PARTITION (PARTITION p VALUES IN ('*'))",
        ),
        (
            f"CREATE VIEW users AS SELECT '{HASH}' AS email, 'x' AS role",
            "CREATE VIEW users AS SELECT '*' AS email, 'x' AS role",
        ),
        (
            f"CREATE TABLE users SELECT 0x{HASH[7:].encode().hex()} AS a",
            "CREATE TABLE users SELECT '*' AS a",
        ),
        (f"ALTER TABLE users ADD a INT -- {HASH}", "ALTER TABLE users ADD a INT /* … */"),
        (
            f"ALTER TABLE users ADD a INT DEFAULT 'it\\'s', ADD b TEXT DEFAULT '{HASH}'",
            "ALTER TABLE users ADD a INT DEFAULT '*' …",
        ),
        (
            f"ALTER TABLE users ADD a INT /*!50000 DEFAULT '{HASH}' */",
            "ALTER TABLE users ADD a INT /*!50000 DEFAULT '*' …",
        ),
    ],
)
def test_what_may_be_a_secret_in_a_ddl_is_replaced(sql: str, written: str) -> None:
    told = line(ddl(sql))["change"]
    assert told["sql"] == written.replace("'*'", "'[redacted]'")
    assert told["redacted"] == ["password_hash", "sql"]


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        (
            "CREATE TABLE c (role ENUM('a') DEFAULT 'a')",
            "CREATE TABLE c (role ENUM('*') DEFAULT '*')",
        ),
        ("CREATE VIEW v AS SELECT 'x', 0xAB /* y */", "CREATE VIEW v AS SELECT '*', '*' /* … */"),
        ("CREATE TABLE `c` LIKE `users`", "CREATE TABLE `c` LIKE `users`"),
        ("CREATE DATABASE app COMMENT 'x'", "CREATE DATABASE app COMMENT '*'"),
    ],
)
def test_no_literal_in_a_ddl_of_another_table_stays(sql: str, written: str) -> None:
    told = line(ddl(sql, table="c"), captured=SETTINGS.captured)["change"]
    assert told["sql"] == written.replace("'*'", "'[redacted]'")


USERS = (
    "CREATE TABLE users (id INT, password_hash VARCHAR(255) NOT NULL{}, "
    "role ENUM('user','admin') DEFAULT 'user' COMMENT 'what may be done') COMMENT='accounts'"
)


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        (USERS.format(""), USERS.format("")),
        (USERS.format(f" DEFAULT '{SECRET}'"), USERS.format(" DEFAULT '[redacted]'")),
        (
            f"ALTER TABLE u ADD a SET('x','y'), ADD password_hash ENUM('{SECRET}','b'), ADD b INT",
            (
                "ALTER TABLE u ADD a SET('x','y'), "
                "ADD password_hash ENUM('[redacted]','[redacted]'), ADD b INT"
            ),
        ),
        (
            f"ALTER TABLE u ADD a INT DEFAULT '1', ALTER password_hash SET DEFAULT ('{SECRET}')",
            "ALTER TABLE u ADD a INT DEFAULT '1', ALTER password_hash SET DEFAULT ('[redacted]')",
        ),
        # As TiDB writes them: each literal with its character set.
        (
            (
                f"ALTER TABLE `users` ADD `a` VARCHAR(9) DEFAULT _UTF8MB4'ok' COMMENT N'it', "
                f"ADD `b` ENUM(_UTF8MB4'x',_utf8mb4 'y'), "
                f"ADD `password_hash` TEXT DEFAULT _UTF8MB4'{SECRET}'"
            ),
            (
                "ALTER TABLE `users` ADD `a` VARCHAR(9) DEFAULT _UTF8MB4'ok' COMMENT N'it', "
                "ADD `b` ENUM(_UTF8MB4'x',_utf8mb4 'y'), "
                "ADD `password_hash` TEXT DEFAULT _UTF8MB4'[redacted]'"
            ),
        ),
        # The value of a redacted column far from its name: nothing stays.
        (
            f"CREATE TABLE t (a INT COMMENT 'x', password_hash TEXT) SELECT 1, '{SECRET}'",
            (
                "CREATE TABLE t (a INT COMMENT '[redacted]', password_hash TEXT) "
                "SELECT 1, '[redacted]'"
            ),
        ),
        (
            f"ALTER TABLE t CHANGE password_hash pw TEXT, ALTER pw SET DEFAULT '{SECRET}'",
            "ALTER TABLE t CHANGE password_hash pw TEXT, ALTER pw SET DEFAULT '[redacted]'",
        ),
        (
            f"CREATE TABLE t (a INT) ENGINE=FEDERATED CONNECTION='mysql://u:{SECRET}@h/d/t'",
            "CREATE TABLE t (a INT) ENGINE=FEDERATED CONNECTION='[redacted]'",
        ),
        (
            f"CREATE TABLE t SELECT '{SECRET}' AS password_hash",
            "CREATE TABLE t SELECT '[redacted]' AS password_hash",
        ),
        # Quotes that are not what they seem: all goes.
        (
            f"ALTER USER x COMMENT 'the password' IDENTIFIED BY '{SECRET}'",
            "ALTER USER x COMMENT '[redacted]' …",
        ),
        (
            f"ALTER USER IDENTIFIED BY 0xABC /* {SECRET} */ '",
            "ALTER USER IDENTIFIED BY '[redacted]' …",
        ),
    ],
)
def test_a_definition_of_a_table_keeps_what_is_harmless(sql: str, written: str) -> None:
    assert SqlRedactor(["password_hash"]).redact(sql) == written


@given(st.text("'\"`\\ ax", max_size=12), st.text("ax =;'\"`", max_size=8))
@example(before="\"'\"' ", after="")
@example(before="\"'\"' ", after="'")
@example(before='"`"` ', after="`")
@settings(max_examples=200, deadline=None)
def test_no_literal_after_a_password_word_survives(before: str, after: str) -> None:
    redactor = SqlRedactor(())
    # Whatever stands before it, in any mode of SQL: the secret is the last literal.
    if before.count("'") % 2 or before.count('"') % 2 or before.count("`") % 2:
        return
    sql = f"ALTER USER {before} IDENTIFIED BY '{SECRET}' {after}"
    if "\\" not in before and any(f"{quote} IDENTIFIED" in sql for quote in "'\"`"):
        return
    assert SECRET not in redactor.redact(sql)


columns = st.sampled_from(["password_hash", "`password_hash`", '"password_hash"'])
others = st.lists(
    st.sampled_from(
        [
            "a INT DEFAULT 1 COMMENT 'it''s'",
            "b ENUM('x','y') DEFAULT 'x'",
            "`d` VARCHAR(9) DEFAULT _UTF8MB4'w'",
            "`c` VARCHAR(9) CHECK (c <> 'z')",
            "KEY k (a, b)",
        ]
    ),
    max_size=3,
)
values = st.sampled_from(
    [
        f"DEFAULT '{SECRET}'",
        f"DEFAULT ('{SECRET}')",
        f"ENUM('a','{SECRET}') DEFAULT 'a'",
        f"TEXT COMMENT '{SECRET}'",
        f"TEXT CHECK (x IN ('a', '{SECRET}'))",
        f"TEXT /* {SECRET} */ DEFAULT x'00'",
        f"TEXT DEFAULT _utf8'{SECRET}' 'x'",
    ]
)


@given(others, columns, values, others, st.booleans())
@settings(max_examples=200, deadline=None)
def test_property_no_definition_tells_a_value_of_a_redacted_column(
    before: list[str], column: str, value: str, after: list[str], create: bool
) -> None:
    clauses = [*before, f"{column} {value}", *after]
    sql = (
        f"CREATE TABLE t ({', '.join(clauses)}) COMMENT='t'"
        if create
        else f"ALTER TABLE t {', '.join('ADD ' + clause for clause in clauses)}"
    )
    written = SqlRedactor(["password_hash"]).redact(sql)
    assert SECRET not in written
    assert written.count("DEFAULT 'x'") == sum(clause[0] == "b" for clause in clauses)
    assert written.count("_UTF8MB4'w'") == sum(clause[:2] == "`d" for clause in clauses)
