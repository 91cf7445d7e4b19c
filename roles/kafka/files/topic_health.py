"""Asks a broker for a topic, without Kafka's tools, which take seconds to start.

    topic_health.py HOST:PORT TOPIC [--must-exist]

Prints one line where the broker answers and each partition has its leader and all its copies in
step; else exits with 1 and says on stderr what is missing. Without --must-exist a topic that is
not there is no failure: in a first deployment the broker comes before it.
"""

from __future__ import annotations

import socket
import struct
import sys
from dataclasses import dataclass
from io import BytesIO

SECONDS = 5.0
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


def main() -> int:
    """See the module's text."""
    address, topic, *must_exist = sys.argv[1:]
    try:
        found = ask(address, topic)
        if found is None and must_exist:
            raise UnwellError(f"the topic {topic} does not exist")  # noqa: TRY301
        print(judge(topic, found))
    except UnwellError as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, struct.error) as error:
        print(f"the broker does not answer at {address}: {error}", file=sys.stderr)
        return 1
    return 0


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


def ask(address: str, topic: str) -> list[Partition] | None:
    """Ask for the topic's metadata. Raises OSError, struct.error, UnwellError."""
    host, _, port = address.rpartition(":")
    name = topic.encode()
    body = struct.pack(">ih", 1, len(name)) + name + b"\0"
    client = b"helfy-health"
    request = struct.pack(">hhih", METADATA, VERSION, 1, len(client)) + client + body
    with socket.create_connection((host.strip("[]"), int(port)), SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", exactly(connection, 4))
        return read(exactly(connection, size))


def exactly(connection: socket.socket, size: int) -> bytes:
    """Read so many bytes. Raises OSError."""
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("it hung up")
        data += more
    return data


def read(answer: bytes) -> list[Partition] | None:
    """Take a Metadata response (version 7) apart; None where the topic is not known."""
    rest = BytesIO(answer)

    def number(form: str) -> int:
        (value,) = struct.unpack(f">{form}", rest.read(struct.calcsize(f">{form}")))
        return int(value)

    def text() -> bytes:
        return rest.read(max(0, number("h")))

    def numbers() -> tuple[int, ...]:
        return tuple(number("i") for _ in range(number("i")))

    number("i"), number("i")  # correlation, throttle
    for _ in range(number("i")):
        number("i"), text(), number("i"), text()
    text(), number("i")
    if number("i") != 1:
        raise UnwellError("the broker's answer is about another topic")
    error = number("h")
    text(), number("b")
    if error == UNKNOWN_TOPIC:
        return None
    if error:
        raise UnwellError(f"the broker answers with error {error}")
    found = []
    for _ in range(number("i")):
        fault, index, leader, _epoch = number("h"), number("i"), number("i"), number("i")
        copies, in_step, _offline = numbers(), numbers(), numbers()
        found.append(Partition(fault, index, leader, copies, in_step))
    return found


if __name__ == "__main__":
    sys.exit(main())
