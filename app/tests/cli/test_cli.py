"""The command ``helfy``: on a real database and a real Kafka."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner, Result
from feed_topic import SECRET, Topic, eventually
from kafka_server import Kafka, free_port
from mariadb_server import API_LOGIN, MariaDB, migrate_options, option_file

from helfy.cli import audit
from helfy.cli.__main__ import program
from helfy.migrations.__main__ import main as migrate
from helfy.passwords import Hasher

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "a horse and a battery"
OTHER = "another staple, correct"


class Helfy:
    """The command with settings of its own."""

    def __init__(self, home: Path, mariadb: MariaDB) -> None:
        self.home = home
        self.mariadb = mariadb
        (home / "database_api").write_text(option_file(API_LOGIN))
        self.configure("127.0.0.1:1", "none")

    def configure(self, server: str, topic: str) -> None:
        (self.home / "api.toml").write_text(
            f'[server]\nprocesses = ["127.0.0.1:{free_port()}"]\n'
            f'[database]\nhost = "{self.mariadb.host}"\nport = {self.mariadb.port}\n'
            f'name = "cli"\n[passwords]\nbcrypt_cost = 4\n'
            f'[stream]\nbootstrap_servers = ["{server}"]\ntopic = "{topic}"\n'
            f"{Topic.captured_toml('stream.captured')}"
            '[stream.secret]\n"helfy.users" = ["password_hash"]\n'
        )

    @property
    def options(self) -> list[str]:
        return ["--config", f"{self.home}/api.toml", "--credentials", str(self.home)]

    def __call__(self, *words: str, given: str | None = None) -> Result:
        return CliRunner().invoke(program, [*self.options, *words], input=given, prog_name="helfy")

    def done(self, *words: str, given: str | None = None) -> str:
        result = self(*words, given=given)
        assert result.exit_code == 0, result.output + result.stderr
        return result.stdout

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(self.mariadb.connect("cli")) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            rows = list(cursor.fetchall())
            connection.commit()
            return rows


@pytest.fixture(scope="module")
def _migrated(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> MariaDB:
    mariadb.create_database("cli")
    home = tmp_path_factory.mktemp("migrate")
    assert migrate([*migrate_options(home, mariadb, "cli"), "upgrade"]) == 0
    return mariadb


@pytest.fixture
def helfy(_migrated: MariaDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Helfy:
    # No journal: lines of the audit go to stderr, also where these tests run under systemd.
    monkeypatch.setattr("helfy.consumer.journal.STREAM", tmp_path / "no-journal")
    made = Helfy(tmp_path, _migrated)
    for table in ("users", "sessions", "session_activity", "record_gaps"):
        made.sql(f"DELETE FROM {table}")
    hashed = Hasher(4).hash(PASSWORD)
    made.sql(
        "INSERT INTO users (id, username, email, password_hash, role) VALUES"
        f" (1, 'root', 'root@example.com', '{hashed}', 'admin'),"
        f" (2, 'ada', 'ada@example.com', '{hashed}', 'user')"
    )
    return made


def audited(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{")]


def test_an_account_is_added_with_a_password_from_standard_input(helfy: Helfy) -> None:
    words = ("user", "add", "Grace", "Grace@Example.com", "--role", "admin", "--json")
    result = helfy(*words, given=f"{PASSWORD}\n")
    assert result.exit_code == 0, result.stderr
    made = json.loads(result.stdout)
    assert (made["username"], made["email"], made["role"]) == (
        "grace",
        "grace@example.com",
        "admin",
    )
    assert made["mustChangePassword"] is True
    [(hashed,)] = helfy.sql("SELECT password_hash FROM users WHERE username = 'grace'")
    assert Hasher(4).matches(PASSWORD, hashed)
    [line] = audited(result)
    assert (line["action"], line["outcome"], line["targetId"]) == ("user_created", "ok", made["id"])
    assert line["by"]
    assert PASSWORD not in result.output + result.stderr
    assert hashed not in result.output + result.stderr


def test_no_option_takes_a_password(helfy: Helfy) -> None:
    for words in (("user", "add"), ("user", "passwd")):
        text = helfy.done(*words, "--help")
        assert "--password" not in text
    result = helfy("user", "passwd", "ada", PASSWORD, given=f"{OTHER}\n")
    assert result.exit_code == 2, "an argument too many"


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ("", "standard input"),
        ("short\n", "password"),
        ("password123\n", "password"),
        ("x" * 73 + "\n", "72 bytes"),
        ("ada@example.com\n", "password"),
    ],
)
def test_a_bad_password_is_refused(helfy: Helfy, given: str, word: str) -> None:
    result = helfy("user", "passwd", "ada", given=given)
    assert result.exit_code == 1
    assert word in result.stderr
    assert all(line["outcome"] == "refused" for line in audited(result))
    [(hashed,)] = helfy.sql("SELECT password_hash FROM users WHERE id = 2")
    assert Hasher(4).matches(PASSWORD, hashed), "the old one stays"


def test_another_password_ends_all_sessions(helfy: Helfy) -> None:
    open_session(helfy, 7)
    result = helfy("user", "passwd", "ada@example.com", "--keep", "--json", given=f"{OTHER}\r\n")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"id": 2, "sessionsEnded": 1}
    [(hashed,)] = helfy.sql("SELECT password_hash FROM users WHERE id = 2")
    assert Hasher(4).matches(OTHER, hashed)
    assert [line["action"] for line in audited(result)] == ["password_set"]


def test_accounts_are_listed_and_searched_for(helfy: Helfy) -> None:
    rows = json.loads(helfy.done("user", "list", "--json"))
    assert [row["username"] for row in rows] == ["root", "ada"]
    assert set(rows[0]) >= {"id", "email", "role", "status", "createdAt", "mustChangePassword"}
    assert "hash" not in json.dumps(rows).lower()
    text = helfy.done("user", "list", "--search", "AD", "--role", "user")
    assert [line.split()[:2] for line in text.splitlines()] == [["ID", "USERNAME"], ["2", "ada"]]
    many = ", ".join(f"('u{n}', 'u{n}@example.com', 'x')" for n in range(150))
    helfy.sql(f"INSERT INTO users (username, email, password_hash) VALUES {many}")
    assert len(json.loads(helfy.done("user", "list", "--json"))) == 152


def test_disable_enable_and_delete(helfy: Helfy) -> None:
    open_session(helfy, 7)
    helfy.done("user", "disable", "ada")
    assert helfy.sql("SELECT status FROM users WHERE id = 2") == [("disabled",)]
    assert json.loads(helfy.done("session", "list", "ada", "--json")) == []
    helfy.done("user", "enable", "ada")
    assert helfy.sql("SELECT status FROM users WHERE id = 2") == [("active",)]
    assert helfy("user", "delete", "ada", given="n\n").exit_code == 1
    assert helfy.sql("SELECT COUNT(*) FROM users") == [(2,)]
    # An admin's name has to be typed; this one is the last, too.
    assert "nothing was deleted" in helfy("user", "delete", "root", given="y\n").stderr
    assert "admin" in helfy("user", "delete", "root", given="root\n").stderr
    result = helfy("user", "delete", "ada", "--yes")
    assert result.exit_code == 0
    assert helfy.sql("SELECT COUNT(*) FROM users") == [(1,)]
    assert [line["action"] for line in audited(result)] == ["user_deleted"]


def test_refusals(helfy: Helfy) -> None:
    for words, word in (
        (("user", "disable", "nobody"), "user"),
        (("user", "disable", "root"), "admin"),
        (("user", "delete", "root", "--yes"), "admin"),
        (("session", "end", "ada", "99"), "no session 99"),
    ):
        result = helfy(*words)
        assert result.exit_code == 1, words
        assert word in result.stderr
    result = helfy("user", "add", "ada", "new@example.com", given=f"{PASSWORD}\n")
    assert (result.exit_code, "taken" in result.stderr) == (1, True)
    assert [line["outcome"] for line in audited(result)] == ["refused"]
    for words in (("session", "end", "ada"), ("session", "end", "ada", "7", "--all"), ("nothing",)):
        assert helfy(*words).exit_code == 2, words


def open_session(helfy: Helfy, number: int) -> None:
    helfy.sql(
        "INSERT INTO sessions (id, user_id, token_hash, expires_at, ip, user_agent) VALUES"
        f" ({number}, 2, SHA2('{number}', 256), UTC_TIMESTAMP() + INTERVAL 1 HOUR,"
        " '192.0.2.7', 'x')"
    )


def test_sessions_are_listed_and_ended(helfy: Helfy) -> None:
    for number in (7, 8, 9):
        open_session(helfy, number)
    rows = json.loads(helfy.done("session", "list", "ada", "--json"))
    assert {row["id"] for row in rows} == {7, 8, 9}
    assert rows[0]["ip"] == "192.0.2.7"
    assert "hash" not in json.dumps(rows).lower()
    result = helfy("session", "end", "ada", "8")
    assert audited(result)[0]["action"] == "sessions_ended"
    assert {row["id"] for row in json.loads(helfy.done("session", "list", "ada", "--json"))} == {
        7,
        9,
    }
    assert helfy.done("session", "end", "ada", "--all") == "sessions ended: 2\n"
    assert helfy.done("session", "list", "ada").splitlines()[1:] == []


def test_the_database_is_away(helfy: Helfy) -> None:
    helfy.mariadb.stop()
    try:
        result = helfy("user", "list")
    finally:
        helfy.mariadb.start()
    assert result.exit_code == 3
    assert "the database does not answer" in result.stderr


def test_tables_of_another_release(helfy: Helfy) -> None:
    helfy.mariadb.execute("RENAME TABLE cli.users TO cli.people")
    try:
        result = helfy("user", "list")
    finally:
        helfy.mariadb.execute("RENAME TABLE cli.people TO cli.users")
    assert result.exit_code == 1
    assert "not this release's (error 1146)" in result.stderr


def test_settings_that_cannot_be_read(helfy: Helfy) -> None:
    (helfy.home / "database_api").unlink()
    result = helfy("user", "list")
    assert result.exit_code == 78
    assert "database_api" in result.stderr
    (helfy.home / "api.toml").unlink()
    result = helfy("changes")
    assert (result.exit_code, "api.toml" in result.stderr) == (78, True)


@pytest.fixture
def topic(kafka: Kafka, helfy: Helfy) -> Topic:
    topic = Topic(kafka)
    helfy.configure(kafka.server, topic.name)
    return topic


def rows(text: str) -> list[int]:
    return [json.loads(line)["change"]["key"]["id"] for line in text.splitlines()]


def test_changes_as_they_were(helfy: Helfy, topic: Topic) -> None:
    topic.write(*(topic.change(row) for row in range(1, 6)), topic.change(6, "u"))
    assert rows(helfy.done("changes", "--format", "jsonl", "-n", "3")) == [4, 5, 6]
    assert rows(helfy.done("changes", "--json", "--since", "1h")) == [1, 2, 3, 4, 5, 6]
    assert helfy.done("changes", "--since", "2026-01-01T00:00:00Z", "--json", "--key", "2")
    assert rows(helfy.done("changes", "--json", "--type", "update")) == [6]
    assert helfy.done("changes", "--json", "--since", "2037-01-01") == ""
    text = helfy.done("changes")
    assert len(text.splitlines()) == 6
    last = text.splitlines()[-1]
    assert "UPDATE" in last
    assert "helfy.users  id=6  email: old -> 6@example.com" in last
    assert SECRET not in text
    assert helfy("changes", "--since", "yesterday").exit_code == 2


def test_changes_sent_again_are_marked(helfy: Helfy, topic: Topic) -> None:
    change = topic.change(1, "u", role=None)
    topic.write(change, topic.change(2), change)
    lines = helfy.done("changes").splitlines()
    assert ["(replay)" in line for line in lines] == [False, False, True]
    assert "None" not in lines[0]


def test_what_a_terminal_would_obey_is_not_printed(helfy: Helfy, topic: Topic) -> None:
    topic.write(topic.change(1, "u", email="\x1b[2J\x07evil"))
    assert "\x1b" not in helfy.done("changes")


def test_changes_go_on_until_they_are_interrupted(helfy: Helfy, topic: Topic) -> None:
    topic.write(*(topic.change(row) for row in range(1, 4)))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "app")}
    # Where the tests run in a shell's background they ignore SIGINT, and so would what they start.
    program = ["env", "--default-signal=INT", sys.executable, "-m", "helfy.cli", *helfy.options]
    out = helfy.home / "out"
    with out.open("wb") as output:
        process = subprocess.Popen(
            [*program, "changes", "-f", "--json", "-n2"], stdout=output, env=environment
        )
    try:
        eventually(lambda: rows(out.read_text()) == [2, 3], "the last ones are shown", 60)
        topic.write(topic.change(4), topic.change(5))
        eventually(lambda: rows(out.read_text()) == [2, 3, 4, 5], "what is new is shown")
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


def test_changes_without_kafka(helfy: Helfy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helfy.cli.context.REACH_SECONDS", 0.5)
    result = helfy("changes")
    assert (result.exit_code, "Kafka does not answer" in result.stderr) == (3, True)


def test_check_names_what_is_not_well(
    helfy: Helfy, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helfy.cli.check.WAIT_SECONDS", 5)
    topic.write(topic.heartbeat())
    result = helfy("check", "--json")
    states = {row["part"].split()[0]: row["state"] for row in json.loads(result.stdout)}
    up = dict.fromkeys(("database", "record", "kafka", "capture"), "up")
    assert states == up | {"api": "down"}
    assert (result.exit_code, result.stderr) == (4, "helfy: not all is well\n")


def test_the_audit_goes_to_the_journals_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    monkeypatch.setattr("helfy.consumer.journal.STREAM", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()
        writer = audit.Audit()
        writer.write("user_deleted", "ok", targetId=7)
        writer.close()
        connection, _ = server.accept()
        with connection, connection.makefile() as stream:
            head, line = stream.read().split("\n\n", 1)
    assert head == "helfy"
    assert json.loads(line.splitlines()[-1])["targetId"] == 7


def test_the_completion_is_clicks_own() -> None:
    made = BashComplete(program, {}, "helfy", "_HELFY_COMPLETE").source()
    assert (ROOT / "roles/helfy_api/files/helfy.bash").read_text().strip() == made.strip()


GAP = (
    *("gaps", "add", "--cause", "skipped_transaction", "--source-id", "gtid:0-1-7"),
    *("--from", "2026-11-23T20:00:00+01:00", "--to", "2026-11-23T19:00:02Z"),
    *("--detail", "transaction 0-1-7"),
)


def test_gap_added_twice_is_on_record_once(helfy: Helfy) -> None:
    added = helfy(*GAP, "--json")
    assert added.exit_code == 0, added.stderr
    row = json.loads(added.stdout)
    assert (row["added"], row["startsAt"], row["endsAt"]) == (
        True,
        "2026-11-23T19:00:00Z",
        "2026-11-23T19:00:02Z",
    )
    [line] = audited(added)
    assert (line["action"], line["gapId"]) == ("gap_announced", row["id"])
    again = helfy(*GAP, "--json")
    assert (again.exit_code, json.loads(again.stdout)) == (0, {"added": False})
    assert audited(again) == []
    assert [gap["id"] for gap in json.loads(helfy.done("gaps", "--json"))] == [row["id"]]


def test_gaps_list_open_ones_first(helfy: Helfy) -> None:
    for number in range(3):
        helfy.done(*GAP[:5], f"id-{number}", *GAP[6:])
    listed = json.loads(helfy.done("gaps", "--json"))
    helfy.done("gaps", "acknowledge", str(listed[0]["id"]))
    ids = [gap["id"] for gap in listed]
    for words in (("gaps",), ("gaps", "--all")):
        now = json.loads(helfy.done(*words, "--json"))
        assert [gap["id"] for gap in now] == [*ids[1:], ids[0]]
    assert "ACKNOWLEDGED BY" in helfy.done("gaps")


def test_gap_acknowledged_twice_is_refused_the_second_time(
    helfy: Helfy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "ada")
    gap = json.loads(helfy.done(*GAP, "--json"))["id"]
    done = helfy("gaps", "acknowledge", str(gap), "999999", "--json")
    assert done.exit_code == 1
    assert "gap 999999: there is no such gap" in done.stderr
    [row] = json.loads(done.stdout)
    assert (row["acknowledgedBy"], row["acknowledgedAt"][:2]) == ("ada", "20")
    assert [(line["gapId"], line["outcome"]) for line in audited(done)] == [
        (gap, "ok"),
        (999999, "refused"),
    ]
    monkeypatch.setenv("SUDO_USER", "grace")
    again = helfy("gaps", "acknowledge", str(gap))
    assert again.exit_code == 1
    assert "already acknowledged by ada" in again.stderr
    assert helfy.sql("SELECT acknowledged_by FROM record_gaps") == [("ada",)]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (3, "x" * 33),
        (5, "x" * 191),
        (5, ""),
        (7, "yesterday"),
        (7, "2026-11-23T19:00:03Z"),
        (9, "2039-01-01T00:00:00Z"),
        (11, "x" * 1025),
    ],
)
def test_gap_that_the_table_cannot_hold_is_rejected(helfy: Helfy, place: int, value: str) -> None:
    words = list(GAP)
    words[place] = value
    result = helfy(*words)
    assert result.exit_code == 2, result.output
    assert helfy.sql("SELECT * FROM record_gaps") == []


def test_check_names_an_open_gap_and_why_capture_failed(
    helfy: Helfy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helfy.cli.check.WAIT_SECONDS", 0)
    gap = json.loads(helfy.done(*GAP, "--json"))["id"]
    helfy.sql(
        "REPLACE INTO capture_state (source, state, cause, message, remedy, position) VALUES"
        " ('helfy-changes', 'failed', 'binlog_purged', 'gone', 'Take a snapshot.', 'b.7:4')"
    )
    checked = helfy("check", "--json")
    assert checked.exit_code == 4
    said = {row["part"]: row for row in json.loads(checked.stdout)}
    assert said["record"]["state"] == said["capture helfy-changes"]["state"] == "down"
    assert "from 2026-11-23T19:00:00Z to 2026-11-23T19:00:02Z" in said["record"]["said"]
    assert f"helfy gaps acknowledge {gap}" in said["record"]["said"]
    assert "position b.7:4" in said["capture helfy-changes"]["said"]
    assert "Take a snapshot." in said["capture helfy-changes"]["said"]
    helfy.done("gaps", "acknowledge", str(gap))
    helfy.sql("DELETE FROM capture_state")
    states = {row["part"]: row["state"] for row in json.loads(helfy("check", "--json").stdout)}
    assert states["record"] == "up"


@pytest.mark.parametrize(
    ("lock", "words", "action"),
    [
        ("users", ("user", "disable", "ada"), "user_changed"),
        ("users", ("user", "passwd", "ada"), "password_set"),
        ("users", ("user", "delete", "ada", "--yes"), "user_deleted"),
        ("sessions", ("session", "end", "ada", "--all"), "sessions_ended"),
    ],
)
def test_locked_account_is_told_from_a_database_that_is_away(
    helfy: Helfy, lock: str, words: tuple[str, ...], action: str
) -> None:
    helfy.sql(
        "INSERT INTO sessions (user_id, token_hash, expires_at) VALUES (2, 'x', '2037-01-01')"
    )
    with closing(helfy.mariadb.connect("cli")) as other, other.cursor() as cursor:
        other.begin()
        cursor.execute(f"SELECT * FROM {lock} FOR UPDATE")
        result = helfy(*words, given=f"{OTHER}\n")
    assert result.exit_code == 1
    assert "another transaction holds a lock on the account (error 1205)" in result.stderr
    [line] = audited(result)
    assert (line["action"], line["outcome"], line["code"]) == (action, "account_busy", 1205)
