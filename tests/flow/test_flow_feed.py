"""The live feed, the status and the metrics, and the command, on the deployed VM."""

import json
import shlex
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from machine import Machine, wait_for
from machines import Machines
from stream import HASH, Stream, insert_user

PASSWORD = "seven staples, one battery"
Login = Callable[[], requests.Response]
See = Callable[..., dict[str, Any]]


@pytest.fixture
def token(login: Login) -> str:
    answer = login()
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


@pytest.fixture
def see(http: requests.Session, url: str, token: str) -> See:
    """Ask the feed, through nginx."""

    def ask(path: str = "/changes", **query: Any) -> dict[str, Any]:
        answer = http.get(f"{url}{path}", params=query, headers={"x-auth-token": token}, timeout=15)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    return ask


def names(answer: dict[str, Any]) -> list[tuple[str, str]]:
    lines = [line["change"] for line in answer["changes"] if "change" in line]
    return [(line["type"], line["data"].get("username", "")) for line in lines]


def fetch(machine: Machine, address: str, token: str = "") -> str:
    """Get something on a machine itself."""
    program = """
import json, sys, urllib.request
address, token = json.load(sys.stdin)
request = urllib.request.Request(address, headers={"x-auth-token": token} if token else {})
print(json.dumps(urllib.request.urlopen(request, timeout=10).read().decode()))
"""
    return str(machine.python(program, [address, token]))


def of_process(api: Machine, port: int, token: str, query: str) -> dict[str, Any]:
    """Ask one process, past nginx."""
    address = f"http://{api.vars['helfy_api_listen_address']}:{port}/changes?{query}"
    body: dict[str, Any] = json.loads(fetch(api, address, token))
    return body


def ports(api: Machine) -> range:
    first = api.vars["helfy_api_first_port"]
    return range(first, first + int(api.vars["helfy_api_processes"]))


def test_a_change_is_in_the_feed_as_in_the_journal(
    see: See, stream: Stream, api_machine: Machine, token: str
) -> None:
    cursor = see(limit=1)["next"]
    name = stream.person("feed")
    stream.database.sql(f"{insert_user(name)}; DELETE FROM users WHERE username = '{name}'")
    expected = [("INSERT", name), ("DELETE", name)]
    answer = wait_for(
        lambda: next(
            (found for found in [see(after=cursor, table="users")] if names(found) == expected),
            None,
        ),
        "both changes in the feed",
    )
    assert answer["state"] == "live"
    assert HASH.format("x") not in json.dumps(answer)
    written = stream.of(name)
    assert [line["change"] for line in answer["changes"]] == [line["change"] for line in written]
    assert [line["source"] for line in answer["changes"]] == [line["source"] for line in written]
    # A cursor is good for every process.
    query = f"after={cursor}&table=users"
    for port in ports(api_machine):

        def has_both(port: int = port) -> bool:
            # Beside them there is what the stream wrote to know that it is settled.
            found = names(of_process(api_machine, port, token, query))
            return [each for each in found if each[1] == name] == expected

        wait_for(has_both, f"both changes in the feed of the process on port {port}")
    assert ("DELETE", name) in names(see(limit=200, table="users", type="DELETE"))


def test_the_feed_outlives_kafka(see: See, stream: Stream, kafka_machine: Machine) -> None:
    cursor = see(limit=1)["next"]
    kafka_machine.run("systemctl stop kafka", seconds=120)
    try:
        cut_off = wait_for(
            lambda: next((each for each in [see(after=cursor)] if each["state"] == "cutOff"), None),
            "the feed says that it is cut off",
            60,
        )
        assert cut_off["changes"] == []
        assert cut_off["pollAfterMs"] > 1000
        parts = {part["name"]: part["state"] for part in see("/status")["parts"]}
        assert (parts["kafka"], parts["database"]) == ("down", "up")
        name = stream.person("cut-off")
        stream.database.sql(insert_user(name))
    finally:
        kafka_machine.run("systemctl start kafka", seconds=120)
    wait_for(
        lambda: ("INSERT", name) in names(see(after=cursor)), "what was done meanwhile comes", 120
    )
    wait_for(lambda: see(after=cursor)["state"] == "live", "the feed is live again", 60)


def test_who_follows_the_feed_does_not_fill_the_journal(
    see: See, api_machine: Machine, client_machine: Machine
) -> None:
    cursor = see(limit=1)["next"]
    begun = int(time.time())
    for _ in range(30):
        see(after=cursor)
    for machine, unit in ((api_machine, "helfy-api@*"), (client_machine, "nginx")):
        command = f"journalctl --namespace=helfy -q --no-pager -o cat -u '{unit}'"
        assert machine.run(f"{command} -n 1").strip(), f"no line of {unit} in its namespace"
        text = machine.run(f"{command} --since=@{begun}")
        assert text.count("/changes") < 5, text[-2000:]


def test_the_status_names_every_part(see: See, api_machine: Machine) -> None:
    parts = wait_for(
        lambda: next(
            (
                found
                for found in [see("/status")["parts"]]
                if {part["state"] for part in found} == {"up"}
            ),
            None,
        ),
        "all parts are up",
        60,
    )
    assert {part["name"] for part in parts} == {"database", "kafka", "capture", "consumer", "api"}
    listed = {part["instance"] for part in parts if part["name"] == "api"}
    address = api_machine.vars["helfy_api_listen_address"]
    assert {f"{address}:{port}" for port in ports(api_machine)} <= listed
    status = see("/status")
    assert status["logins"]["ok"] >= 1
    assert status["stream"]["latency"]["changes"] >= 1
    assert status["hour"]


def test_metrics_are_for_the_machine_alone(
    http: requests.Session, url: str, api_machine: Machine, consumer_machine: Machine
) -> None:
    for path in ("/metrics", "/metrics/hour"):
        answer = http.get(f"{url}{path}", timeout=15)
        assert answer.status_code == 404
        assert "helfy_api" not in answer.text
    address = api_machine.vars["helfy_api_listen_address"]
    for port in ports(api_machine):
        text = fetch(api_machine, f"http://{address}:{port}/metrics")
        assert "helfy_api_request_seconds_bucket" in text
        assert "helfy_api_database_up 1.0" in text
    said = consumer_machine.vars
    place = f"{said['helfy_consumer_metrics_address']}:{said['helfy_consumer_metrics_port']}"
    text = fetch(consumer_machine, f"http://{place}/metrics")
    assert "helfy_consumer_kafka_up 1.0" in text
    assert "helfy_consumer_commit_to_line_seconds_bucket" in text


@pytest.fixture
def person(api_machine: Machine, all_of_them: Machines) -> Iterator[str]:
    """An account made by the command, which goes when the test ends."""
    name = f"cli-{uuid.uuid4().hex[:10]}"
    words = f"helfy user add {name} {name}@example.com --keep"
    api_machine.run(words, stdin=f"{PASSWORD}\n")
    yield name
    database = all_of_them.databases[0]
    database.sql(
        f"DELETE s FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.username = '{name}';"
        f" DELETE FROM users WHERE username = '{name}'"
    )


def test_the_command_and_the_api_are_of_one_mind(
    api_machine: Machine, person: str, http: requests.Session, url: str
) -> None:
    begun = int(time.time()) - 60
    body = {"usernameOrEmail": person, "password": PASSWORD}
    answer = http.post(f"{url}/login", json=body, timeout=15)
    assert answer.status_code == 200, answer.text
    token = answer.json()["token"]
    [session] = json.loads(api_machine.run(f"helfy session list {person} --json"))
    api_machine.run(f"helfy session end {person} {session['id']}")
    seen = http.get(f"{url}/profile", headers={"x-auth-token": token}, timeout=15)
    assert seen.status_code == 401, "at once"
    other = "eight staples, no battery"
    api_machine.run(f"helfy user passwd {person} --keep", stdin=f"{other}\n")
    assert http.post(f"{url}/login", json=body, timeout=15).status_code == 401
    body["password"] = other
    assert http.post(f"{url}/login", json=body, timeout=15).status_code == 200
    api_machine.run(f"helfy user disable {person}")
    assert http.post(f"{url}/login", json=body, timeout=15).status_code == 401
    api_machine.run(f"helfy user delete {person} --yes")
    lines = api_machine.run(f"journalctl -q --no-pager -o cat -t helfy --since=@{begun}")
    actions = [json.loads(line)["action"] for line in lines.splitlines()]
    assert actions[-5:] == [
        *("user_created", "sessions_ended", "password_set", "user_changed", "user_deleted")
    ]
    whole = api_machine.run(f"journalctl --namespace='*' -q --no-pager -o cat --since=@{begun}")
    for secret in (PASSWORD, other, token):
        assert secret not in whole


def test_the_command_shows_changes_and_checks(api_machine: Machine, stream: Stream) -> None:
    name = stream.person("cli")
    stream.database.sql(insert_user(name))
    stream.settled()
    text = api_machine.run("helfy changes --since 5m --format jsonl --table users")
    assert f'"username":"{name}"' in text
    assert HASH.format("x") not in text
    said = api_machine.attempt("helfy check --json")
    assert said.returncode == 0, said.stdout + said.stderr
    assert {row["state"] for row in json.loads(said.stdout)} == {"up"}


def test_the_command_refuses_in_its_own_ways(api_machine: Machine) -> None:
    assert api_machine.attempt("helfy user disable nobody-of-this-name").returncode == 1
    assert api_machine.attempt("helfy user").returncode == 2
    said = api_machine.attempt("helfy user list", root=False)
    assert said.returncode == 78
    assert "sudo" in said.stderr


def test_the_shell_completes_the_command(api_machine: Machine) -> None:
    script = (
        "_completion_loader helfy; COMP_WORDS=(helfy us) COMP_CWORD=1;"
        ' _helfy_completion helfy us helfy; echo "${COMPREPLY[@]}"; complete -p helfy'
    )
    said = api_machine.run(f"bash -lic {shlex.quote(script)} 2>/dev/null")
    assert said.splitlines()[0] == "user"
    assert "_helfy_completion" in said.splitlines()[1]
