"""New secrets under load: no request fails, no session ends, the old secrets open nothing."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from machine import Machine
from plays import Play, play, play_until
from pydantic import SecretStr
from stream import Stream, insert_user, once_each, types

from helfy.tokens import InvalidTokenError, Tokens

Loaded = Callable[..., AbstractContextManager[object]]
# What starts anew needs a share of the cores: logins would take all of them.
GENTLE: Final[dict[str, Any]] = {"threads": 2, "pause": 0.1}

ACCOUNTS: Final = ("database_api", "database_capture", "database_migrate")
KEYS: Final = ("token_key", "proxy_key")
PASSWORDS: Final = (
    *("kafka_admin", "kafka_capture", "kafka_consumer", "kafka_controller", "kafka_feed"),
)
# Requests at once, to each process more than it has connections to the database by then.
AT_ONCE: Final = 24
# Logs in to the database and to Kafka with passwords that are given, and says which come in.
TRY: Final = r"""
import json, sys
import kafka, pymysql
given = json.load(sys.stdin)
ends = {}
for name, password in given["passwords"].items():
    kind, _, account = name.partition("_")
    try:
        if kind == "helfy":
            pymysql.connect(host=given["host"], port=given["port"], user=name,
                            password=password).close()
        elif account != "controller":
            kafka.KafkaConsumer(
                bootstrap_servers=given["servers"], security_protocol="SASL_PLAINTEXT",
                sasl_mechanism="SCRAM-SHA-512", sasl_plain_username="helfy_" + account,
                sasl_plain_password=password, bootstrap_timeout_ms=8000).close()
        else:
            continue
        ends[name] = "let in"
    except Exception as error:
        ends[name] = type(error).__name__
print(json.dumps(ends))
"""


def secrets(machine: Machine) -> dict[str, str]:
    """Give what stands in the folder of the secrets, by file."""
    folder = Path(machine.vars["secrets_dir"])
    return {path.name: path.read_text().strip() for path in folder.iterdir() if path.is_file()}


def accounts(texts: dict[str, str]) -> dict[str, str]:
    """Give the database account in use for each secret, out of what ``secrets`` gave."""
    known = json.loads(texts.get("database_accounts.json", "{}"))
    firsts = {name: name.replace("database", "helfy") for name in ACCOUNTS}
    return firsts | {name: known[name]["in_use"] for name in ACCOUNTS if name in known}


def passwords(texts: dict[str, str]) -> dict[str, str]:
    """Give the passwords in use: the database's by account, Kafka's by secret."""
    in_use = accounts(texts).values()
    return {name: texts[name] for name in PASSWORDS} | {
        account: texts[account.replace("helfy", "database")] for account in in_use
    }


def ends(machine: Machine, logins: dict[str, str]) -> dict[str, str]:
    """Give how a login with each of the passwords ends, on the machine itself."""
    given = {
        "host": machine.vars["database_host"],
        "port": machine.vars["database_port"],
        "servers": machine.vars["kafka_bootstrap_servers"],
        "passwords": logins,
    }
    found: dict[str, str] = machine.python(TRY, given, seconds=180)
    return found


def signed_by(token: str, key: str) -> bool:
    """Say whether a key signed a token."""
    try:
        Tokens([SecretStr(key)], timedelta(days=1)).read(token)
    except InvalidTokenError:
        return False
    return True


@dataclass
class Asks:
    """Asks the service."""

    http: requests.Session
    url: str
    log_in: Callable[[], requests.Response]

    def login(self) -> str:
        """Give the token of a new session."""
        return str(self.log_in().json()["token"])

    def profile(self, token: str) -> int:
        """Give the status of asking for a profile with a token."""
        headers = {"x-auth-token": token}
        return self.http.get(f"{self.url}/profile", headers=headers, timeout=30).status_code


@pytest.fixture
def asks(http: requests.Session, url: str, login: Callable[[], requests.Response]) -> Asks:
    return Asks(http, url, login)


@contextmanager
def new_connections(
    asks: Asks, database: Machine, token: str
) -> Iterator[Callable[[], tuple[int, int]]]:
    """Have each process of the API connect to the database anew all the time.

    Its idle connections end after a second, and every other second it needs more than it has. Gives
    a function for how many requests were answered with 200, and how many connections were made.
    """
    init = "SET GLOBAL init_connect = '%s'"
    short = "SET wait_timeout = IF(LEFT(CURRENT_USER(), 9) = ''helfy_api'', 1, @@wait_timeout)"
    count = "SHOW GLOBAL STATUS LIKE 'Connections'"
    statuses: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while not stop.wait(2):
                statuses.extend(pool.map(asks.profile, [token] * AT_ONCE))

    database.sql(init % short)
    [[_, before]] = database.sql(count)
    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield lambda: (statuses.count(200), int(database.sql(count)[0][1]) - int(before))
    finally:
        stop.set()
        thread.join()
        database.sql(init % "")
    assert [status for status in statuses if status != 200] == []


def rotate(*arguments: str) -> Play:
    """Rotate, to the end."""
    ended = play("rotate-secrets", *arguments)
    assert ended.code == 0, ended.output[-4000:]
    return ended


def told(run: Play, texts: dict[str, str]) -> list[str]:
    """Give the names of secrets that a run's output has."""
    return [name for name, text in texts.items() if any(w in run.output for w in text.split()[-1:])]


def check_new(machine: Machine, old: dict[str, str]) -> dict[str, str]:
    """See that each secret is new, the new ones open and the old ones do not; give the new ones."""
    new = secrets(machine)
    assert [name for name in (*PASSWORDS, *KEYS) if new[name] == old[name]] == []
    before, now = accounts(old), accounts(new)
    assert not set(before.values()) & set(now.values()), "the other of each pair"
    assert not [name for name in new if name.endswith((".next", ".new"))]
    assert {name for name in new if name.endswith(".before")} == {f"{key}.before" for key in KEYS}
    assert set(ends(machine, passwords(new)).values()) == {"let in"}
    refused = ends(machine, passwords(old))
    assert "let in" not in refused.values(), refused
    return new


def test_all_are_rotated_without_a_failed_request_or_an_ended_session(
    stream: Stream, asks: Asks, loaded: Loaded, api_machine: Machine
) -> None:
    old = secrets(api_machine)
    token = asks.login()
    assert signed_by(token, old["token_key"])
    name = stream.person("rotation")
    with (
        loaded(**GENTLE),
        new_connections(asks, stream.database, token) as counted,
    ):
        stream.database.sql(insert_user(name))
        run = rotate()
        answered, connections = counted()
        assert answered > 10 * AT_ONCE
        # More than the pools hold: each process opened them again and again.
        assert connections > 5 * AT_ONCE
        stream.database.sql(
            f"UPDATE users SET email = 'b-{name}@example.com' WHERE username = '{name}'"
        )
        assert asks.profile(token) == 200, "a session from before"
    new = check_new(api_machine, old)
    later = asks.login()
    assert signed_by(later, new["token_key"])
    assert asks.profile(later) == 200
    for each in (*ACCOUNTS, *PASSWORDS, *KEYS):
        assert f"{each}: " in run.output
    public = {"kafka_cluster_id", "database_accounts.json"}
    for texts in (old, new):
        assert told(run, {name: texts[name] for name in texts if name not in public}) == []
    # Change capture and the consumer went on, each change has its line.
    assert types(once_each(stream.of(name, 90))) == ["INSERT", "UPDATE"]


@pytest.mark.long
def test_a_key_is_dropped_when_no_session_that_it_signed_is_valid_and_the_rest_is_left_alone(
    asks: Asks, api_machine: Machine
) -> None:
    token = asks.login()
    rotate("-e", "rotate_secrets=token_key")
    before = secrets(api_machine)
    assert asks.profile(token) == 200
    folder = Path(api_machine.vars["secrets_dir"])
    # As if the run were of the day before yesterday.
    lines = [line.split() for line in before["token_key.before"].splitlines()]
    aged = "".join(f"{int(at) - 2 * 86400} {key}\n" for at, key in lines)
    (folder / "token_key.before").write_text(aged)
    rotate("-e", "rotate_secrets=token_key")
    after = secrets(api_machine)
    [line] = after["token_key.before"].splitlines()
    assert line.split()[1] == before["token_key"]
    assert asks.profile(token) == 401, "its key is known no more"
    assert {name: after[name] for name in PASSWORDS} == {name: before[name] for name in PASSWORDS}


@pytest.mark.long
@pytest.mark.parametrize(
    "task",
    ["kafka : Have the accounts", "helfy_api : Restart the process", "helfy_consumer : Write the"],
)
def test_one_that_is_cut_off_is_run_again(
    asks: Asks, loaded: Loaded, api_machine: Machine, task: str
) -> None:
    def kill(process: "subprocess.Popen[str]") -> None:
        os.killpg(process.pid, signal.SIGKILL)

    old = secrets(api_machine)
    token = asks.login()
    with loaded(**GENTLE):
        heading = "RUNNING HANDLER" if "Restart" in task else "TASK"
        play_until(f"{heading} [{task}", kill, "rotate-secrets")
        halfway = secrets(api_machine)
        pairs = json.loads(halfway["database_accounts.json"]).values()
        assert {pair["retiring"] for pair in pairs} == set(accounts(old).values())
        # A deployment in between leaves both of each pair as they are.
        if "consumer" in task:
            assert play("site", "--tags", "mariadb,helfy_api").code == 0
            assert set(ends(api_machine, passwords(old) | passwords(halfway)).values()) == {
                "let in"
            }
        rotate()
        assert asks.profile(token) == 200
    new = check_new(api_machine, old)
    assert passwords(new) == passwords(halfway)


@pytest.mark.long
def test_a_deployment_after_it_changes_nothing() -> None:
    run = play("site")
    assert (run.code, run.changed) == (0, set()), run.output[-4000:]
