"""Ansible's module that asks a broker for a topic, and waits until it is well."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass

from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-untyped]
from ansible.module_utils.kafka_link import (  # type: ignore[import-untyped]
    POLL_SECONDS,
    Answer,
    Link,
    LinkError,
    Login,
    text,
)

DOCUMENTATION = """
module: kafka_topic_health
short_description: Whether a broker answers and a topic is well
description:
  - Changes nothing. Logs in, waits until each partition has its leader and all its copies in step,
    and fails where that does not come. Kafka's own tools take seconds to start.
options:
  broker: {type: str, required: true, description: The broker as host:port.}
  name: {type: str, required: true, description: Who logs in.}
  password: {type: str, required: true, description: The password.}
  topic: {type: str, required: true, description: The topic.}
  must_exist:
    type: bool
    default: false
    description: >-
      Whether a topic that is not there is a failure. In a first deployment the broker comes first.
  ca_file: {type: str, default: "", description: Certificates to trust where Kafka speaks TLS.}
  wait_seconds: {type: float, default: 30, description: How long it may take.}
"""

METADATA, VERSION = 3, 7
UNKNOWN_TOPIC = 3
# Copies are mended meanwhile, or a partition's leader is being chosen.
PASSING = {5, 9}


class UnwellError(Exception):
    """The message says what is wrong."""


@dataclass(frozen=True)
class Partition:
    """Ids of brokers; leader -1 where there is none."""

    error: int
    number: int
    leader: int
    copies: tuple[int, ...]
    in_step: tuple[int, ...]


def look(link: Link, topic: str, *, must_exist: bool) -> str:
    """Say in a line how the topic is. Raises UnwellError, LinkError."""
    try:
        found = read(link.ask(METADATA, VERSION, struct.pack(">i", 1) + text(topic) + b"\0"))
    except struct.error:
        raise UnwellError(f"the answer of {link.address} is not understood") from None
    if found is None and must_exist:
        raise UnwellError(f"the topic {topic} does not exist")
    return judge(topic, found)


def judge(topic: str, partitions: list[Partition] | None) -> str:
    """Say in a line how the topic is. Raises UnwellError."""
    if partitions is None:
        return f"broker answers; the topic {topic} does not exist yet"
    for part in partitions:
        if part.leader < 0 or part.error not in {0, *PASSING}:
            raise UnwellError(f"partition {part.number} of {topic} has no leader")
        if len(part.in_step) < len(part.copies):
            raise UnwellError(
                f"partition {part.number} of {topic} has {len(part.in_step)} copies in step"
                f" of {len(part.copies)}"
            )
    count = len(partitions)
    return f"broker answers; {topic}: {count} partition{'s' * (count != 1)}, all copies in step"


def read(answer: Answer) -> list[Partition] | None:
    """Take a Metadata response (version 7) apart; None where the topic is not known."""
    answer.number("i")  # throttle
    for _ in range(answer.number("i")):
        answer.number("i"), answer.text(), answer.number("i"), answer.text()
    answer.text(), answer.number("i")
    if answer.number("i") != 1:
        raise UnwellError("the broker's answer is about another topic")
    error = answer.number("h")
    answer.text(), answer.number("b")
    if error == UNKNOWN_TOPIC:
        return None
    if error:
        raise UnwellError(f"the broker answers with error {error}")
    found = []
    for _ in range(answer.number("i")):
        fault, index, leader = answer.number("h"), answer.number("i"), answer.number("i")
        answer.number("i")  # the leader's epoch
        copies, in_step, _offline = answer.numbers(), answer.numbers(), answer.numbers()
        found.append(Partition(fault, index, leader, copies, in_step))
    return found


def main() -> None:
    """Run as Ansible's module."""
    needed = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "broker": needed,
            "name": needed,
            "password": needed | {"no_log": True},
            "topic": needed,
            "must_exist": {"type": "bool", "default": False},
            "ca_file": {"type": "str", "default": ""},
            "wait_seconds": {"type": "float", "default": 30.0},
        },
        supports_check_mode=True,
    )
    given = module.params
    login = Login(given["name"], given["password"], ca_file=given["ca_file"])
    deadline = time.monotonic() + given["wait_seconds"]
    while True:
        try:
            with Link(given["broker"], login) as link:
                said = look(link, given["topic"], must_exist=given["must_exist"])
            module.exit_json(changed=False, said=said)
        except (LinkError, UnwellError) as error:
            if time.monotonic() >= deadline:
                module.fail_json(msg=str(error))
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main()
