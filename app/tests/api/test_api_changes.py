"""``GET /changes``: the feed over HTTP."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from api_support import Log, MakeApp, assert_error, services_of, token_of
from feed_topic import SECRET, Topic, eventually, stop
from flask.testing import FlaskClient
from kafka_server import Kafka
from werkzeug.test import TestResponse

from helfy.feed.settings import Stream


class Viewer:
    """An admin who looks at the feed of a topic."""

    def __init__(self, client: FlaskClient, topic: Topic, name: str = "root") -> None:
        self.client = client
        self.topic = topic
        self.token = token_of(client, name)

    def ask(self, **query: Any) -> TestResponse:
        return self.client.get("/changes", query_string=query, headers={"x-auth-token": self.token})

    def see(self, **query: Any) -> dict[str, Any]:
        response = self.ask(**query)
        assert response.status_code == 200, response.text
        assert response.mimetype == "application/json"
        assert isinstance(response.json, dict)
        return response.json


def ids(answer: dict[str, Any]) -> list[int]:
    return [line["change"]["key"]["id"] for line in answer["changes"]]


@pytest.fixture
def viewer(kafka: Kafka, make_app: MakeApp) -> Iterator[Viewer]:
    topic = Topic(kafka)
    topic.write(*(topic.change(row) for row in range(1, 8)))
    app = make_app(stream=topic.stream())
    feed = services_of(app).feed
    feed.reader.start()
    try:
        eventually(lambda: feed.reader.ring.following() == {0: 7}, "all is read")
        yield Viewer(app.test_client(), topic)
    finally:
        stop(feed)


def test_the_newest_lines_and_the_way_to_older_ones(viewer: Viewer) -> None:
    answer = viewer.see(limit=3)
    assert ids(answer) == [7, 6, 5]
    line = answer["changes"][0]
    assert line["action"] == "db_change"
    assert line["source"] == {
        "topic": viewer.topic.name,
        "partition": 0,
        "offset": 6,
        "format": "debezium",
    }
    assert {key: answer[key] for key in ("state", "next", "older", "more", "lost")} == {
        "state": "live",
        "next": "0.7",
        "older": "0.4",
        "more": True,
        "lost": [],
    }
    assert 300 <= answer["pollAfterMs"] <= 1000
    recorded_at = datetime.fromisoformat(answer["recordedAt"])
    assert timedelta(0) <= datetime.now(UTC) - recorded_at < timedelta(minutes=1)
    answer = viewer.see(limit=3, before=answer["older"])
    assert ids(answer) == [4, 3, 2]
    answer = viewer.see(limit=3, before=answer["older"])
    assert (ids(answer), answer["older"], answer["more"]) == ([1], None, False)


def test_what_comes_after_a_cursor(viewer: Viewer, log: Log) -> None:
    cursor = viewer.see(limit=1)["next"]
    answer = viewer.see(after=cursor)
    assert (answer["changes"], answer["next"], answer["more"]) == ([], cursor, False)
    viewer.topic.write(viewer.topic.heartbeat(), viewer.topic.change(8), viewer.topic.change(9))
    eventually(lambda: ids(viewer.see(after=cursor)) == [8, 9], "the new lines are there")
    answer = viewer.see(after=cursor, limit=1)
    assert (ids(answer), answer["more"], answer["older"]) == ([8], True, None)
    assert ids(viewer.see(after=answer["next"])) == [9]
    asked = [line for line in log.lines("request") if line["route"] == "/changes"]
    assert len(asked) == 1, "who looks is logged once and not every second"


def test_filters_and_no_secrets(viewer: Viewer) -> None:
    topic = viewer.topic
    topic.write(topic.change(8, "d"), topic.change(9, table="sessions"))
    eventually(lambda: ids(viewer.see(limit=1)) == [9], "the new lines are there")
    assert ids(viewer.see(type="DELETE")) == [8]
    assert ids(viewer.see(table="helfy.sessions")) == [9]
    assert ids(viewer.see(key="3")) == [3]
    assert ids(viewer.see(after="0.0", key="3", table="users", type="INSERT")) == [3]
    assert SECRET not in json.dumps(viewer.see(limit=200))


def test_what_is_lost_is_said(viewer: Viewer) -> None:
    viewer.topic.kafka.delete_records(viewer.topic.name, 0, 4)
    viewer.topic.write(viewer.topic.change(8))
    other = viewer.topic.feed()
    try:
        services = services_of(viewer.client.application)
        object.__setattr__(services, "feed", other)
        eventually(lambda: other.reader.ring.following() == {0: 8}, "all is read")
        answer = viewer.see(after="0.1")
        assert answer["lost"] == [{"partition": 0, "from": 1, "to": 3}]
        assert ids(answer) == [5, 6, 7, 8]
    finally:
        stop(other)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"after": "x"}, "after"),
        ({"before": "0.1_0.2"}, "before"),
        ({"after": "0.1", "before": "0.2"}, "before"),
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"type": "MERGE"}, "type"),
        ({"table": ""}, "table"),
        ({"key": "k" * 513}, "key"),
        ({"after": "0." + "1" * 5000}, "after"),
    ],
)
def test_bad_queries(viewer: Viewer, query: dict[str, str], field: str) -> None:
    assert_error(viewer.ask(**query), 400, "the request is not valid", field)


def test_only_for_admins(viewer: Viewer) -> None:
    assert viewer.client.get("/changes").status_code == 401
    assert Viewer(viewer.client, viewer.topic, "alice").ask().status_code == 403


def test_without_kafka_there_is_nothing_and_that_is_said(make_app: MakeApp, log: Log) -> None:
    # The broker's port is a free one: nobody answers there.
    app = make_app(stream=Stream(bootstrap_servers=("127.0.0.1:1",)))
    client = app.test_client()
    token = token_of(client, "root")
    for query in ({}, {"after": "0.5"}, {"before": "0.5"}):
        response = client.get("/changes", query_string=query, headers={"x-auth-token": token})
        assert_error(response, 503, "Kafka does not answer, try again")
        assert int(response.headers["Retry-After"]) >= 1
    assert {line["outcome"] for line in log.lines("changes")} == {"kafka_away"}
    stop(services_of(app).feed)
