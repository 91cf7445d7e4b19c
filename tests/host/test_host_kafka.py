"""Kafka: its tools at hand, its topic as the inventory wants it, and no topic by accident."""

import json
import re

import pytest
from kafka_login import kafka_login
from machine import Machine

UNKNOWN_TOPIC = "helfy-test-typing-error"

PRODUCE_TO_UNKNOWN = r"""
import json, sys
import kafka
given = json.load(sys.stdin)
common = {"bootstrap_servers": given["servers"], **given["login"]}
producer = kafka.KafkaProducer(**common, max_block_ms=3000)
try:
    producer.send(given["topic"], b"x").get(timeout=3)
    outcome = "sent"
except kafka.errors.KafkaError as error:
    outcome = type(error).__name__
producer.close(timeout=1)
consumer = kafka.KafkaConsumer(**common)
topics = sorted(consumer.topics())
consumer.close()
print(json.dumps([outcome, topics]))
"""


def tool(machine: Machine, command: str) -> str:
    """Run a tool as root does: by name, with no broker and no account named."""
    return machine.run(command)


def test_topics_are_listed(kafka_machine: Machine) -> None:
    topic = kafka_machine.vars["kafka_topic"]
    assert topic in tool(kafka_machine, "kafka-topics --list").split()


def test_the_topic_is_as_the_inventory_wants_it(kafka_machine: Machine) -> None:
    wanted = kafka_machine.vars
    said = tool(kafka_machine, f"kafka-topics --describe --topic {wanted['kafka_topic']}")
    assert f"PartitionCount: {wanted['kafka_topic_partitions']}\t" in said
    assert f"ReplicationFactor: {wanted['kafka_topic_replication']}\t" in said
    found = re.search(r"Configs: (\S+)", said)
    assert found is not None
    config = dict(pair.split("=") for pair in found[1].split(","))
    assert config["cleanup.policy"] == "delete"
    assert config["retention.ms"] == str(wanted["kafka_topic_retention_hours"] * 3_600_000)
    if wanted["kafka_topic_replication"] == 1:
        assert config["flush.messages"] == "1"


def test_the_consumers_group_is_shown(kafka_machine: Machine) -> None:
    group, topic = (kafka_machine.vars[it] for it in ("helfy_consumer_group", "kafka_topic"))
    said = tool(kafka_machine, f"kafka-consumer-groups --describe --group {group}")
    rows = [line.split() for line in said.splitlines() if line.startswith(group)]
    assert [row[1] for row in rows] == [topic] * kafka_machine.vars["kafka_topic_partitions"]


def test_records_are_shown(kafka_machine: Machine) -> None:
    said = tool(
        kafka_machine,
        f"kafka-console-consumer --topic {kafka_machine.vars['kafka_topic']} --from-beginning"
        " --max-messages 1 --timeout-ms 15000 2>/dev/null",
    )
    assert json.loads(said)


@pytest.mark.parametrize(
    "name",
    [
        "kafka-acls",
        "kafka-configs",
        "kafka-console-producer",
        "kafka-consumer-groups",
        "kafka-topics",
    ],
)
def test_tools_are_on_the_path(kafka_machine: Machine, name: str) -> None:
    assert tool(kafka_machine, f"command -v {name}").strip() == f"/usr/local/bin/{name}"


def test_no_topic_comes_into_being_by_a_typing_error(kafka_machine: Machine) -> None:
    given = {
        "servers": kafka_machine.vars["kafka_bootstrap_servers"],
        "topic": UNKNOWN_TOPIC,
        "login": kafka_login(kafka_machine),
    }
    outcome, topics = kafka_machine.python(PRODUCE_TO_UNKNOWN, given)
    assert outcome != "sent"
    assert UNKNOWN_TOPIC not in topics
    assert kafka_machine.vars["kafka_topic"] in topics


def test_the_connector_runs(capture_machine: Machine) -> None:
    port, name = (capture_machine.vars[it] for it in ("debezium_rest_port", "debezium_connector"))
    # curl need not be there.
    program = f"""
import json, urllib.request
print(urllib.request.urlopen("http://127.0.0.1:{port}/connectors/{name}/status").read().decode())
"""
    status = capture_machine.python(program)
    assert status["connector"]["state"] == "RUNNING"
    assert [task["state"] for task in status["tasks"]] == ["RUNNING"]


@pytest.mark.parametrize(("account", "end"), [("kafka-connect", "let in"), ("nobody", "refused")])
def test_its_interface_is_for_root_and_its_own_account(
    capture_machine: Machine, account: str, end: str
) -> None:
    """It asks for no password, and has what it knows validated: whoever reaches it reads those."""
    port = capture_machine.vars["debezium_rest_port"]
    said = capture_machine.run(
        f"setpriv --reuid={account} --clear-groups bash -c "
        f"'exec 3<>/dev/tcp/127.0.0.1/{port} && echo let in' 2>/dev/null || echo refused"
    )
    assert said.strip() == end
