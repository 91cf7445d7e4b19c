"""The question to a broker about a topic: recorded answers, and a listener that hangs up."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import closing

import module_paths
import pytest

topic_health = module_paths.module("kafka_topic_health")
link = module_paths.module_utils("kafka_link")


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def ids(*values: int) -> bytes:
    return struct.pack(f">i{len(values)}i", len(values), *values)


def answer(error: int = 0, *partitions: bytes) -> bytes:
    """Make a Metadata response, version 7, as the protocol's guide describes it."""
    broker = struct.pack(">i", 1) + text("127.0.0.1") + struct.pack(">ih", 9092, -1)
    head = struct.pack(">ii", 0, 1) + broker + text("IKfWeofPain4DN6Nm1syTQ")
    topic = struct.pack(">ii", 1, 1) + struct.pack(">h", error) + text("changes") + b"\0"
    return head + topic + struct.pack(">i", len(partitions)) + b"".join(partitions)


def told(error: int = 0, *partitions: bytes) -> object:
    """Give the same as the module reads it."""
    return link.Answer(answer(error, *partitions))


def partition(
    number: int, leader: int, copies: tuple[int, ...], in_step: tuple[int, ...], error: int = 0
) -> bytes:
    head = struct.pack(">hiii", error, number, leader, 7)
    return head + ids(*copies) + ids(*in_step) + ids()


def test_an_answer_is_understood() -> None:
    found = topic_health.read(told(0, partition(0, 1, (1, 2), (1, 2)), partition(1, 2, (2,), (2,))))
    assert found is not None
    assert [(p.number, p.leader, p.copies) for p in found] == [(0, 1, (1, 2)), (1, 2, (2,))]
    assert topic_health.judge("changes", found).endswith(
        "changes: 2 partitions, all copies in step"
    )
    assert topic_health.read(told(topic_health.UNKNOWN_TOPIC)) is None


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (partition(0, 1, (1, 2, 3), (1, 3)), "2 copies in step of 3"),
        (partition(0, -1, (1,), (1,), 5), "no leader"),
    ],
)
def test_what_is_missing_is_said(part: bytes, words: str) -> None:
    with pytest.raises(topic_health.UnwellError, match=words):
        topic_health.judge("changes", topic_health.read(told(0, part)))


def ask(address: str, *, must_exist: bool = False) -> str:
    with link.Link(address) as connection:
        return str(topic_health.look(connection, "changes", must_exist=must_exist))


def test_it_speaks_to_a_socket() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        bodies = [answer(0, partition(0, 1, (1,), (1,))), answer(3), answer(3), b"?", None]

        def serve() -> None:
            for body in bodies:
                connection, _ = server.accept()
                with connection:
                    (size,) = struct.unpack(">i", connection.recv(4))
                    assert len(connection.recv(size)) == size
                    if body is not None:
                        numbered = struct.pack(">i", 1) + body
                        connection.sendall(struct.pack(">i", len(numbered)) + numbered)

        thread = threading.Thread(target=serve)
        thread.start()
        assert ask(address).endswith("1 partition, all copies in step")
        assert ask(address).endswith("the topic changes does not exist yet")
        with pytest.raises(topic_health.UnwellError, match="the topic changes does not exist"):
            ask(address, must_exist=True)
        with pytest.raises(topic_health.UnwellError, match="is not understood"):
            ask(address)
        with pytest.raises(link.LinkError, match=f"does not answer at {address}: it hung up"):
            ask(address)
        thread.join()
    with pytest.raises(link.LinkError, match="does not answer"):
        ask(address)


@pytest.mark.parametrize("said", ["r=otherServer,s=c2FsdA==,i=4096", "e=unknown-user", ""])
def test_a_login_that_is_answered_by_something_else_is_refused(said: str) -> None:
    with pytest.raises(link.LinkError, match="not understood"):
        link.scram_proof("pencil", "n=user,r=fyko", "fyko", said)
