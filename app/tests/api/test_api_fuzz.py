"""Schemathesis: whatever the OpenAPI document lets one send gets an answer that it knows of."""

from collections.abc import Callable
from pathlib import Path

import pytest
from api_process import Process
from feed_topic import Topic
from fuzz import ENDING, fuzz
from kafka_server import Kafka
from mariadb_server import MariaDB

WIDE = "[throttle]\n" + "".join(
    f"{kind}_attempts = 100000\n" for kind in ("pair", "address", "account")
)
"""Or most answers to a login would be 429."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["root", "alice"])
def test_every_answer_is_in_the_document(
    processes: Callable[..., Process], database: MariaDB, kafka: Kafka, tmp_path: Path, name: str
) -> None:
    topic = Topic(kafka)
    topic.write(topic.change(1), topic.change(1, "u"), ({}, b"no JSON"), topic.heartbeat())
    stream = f'[stream]\nbootstrap_servers = ["{kafka.server}"]\ntopic = "{topic.name}"\n'
    stream += topic.captured_toml("stream.captured")
    process = processes(WIDE + stream)
    url, token = f"http://127.0.0.1:{process.port}", process.login(name)[2]["token"]

    assert fuzz(url, tmp_path, token) >= 11
    assert process.send("GET", "/profile", token)[0] == 200, "else all were answered by 401"

    # An id that nobody comes upon by chance: the account goes last, if it goes.
    database.execute("UPDATE users SET id = 918273 WHERE username = %s", name, database="helfy")
    assert fuzz(url, tmp_path, process.login(name)[2]["token"], ENDING) == len(ENDING)
