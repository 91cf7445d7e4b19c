"""What stops change capture, and what its watchdog makes of it: on a real Kafka Connect."""

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy
from connect_server import Connect
from connect_watched import WAIT_SECONDS, Watched

from helfy.schema import CAPTURED_COLUMNS, metadata

DATABASE: Final = "helfy"
LITERAL: Final = "l1teral"
INSERT: Final = (
    "INSERT INTO users (username, email, password_hash) VALUES ('ann', 'ann@example.com', 'h4sh')"
)
SAMPLES: Final = Path(__file__).parents[1] / "samples" / "statements"


@pytest.fixture
def watched(connect: Connect, tmp_path: Path) -> Iterator[Watched]:
    connect.mariadb.execute(f"CREATE DATABASE {DATABASE}")
    connect.mariadb.execute("CREATE DATABASE other")
    engine = sqlalchemy.create_engine(
        f"mysql+pymysql://root@127.0.0.1:{connect.mariadb.port}/{DATABASE}"
    )
    try:
        metadata.create_all(engine)
        with connect.connector(DATABASE, CAPTURED_COLUMNS) as connector:
            yield Watched(connect, connector, tmp_path, list(CAPTURED_COLUMNS))
    finally:
        engine.dispose()
        for name in (DATABASE, "other"):
            connect.mariadb.execute(f"DROP DATABASE {name}")


def purge(watched: Watched) -> None:
    """Remove what Kafka Connect has not read, while it is stopped."""
    connect = watched.connect
    connect.stop()
    watched.run(INSERT, "FLUSH BINARY LOGS")
    with closing(connect.mariadb.connect()) as session, session.cursor() as cursor:
        cursor.execute("SHOW MASTER STATUS")
        [row] = cursor.fetchall()
        deadline = time.monotonic() + WAIT_SECONDS
        while True:  # who read the old one may not be gone yet
            cursor.execute(f"PURGE BINARY LOGS TO '{row[0]}'")
            cursor.execute("SHOW BINARY LOGS")
            if len(cursor.fetchall()) == 1:
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
    connect.start()


def lose_history(watched: Watched) -> None:
    watched.connect.stop()
    (watched.connector.state / "schema-history").unlink()
    watched.connect.start()


FAULTS: Final[dict[str, tuple[Callable[[Watched], None], str, str, str]]] = {
    "DDL that the grammar lacks": (
        lambda each: each.run(f"ALTER TABLE users ADD COLUMN ip INET6 COMMENT '{LITERAL}'"),
        "unparseable_ddl",
        "ALTER TABLE users ADD COLUMN ip INET6 COMMENT ...",
        r"capture-skip-transaction.yml -e capture_skip_gtid=[0-9]+-[0-9]+-[0-9]+$",
    ),
    "system versioning": (
        lambda each: each.run("ALTER TABLE users ADD SYSTEM VERSIONING", INSERT),
        "unparseable_ddl",
        "ALTER TABLE users ADD SYSTEM VERSIONING",
        r"capture-skip-transaction.yml -e capture_skip_gtid=[0-9]+-[0-9]+-[0-9]+$",
    ),
    "minimal row image": (
        lambda each: each.run(
            INSERT,
            "SET SESSION binlog_row_image = MINIMAL",
            f"UPDATE users SET email = '{LITERAL}@example.com'",
        ),
        "row_mismatch",
        "a row of users has ",
        r"capture-skip-transaction.yml -e capture_skip_gtid=[0-9]+-[0-9]+-[0-9]+$",
    ),
    "purged binlog": (purge, "binlog_purged", "was purged or reset", "capture-new-snapshot.yml"),
    "lost schema history": (
        lose_history,
        "position_lost",
        "the schema history that belongs to it is gone",
        "capture-new-snapshot.yml",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_lasting_fault_is_named_and_not_restarted(watched: Watched, fault: str) -> None:
    arrange, cause, words, remedy = FAULTS[fault]
    arrange(watched)
    how = watched.failed()
    assert how.cause == cause
    assert words in str(how.message)
    assert re.search(remedy, str(how.remedy))
    assert how.position
    assert LITERAL not in str(how)
    for _ in range(3):
        assert watched.watchdog.look() == how
    assert watched.restarts == 0


@pytest.mark.slow
def test_transaction_of_no_captured_table_is_skipped(
    watched: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (SAMPLES / "recovered.sql").read_text().splitlines()
    for script in [line.split(" ;; ") for line in lines if not line.startswith("-- ")]:
        watched.run(*script)
        watched.wait(lambda how: how.state == "running")
    watched.run(INSERT)
    deadline = time.monotonic() + WAIT_SECONDS
    while '"ann@example.com"' not in watched.text():
        watched.watchdog.look()
        assert time.monotonic() < deadline, watched.connector.status()
        time.sleep(0.2)
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["action"] for line in said} == {"transaction_skipped"}


@pytest.mark.slow
def test_captured_change_before_what_cannot_be_read_is_not_skipped(watched: Watched) -> None:
    watched.connect.stop(signal.SIGKILL)
    watched.run(INSERT, "USE other", "CREATE TABLE users (id INT PRIMARY KEY, ip INET6)")
    watched.connect.start()
    how: Any = None
    deadline = time.monotonic() + WAIT_SECONDS
    # Either it is on record by then, or nothing may be skipped.
    while '"ann@example.com"' not in watched.text() and time.monotonic() < deadline:
        how = watched.watchdog.look()
        if how.state == "failed":
            break
        time.sleep(0.2)
    assert '"ann@example.com"' in watched.text() or how.cause == "unparseable_ddl"
