"""The question to a broker about a topic: recorded answers, and a listener that hangs up."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import threading
from contextlib import closing

import pytest
import role_docs

sys.path.insert(0, str(role_docs.ROOT / "roles/kafka/files"))

import topic_health

PROGRAM = role_docs.ROOT / "roles/kafka/files/topic_health.py"


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def ids(*values: int) -> bytes:
    return struct.pack(f">i{len(values)}i", len(values), *values)


def answer(error: int = 0, *partitions: bytes) -> bytes:
    """Make a Metadata response, version 7, as the protocol's guide describes it."""
    broker = struct.pack(">i", 1) + text("127.0.0.1") + struct.pack(">ih", 9092, -1)
    head = struct.pack(">iii", 1, 0, 1) + broker + text("IKfWeofPain4DN6Nm1syTQ")
    topic = struct.pack(">ii", 1, 1) + struct.pack(">h", error) + text("changes") + b"\0"
    return head + topic + struct.pack(">i", len(partitions)) + b"".join(partitions)


def partition(
    number: int, leader: int, copies: tuple[int, ...], in_step: tuple[int, ...], error: int = 0
) -> bytes:
    head = struct.pack(">hiii", error, number, leader, 7)
    return head + ids(*copies) + ids(*in_step) + ids()


def test_an_answer_is_understood() -> None:
    found = topic_health.read(
        answer(0, partition(0, 1, (1, 2), (1, 2)), partition(1, 2, (2,), (2,)))
    )
    assert found is not None
    assert [(p.number, p.leader, p.copies) for p in found] == [(0, 1, (1, 2)), (1, 2, (2,))]
    assert topic_health.judge("changes", found).endswith(
        "changes: 2 partitions, all copies in step"
    )
    assert topic_health.read(answer(topic_health.UNKNOWN_TOPIC)) is None


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (partition(0, 1, (1, 2, 3), (1, 3)), "2 copies in step of 3"),
        (partition(0, -1, (1,), (1,), 5), "no leader"),
    ],
)
def test_what_is_missing_is_said(part: bytes, words: str) -> None:
    with pytest.raises(topic_health.UnwellError, match=words):
        topic_health.judge("changes", topic_health.read(answer(0, part)))


def run(address: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), address, "changes", *more]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_speaks_to_a_socket() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        bodies = [answer(0, partition(0, 1, (1,), (1,))), answer(3), answer(3), None]

        def serve() -> None:
            for body in bodies:
                connection, _ = server.accept()
                with connection:
                    (size,) = struct.unpack(">i", connection.recv(4))
                    assert len(connection.recv(size)) == size
                    if body is not None:
                        connection.sendall(struct.pack(">i", len(body)) + body)

        thread = threading.Thread(target=serve)
        thread.start()
        found, before_it_exists, absent, hung_up = (
            run(address),
            run(address),
            run(address, "--must-exist"),
            run(address),
        )
        thread.join()
    assert (found.returncode, before_it_exists.returncode) == (0, 0)
    assert "does not exist yet" in before_it_exists.stdout
    assert (absent.returncode, absent.stderr) == (1, "the topic changes does not exist\n")
    assert (hung_up.returncode, "hung up" in hung_up.stderr) == (1, True)
    refused = run(address)
    assert (refused.returncode, "does not answer" in refused.stderr) == (1, True)
