"""The consumer's metrics: what is counted, where it is told, and that workers are added up."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from feed_topic import Topic, eventually
from kafka_server import Kafka, free_port
from prometheus_client.parser import text_string_to_metric_families

from helfy.consumer.settings import SettingsError, load


def sample(port: int, name: str, **labels: str) -> float:
    """Give one number; 0 where there is none yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return 0
    return sum(
        each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
        if each.name == name and labels.items() <= each.labels.items()
    )


@contextmanager
def consumer(topic: Topic, home: Path, workers: int, port: int) -> Iterator[Path]:
    """Run a consumer; give the file that its lines go to."""
    config, lines = home / "consumer.toml", home / "lines"
    config.write_text(
        f'[kafka]\nbootstrap_servers = ["{topic.kafka.server}"]\ntopic = "{topic.name}"\n'
        f'group_id = "{topic.name}"\n[workers]\ncount = {workers}\n'
        f'[metrics]\nlisten = "127.0.0.1:{port}"\n{topic.captured_toml("captured")}'
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("NOTIFY_SOCKET", None)
    with lines.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "helfy.consumer", "--config", str(config)],
            stdout=output,
            env=environment,
        )
    try:
        yield lines
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_what_one_process_counts(kafka: Kafka, tmp_path: Path) -> None:
    topic, port = Topic(kafka), free_port()
    topic.write(topic.change(1), topic.change(1, "u"), topic.heartbeat(), ({"id": 1}, b"no JSON"))
    with consumer(topic, tmp_path, 1, port) as lines:
        eventually(lambda: sample(port, "helfy_consumer_records_total") == 4, "all is read")
        assert sample(port, "helfy_consumer_lines_total", type="INSERT") == 1
        assert sample(port, "helfy_consumer_lines_total", type="UPDATE") == 1
        assert sample(port, "helfy_consumer_lines_total", type="UNDECODABLE") == 1
        assert sample(port, "helfy_consumer_commit_to_line_seconds_count") == 2
        assert 0 < sample(port, "helfy_consumer_commit_to_line_seconds_sum") < 120
        assert sample(port, "helfy_consumer_lag_records") == 0
        assert sample(port, "helfy_consumer_kafka_up") == 1
        topic.write(topic.change(1, "u"))
        again = topic.change(2)
        topic.write(again, again)
        eventually(lambda: sample(port, "helfy_consumer_replayed_total") == 1, "a replay is told")
        assert sample(port, "helfy_consumer_commit_to_line_seconds_count") == 4, "not of a replay"
        assert lines.read_text().count('"action":"db_change"') == 5


def test_workers_are_added_up_and_one_that_died_still_counts(kafka: Kafka, tmp_path: Path) -> None:
    topic, port = Topic(kafka, partitions=2), free_port()
    with consumer(topic, tmp_path, 2, port):
        eventually(lambda: sample(port, "helfy_consumer_workers") == 2, "both run")
        for partition in (0, 1):
            topic.write(*(topic.change(row) for row in range(10)), partition=partition)
        eventually(lambda: sample(port, "helfy_consumer_records_total") >= 20, "all is read")
        time.sleep(1.5)  # until what was written is committed
        before = sample(port, "helfy_consumer_records_total")
        [victim, _] = children()
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: victim not in children() and len(children()) == 2, "there is another")
        topic.write(topic.change(11), partition=0)
        topic.write(topic.change(12), partition=1)
        eventually(
            lambda: sample(port, "helfy_consumer_records_total") >= before + 2, "it goes on", 60
        )
        assert sample(port, "helfy_consumer_lines_total", type="INSERT") >= 22


def children() -> list[int]:
    """Give the workers that run: grandchildren of this process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
            parent = int((path.parent / "stat").read_text().rpartition(")")[2].split()[1])
            above = Path(f"/proc/{parent}/stat").read_text()
            grandparent = int(above.rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if b"--worker" in words and grandparent == os.getpid():
            found.append(int(path.parent.name))
    return found


def test_a_port_that_is_taken_is_said_and_lines_are_written_all_the_same(
    kafka: Kafka, tmp_path: Path
) -> None:
    topic = Topic(kafka)
    topic.write(topic.change(1))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with consumer(topic, tmp_path, 1, taken.getsockname()[1]) as lines:
            eventually(lambda: '"action":"db_change"' in lines.read_text(), "the line is there")
        assert '"action":"metrics_unavailable"' in lines.read_text()


@pytest.mark.parametrize("listen", ['"9101"', '"127.0.0.1:0"', '"127.0.0.1:99999"', "9101"])
def test_a_bad_address_is_refused(tmp_path: Path, listen: str) -> None:
    path = tmp_path / "consumer.toml"
    path.write_text(
        '[kafka]\nbootstrap_servers = ["k:1"]\ntopic = "t"\n' + (f"[metrics]\nlisten = {listen}\n")
    )
    with pytest.raises(SettingsError, match=r"metrics\.listen .*HOST:PORT"):
        load(path)
