"""Kafka's accounts: nobody comes in without one, and each may do its errand and nothing else."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from kafka_login import kafka_login
from machine import ROOT, Machine

SECRET_FOLDER: Final = "/etc/kafka/credentials"
# What each action is called here, and what it does. They say what became of them: "done", or the
# name of the error. A record that is written is one that nobody can decode.
PROGRAM: Final = r"""
import json, sys, uuid
import kafka
from kafka import errors
from kafka.admin import NewTopic
given = json.load(sys.stdin)
topic, group, login = given["topic"], given["group"], given["login"]
part = kafka.TopicPartition(topic, 0)
common = {"bootstrap_servers": given["servers"], **login}
patience = {"bootstrap_timeout_ms": 8000, "request_timeout_ms": 8000}

def admin(what):
    client = kafka.KafkaAdminClient(**common, **patience)
    try:
        return what(client)
    finally:
        client.close()

def consumer(what, **more):
    client = kafka.KafkaConsumer(**common, **patience, enable_auto_commit=False, **more)
    try:
        return what(client)
    finally:
        client.close()

def read(client):
    client.assign([part])
    client.seek_to_beginning(part)
    if not client.poll(timeout_ms=10000, max_records=1):
        raise TimeoutError("nothing came")

def join(name):
    def joined(client):
        client.subscribe([topic])
        for _ in range(20):
            client.poll(timeout_ms=500)
            if client.assignment():
                return
        raise TimeoutError("never a member")
    return lambda: consumer(joined, group_id=name)

def write():
    client = kafka.KafkaProducer(**common, enable_idempotence=False, max_block_ms=8000)
    try:
        client.send(topic, b"test_host_kafka_accounts").get(timeout=10)
    finally:
        client.close(timeout=2)

def told(answers):
    # Some answers have the error in them.
    for answer in answers if isinstance(answers, list) else [answers]:
        code = getattr(answer, "error_code", 0) or 0
        if code:
            raise errors.for_code(code)

ACTIONS = {
    "come in": lambda: consumer(lambda client: client.topics()),
    "read": lambda: consumer(read),
    "write": write,
    "join the group": join(group),
    "join another group": join("helfy-test-" + uuid.uuid4().hex[:8]),
    "see the group": lambda: admin(lambda client: client.list_group_offsets({group: None})),
    "see another group": lambda: admin(
        lambda client: client.list_group_offsets({"helfy-test-other": None})),
    "make a topic": lambda: admin(
        lambda client: client.create_topics([NewTopic("helfy-test-made", 1, 1)])),
    "delete the topic": lambda: admin(lambda client: client.delete_topics([topic])),
    "delete records": lambda: admin(lambda client: client.delete_records({part: 1})),
    "show rules": lambda: admin(lambda client: client.describe_acls(kafka.admin.ACLFilter(
        None, None, kafka.admin.ACLOperation.ANY, kafka.admin.ACLPermissionType.ANY,
        kafka.admin.ResourcePatternFilter(
            kafka.admin.ResourceType.ANY, None, kafka.admin.ACLResourcePatternType.ANY)))),
}
ends = {}
for name in given["actions"]:
    try:
        ACTIONS[name]()
        ends[name] = "done"
    except Exception as error:
        ends[name] = type(error).__name__ + ": " + str(error)[:200]
print(json.dumps(ends))
"""
# After the deployment's own client of Kafka: who is let in, and what is said to who is not.
TRY_TO_LOG_IN: Final = r"""
import json, sys
def attempt(name, password):
    try:
        Link(given["broker"], Login(name, password)).close()
    except LoginRefusedError as error:
        return str(error)
    return "let in"
given = json.load(sys.stdin)
print(json.dumps({
    "right": [attempt(login["sasl_plain_username"], login["sasl_plain_password"])
              for login in given["right"]],
    "wrong": [attempt(name, "wrong-password-of-a-test") for name in given["wrong"]],
}))
"""
# No test tries what would do harm where it were let through, but for whom it is refused.
HARM: Final = ("make a topic", "delete the topic", "delete records")
MAY: Final = {
    "capture": {"come in", "write"},
    "consumer": {"come in", "read", "see the group"},
    "feed": {"come in", "read", "see the group"},
}
TRIED: Final = {
    *("come in", "read", "write", "join another group", "see the group", "see another group"),
    *("show rules", *HARM),
}


def ends(machine: Machine, login: dict[str, str], actions: list[str]) -> dict[str, str]:
    """Try actions on the machine; give what became of each."""
    given: dict[str, Any] = {
        "servers": machine.vars["kafka_bootstrap_servers"],
        "topic": machine.vars["kafka_topic"],
        "group": machine.vars["helfy_consumer_group"],
        "login": login,
        "actions": actions,
    }
    found: dict[str, str] = machine.python(PROGRAM, given, seconds=300)
    return found


@pytest.mark.parametrize("account", sorted(MAY))
def test_each_may_do_its_errand_and_no_more(kafka_machine: Machine, account: str) -> None:
    found = ends(kafka_machine, kafka_login(kafka_machine, account), sorted(TRIED))
    assert {name for name, end in found.items() if end == "done"} == MAY[account], found
    refused = [end for end in found.values() if end != "done"]
    assert all("Authorization" in end for end in refused), found


def test_only_the_consumer_may_join_its_group(kafka_machine: Machine) -> None:
    for account in ("capture", "feed"):
        login = kafka_login(kafka_machine, account)
        found = ends(kafka_machine, login, ["join the group"])
        assert "Authorization" in found["join the group"], (account, found)


def test_who_does_not_log_in_is_refused(kafka_machine: Machine) -> None:
    def attempt(action: str) -> dict[str, str]:
        return ends(kafka_machine, {"security_protocol": "PLAINTEXT"}, [action])

    # Beside each other: each is refused by a time-out.
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(attempt, ("come in", "read", "write")))
    assert not [each for each in found if "done" in each.values()], found


def test_a_wrong_password_is_refused(kafka_machine: Machine) -> None:
    """In Kafka's own words: kafka-python tells a refusal and an absence by the same error."""
    program = (ROOT / "plugins/module_utils/kafka_link.py").read_text() + TRY_TO_LOG_IN
    accounts = ("admin", "capture", "consumer", "feed", "controller", "nobody")
    given = {
        "broker": kafka_machine.vars["kafka_bootstrap_servers"][0],
        "wrong": [f"helfy_{account}" for account in accounts],
        "right": [kafka_login(kafka_machine, account) for account in accounts[:4]],
    }
    ends = kafka_machine.python(program, given)
    assert set(ends["right"]) == {"let in"}, ends
    assert len(ends["wrong"]) == len(accounts)
    assert all("refuses the login of helfy_" in end for end in ends["wrong"]), ends
    assert all("invalid credentials" in end for end in ends["wrong"]), ends


def test_the_controllers_port_takes_no_account_of_clients(kafka_machine: Machine) -> None:
    """Neither without a login nor with the administrator's, in any mechanism."""
    address = kafka_machine.vars["kafka_listen_address"]
    controller = f"{address}:{kafka_machine.vars['kafka_controller_port']}"
    program = PROGRAM.replace('given["servers"]', f'["{controller}"]')

    def attempt(login: dict[str, str]) -> str:
        given = {"topic": "t", "group": "g", "login": login, "actions": ["come in"]}
        return str(kafka_machine.python(program, given)["come in"])

    logins = (
        {"security_protocol": "PLAINTEXT"},
        kafka_login(kafka_machine),
        kafka_login(kafka_machine) | {"sasl_mechanism": "PLAIN"},
    )
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(attempt, logins))
    assert "done" not in found, found


def test_the_tools_are_roots_and_say_so(kafka_machine: Machine) -> None:
    done = kafka_machine.attempt("kafka-topics --list", root=False)
    assert done.returncode == 77
    assert "run it as root (sudo kafka-topics …)" in done.stderr


def test_every_rule_of_ours_is_one_that_is_wanted(kafka_machine: Machine) -> None:
    said = kafka_machine.run("kafka-acls --list")
    for account in ("capture", "consumer", "feed"):
        assert f"principal=User:helfy_{account}," in said
    assert "User:*" not in said
    assert "operation=ALL" not in said


def test_passwords_are_roots_and_not_in_the_settings(kafka_machine: Machine) -> None:
    listed = kafka_machine.run(f"stat -c '%a %U' {SECRET_FOLDER} {SECRET_FOLDER}/*").split("\n")
    assert listed[0] == "700 root"
    assert {line for line in listed[1:] if line} == {"600 root"}
    settings = kafka_machine.run("cat /etc/kafka/*.properties /etc/kafka-connect/*.properties")
    for account in ("admin", "controller", "capture", "consumer", "feed"):
        password = kafka_login(kafka_machine, account)["sasl_plain_password"]
        assert password not in settings
