"""``/metrics`` and ``GET /status``."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from api_support import PASSWORD, MakeApp, login, profile, services_of, token_of
from feed_topic import Topic, eventually, stop
from flask import Flask
from flask.testing import FlaskClient
from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition  # type: ignore[import-untyped]
from kafka_server import Kafka, free_port
from mariadb_server import MariaDB
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.serving import make_server

from helfy.api import metrics, status
from helfy.api.last_hour import Hour
from helfy.api.settings import Server, Settings
from helfy.consumer import metrics as consumer
from helfy.hashing import Party


def sample(client: FlaskClient, name: str, **labels: str) -> float | None:
    """Give the sum of a metric's samples with these labels, None where there is none."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.content_type.startswith("text/plain; version=")
    found = [
        each.value
        for family in text_string_to_metric_families(response.text)
        for each in family.samples
        if each.name == name and labels.items() <= each.labels.items()
    ]
    return sum(found) if found else None


def test_logins_by_outcome_and_requests_by_route(client: FlaskClient) -> None:
    token = token_of(client)
    assert login(client, password="wrong").status_code == 401
    assert login(client, name=7).status_code == 400
    for _ in range(3):
        assert profile(client, token).status_code == 200
    for path in ("/nothing", "/users/12", "/users/13"):
        client.get(path)
    for outcome, count in (("ok", 1), ("invalid_credentials", 1), ("bad_request", 1)):
        assert sample(client, "helfy_api_logins_total", outcome=outcome) == count
    name = "helfy_api_request_seconds_count"
    assert sample(client, name, route="/profile", method="GET", status="2xx") == 3
    assert sample(client, name, route="none", status="4xx") == 1
    assert sample(client, name, route="/users/<int:user_id>", status="4xx") == 2, "not by path"
    assert sample(client, name, route="/metrics") is None
    assert PASSWORD not in client.get("/metrics").text
    assert token not in client.get("/metrics").text


def test_labels_take_few_values(client: FlaskClient) -> None:
    for number in range(30):
        client.open(f"/no/{number}", method=f"M{number}")
        client.get(f"/users/{number}")
    text = client.get("/metrics").text
    series = [line for line in text.splitlines() if "request_seconds_count" in line]
    assert len(series) == 2, series


def test_sessions_and_the_database(
    make_app: MakeApp, database: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "SESSIONS_SECONDS", -1)
    client = make_app().test_client()
    token = token_of(client)
    token_of(client, "root")
    assert sample(client, "helfy_api_sessions") == 2
    client.post("/logout", headers={"x-auth-token": token})
    assert sample(client, "helfy_api_sessions") == 1
    assert sample(client, "helfy_api_database_up") == 1
    with database.stopped():
        assert sample(client, "helfy_api_database_up") == 0
        assert sample(client, "helfy_api_sessions") is None, "what is not known is not told"


def test_the_hashing_queue(app: Flask, client: FlaskClient) -> None:
    room = services_of(app).room
    with room.place(Party("a")), room.slot(), room.place(Party("b")):
        assert sample(client, "helfy_api_hashes_running") == 1
        assert sample(client, "helfy_api_hashes_waiting") == 1
    assert sample(client, "helfy_api_hashes_running") == 0
    assert sample(client, "helfy_api_hashes_slots") == room.slots


def see(client: FlaskClient) -> dict[str, Any]:
    response = client.get("/status", headers={"x-auth-token": token_of(client, "root")})
    assert response.status_code == 200, response.text
    assert isinstance(response.json, dict)
    return response.json


def parts(answer: dict[str, Any]) -> dict[tuple[str, str | None], str]:
    return {(part["name"], part["instance"]): part["state"] for part in answer["parts"]}


def commit(topic: Topic, group: str, offset: int) -> None:
    consumer = KafkaConsumer(bootstrap_servers=topic.kafka.server, group_id=group)
    part = TopicPartition(topic.name, 0)
    consumer.assign([part])
    consumer.commit({part: OffsetAndMetadata(offset, "", -1)})
    consumer.close(autocommit=False)


def test_the_status_of_the_stream(
    kafka: Kafka, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helfy.feed.groups.FRESH_SECONDS", -1)
    topic = Topic(kafka)
    old = int(time.time() * 1000) - 20_000
    topic.write(*(topic.change(row) for row in range(5)), topic.heartbeat(), first_ms=old)
    commit(topic, f"good-{topic.name}", 6)
    commit(topic, f"slow-{topic.name}", 2)
    groups = tuple(f"{kind}-{topic.name}" for kind in ("good", "slow", "never"))
    app = make_app(stream=topic.stream(consumer_groups=groups))
    here = services_of(app)
    client = app.test_client()
    before = parts(see(client))
    assert before["kafka", None] == "down"
    assert before["capture", None] == before["consumer", groups[0]] == "unknown"
    here.feed.reader.start()
    try:
        eventually(lambda: here.feed.reader.ring.following() == {0: 6}, "all is read")
        answer = see(client)
        assert parts(answer) == {
            ("database", None): "up",
            ("kafka", None): "up",
            ("capture", None): "up",
            ("consumer", groups[0]): "up",
            ("consumer", groups[1]): "down",
            ("consumer", groups[2]): "down",
            ("api", "this process"): "up",
        }
        assert answer["stream"]["state"] == "live"
        assert answer["stream"]["lagRecords"] == 0
        assert answer["stream"]["latency"]["changes"] == 5
        assert answer["stream"]["latency"]["p95Ms"] is not None
        assert sum(minute["changes"] for minute in answer["hour"]) == 5
        here.feed.reader.lags.note_most("lag", 3)
        assert max(minute["lagRecords"] for minute in see(client)["hour"]) >= 3
        [slow] = [part for part in answer["parts"] if part["instance"] == groups[1]]
        assert slow["said"].startswith("4 records have no line yet, the oldest for ")
    finally:
        stop(here.feed)
        here.groups.close()


@contextmanager
def served(app: Flask, port: int) -> Iterator[None]:
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_last_hour_of_all_processes(
    make_app: MakeApp, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "FRESH_SECONDS", -1)
    port, gone = free_port(), free_port()
    processes = tuple(f"127.0.0.1:{each}" for each in (port, gone, 1))
    server = settings.server.model_copy(update={"processes": processes})
    assert isinstance(server, Server)
    one, other = make_app(server=server), make_app(server=server)
    one.config["ADDRESS"] = "127.0.0.1:1"
    client = one.test_client()
    token_of(client)
    for _ in range(2):
        login(other.test_client(), password="wrong")
    # Both follow the one stream; the one that answers began later.
    before = time.time() - 600
    for app, moments in ((one, (time.time(),)), (other, (before, before, time.time()))):
        for at in moments:
            services_of(app).feed.reader.latencies.note(15, at)
    with served(other, port):
        answer = see(client)
    found = parts(answer)
    assert found["api", f"127.0.0.1:{port}"] == "up"
    assert found["api", f"127.0.0.1:{gone}"] == "down"
    assert found["api", "127.0.0.1:1"] == "up", "itself it need not ask"
    assert answer["logins"] == {"invalid_credentials": 2, "ok": 2}
    assert answer["requests"] == {"2xx": 2, "4xx": 2}
    assert sum(sum(minute["logins"].values()) for minute in answer["hour"]) == 4
    assert sum(minute["changes"] for minute in answer["hour"]) == 3, "each change once"
    assert answer["stream"]["latency"]["changes"] == 3
    assert answer["stream"]["latency"]["p50Ms"] == 20
    answer = see(client)
    assert parts(answer)["api", f"127.0.0.1:{port}"] == "down"
    assert answer["stream"]["latency"]["changes"] == 1, "what this process saw itself"


def test_a_process_that_says_something_else_is_down() -> None:
    for said in ({"minutes": []}, {"minutes": {"x": {}}}, {"latencies": {"1": 2}}):
        with pytest.raises((ValueError, TypeError, AttributeError)):
            Hour.read(said)
    assert Hour.read({"release": "before", "minutes": {"7": {"logins.ok": 1}}}) == Hour(
        minutes={7: {"logins.ok": 1}}
    )


def test_the_status_is_for_admins(client: FlaskClient) -> None:
    assert client.get("/status").status_code == 401
    token = token_of(client)
    assert client.get("/status", headers={"x-auth-token": token}).status_code == 403


def test_the_catalogue_has_every_metric_and_no_other(
    client: FlaskClient, database: MariaDB
) -> None:
    login(client)
    database.execute(
        "INSERT INTO capture_state (source, state) VALUES ('a', 'running')", database="helfy"
    )
    families = {
        family.name: sorted({label for each in family.samples for label in each.labels} - {"le"})
        for family in text_string_to_metric_families(client.get("/metrics").text)
    }
    for registry in (consumer.REGISTRY, consumer.SUPERVISOR):
        for collector in registry._collector_to_names:
            families[collector._name] = sorted(collector._labelnames)  # type: ignore[attr-defined]
    text = (Path(__file__).parents[3] / "docs/metrics.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| `helfy_")
    ]
    told = {
        row[0].strip("`"): (row[1], sorted(row[2].replace("`", "").replace(",", " ").split()))
        for row in rows
    }
    # A counter's family has no "_total", its samples do.
    assert {name.removesuffix("_total"): labels for name, (_, labels) in told.items()} == families
    for name, (kind, _) in told.items():
        assert (kind == "counter") == name.endswith("_total"), name
        assert (kind == "histogram") == (name.endswith("_seconds") and "silence" not in name), name
