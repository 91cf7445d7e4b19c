"""Nothing is lost, whatever stops or dies on the way."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests
from machine import Machine, wait_for
from machines import Machines
from stream import HASH, Line, Stream, insert_user, once_each, types

REJOIN_SECONDS = 30.0
CAPTURE_SECONDS = 60.0
ANSWER_SECONDS = 8.0


@contextmanager
def stopped(machine: Machine, unit: str) -> Iterator[None]:
    """Stop a unit, and start it again whatever happens."""
    machine.run(f"systemctl stop {unit}")
    try:
        yield
    finally:
        machine.run(f"systemctl reset-failed {unit}; systemctl start {unit}", seconds=120)


def kill(machine: Machine, unit: str) -> None:
    machine.run(f"systemctl kill --kill-whom=all --signal=KILL {unit}")


def insert_update_delete(stream: Stream, name: str) -> None:
    stream.database.sql(
        f"{insert_user(name)};"
        f" UPDATE users SET role = 'admin' WHERE username = '{name}';"
        f" DELETE FROM users WHERE username = '{name}'"
    )


Login = Callable[[], requests.Response]
EACH = ["INSERT", "UPDATE", "DELETE"]


def test_what_happens_while_the_consumer_is_stopped_is_told_once(stream: Stream) -> None:
    before, meanwhile = stream.person("before"), stream.person("stopped")
    insert_update_delete(stream, before)
    stream.settled()
    with stopped(stream.machine, "helfy-consumer"):
        insert_update_delete(stream, meanwhile)
        assert meanwhile not in stream.text()
    assert types(stream.of(meanwhile, REJOIN_SECONDS)) == EACH
    # A clean stop commits what is written: nothing of before is told again.
    assert types(stream.of(before)) == EACH


def test_a_killed_consumer_loses_nothing(stream: Stream) -> None:
    """Distinct ids are counted: what was not committed yet is told again, by the same id."""
    people = [stream.person(f"kill{number}") for number in range(12)]
    for number, name in enumerate(people):
        insert_update_delete(stream, name)
        if number == len(people) // 2:
            kill(stream.machine, "helfy-consumer")
    lines = stream.settled(REJOIN_SECONDS)
    for name in people:
        mine = [line for line in lines if line["change"]["data"].get("username") == name]
        assert types(once_each(mine)) == EACH, name


def test_killed_change_capture_loses_nothing(stream: Stream, capture_machine: Machine) -> None:
    people = [stream.person(f"capture{number}") for number in range(12)]
    for number, name in enumerate(people):
        insert_update_delete(stream, name)
        if number == len(people) // 2:
            kill(capture_machine, "kafka-connect")
    lines = stream.settled(CAPTURE_SECONDS)
    for name in people:
        mine = [line for line in lines if line["change"]["data"].get("username") == name]
        assert types(once_each(mine)) == EACH, name
        check_replays(mine)


def check_replays(lines: list[Line]) -> None:
    """The consumer lived on, so it knows a replay and says so."""
    seen: set[str] = set()
    for line in lines:
        assert line.get("replayed", False) is (line["change"]["id"] in seen)
        seen.add(line["change"]["id"])


def test_a_record_that_is_not_understood_has_a_line_and_stops_nothing(
    stream: Stream, kafka_machine: Machine
) -> None:
    secret = HASH.format("poison")
    poison = f'{{"password_hash":"{secret}'
    topic = kafka_machine.vars["kafka_topic"]
    kafka_machine.run(f"kafka-console-producer --topic {topic}", f"{poison}\n")
    name = stream.person("after-poison")
    stream.database.sql(insert_user(name))
    assert types(stream.of(name)) == ["INSERT"]
    [line] = [line for line in stream.lines() if line["action"] == "undecodable"]
    assert line.keys() == {
        *("timestamp", "level", "action", "source", "reason", "length", "sha256")
    }
    assert line["source"]["topic"] == topic
    assert line["length"] == len(poison)
    assert line["sha256"] == hashlib.sha256(poison.encode()).hexdigest()
    assert secret not in stream.text()


def answered(ask: Callable[[], requests.Response]) -> tuple[requests.Response, float]:
    begun = time.monotonic()
    answer = ask()
    return answer, time.monotonic() - begun


def database_unit(machine: Machine) -> str:
    return "mariadb" if "mariadb" in machine.groups else "tidb-4000"


def test_logins_without_the_database_fail_soon_and_come_back(
    login: Login, http: requests.Session, url: str, stream: Stream
) -> None:
    token = login().json()["token"]
    with stopped(stream.database, database_unit(stream.database)):
        for ask in (
            login,
            lambda: http.get(f"{url}/profile", headers={"x-auth-token": token}, timeout=30),
            lambda: http.get(f"{url}/health/ready", timeout=30),
        ):
            answer, seconds = answered(ask)
            assert answer.status_code == 503, answer.text
            assert answer.headers["Content-Type"].split(";")[0] == "application/json"
            assert {"message", "requestId"} <= answer.json().keys()
            assert int(answer.headers["Retry-After"]) > 0
            assert seconds < ANSWER_SECONDS
        assert http.get(f"{url}/health/live", timeout=30).status_code == 200
    wait_for(lambda: login().status_code == 200, "a login", 20)
    profile = http.get(f"{url}/profile", headers={"x-auth-token": token}, timeout=30)
    assert profile.status_code == 200, "a session outlives the outage"
    name = stream.person("after-outage")
    insert_update_delete(stream, name)
    assert types(once_each(stream.of(name, CAPTURE_SECONDS))) == EACH


def test_logins_go_on_without_kafka_and_their_lines_come_later(
    login: Login, url: str, stream: Stream, kafka_machine: Machine, all_of_them: Machines
) -> None:
    if len(all_of_them.of("kafka")) > 1:
        pytest.skip("one broker of several is not missed")
    name = stream.person("no-kafka")
    with stopped(kafka_machine, "kafka"):
        for _ in range(2):
            answer, seconds = answered(login)
            assert answer.status_code == 200, answer.text
            assert seconds < ANSWER_SECONDS
        assert requests.get(f"{url}/health/ready", timeout=30).json()["database"] == "ok"
        insert_update_delete(stream, name)
    lines = once_each(stream.of(name, CAPTURE_SECONDS))
    assert types(lines) == EACH
    opened = [
        line
        for line in once_each(stream.changes())
        if line["change"]["data"].get("user_agent") == f"helfy-tests/{stream.run_id}"
    ]
    assert types(opened) == ["INSERT"] * 2


def test_the_stream_is_well_again(url: str) -> None:
    """After all of that, by the API's own word."""

    def well() -> bool:
        answer = requests.get(f"{url}/health/ready", timeout=10).json()
        return bool(answer.get("changeStream") == "ok")

    wait_for(well, "changeStream ok", 60)
