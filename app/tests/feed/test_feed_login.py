"""Logging in to a real Kafka: who may do what, and what a refusal is to each client."""

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from feed_topic import Topic, eventually, rows, stop
from kafka import KafkaProducer, errors  # type: ignore[import-untyped]
from kafka.admin import ACLOperation, ResourceType  # type: ignore[import-untyped]
from kafka_server import ADMIN, Kafka

from helfy import stream_health
from helfy.consumer.commits import WrittenLines
from helfy.consumer.recorder import Recorder
from helfy.consumer.replay import Replays
from helfy.consumer.settings import Settings
from helfy.consumer.source import FAULTS, KafkaSource
from helfy.feed.entry import Wanted
from helfy.feed.feed import Feed
from helfy.feed.groups import Groups
from helfy.feed.pager import Pager
from helfy.feed.reader import StreamReader
from helfy.kafka_consumer import KafkaLogin, open_consumer, security

FEED = KafkaLogin("feed", "password-of-the-feed")
CONSUMER = KafkaLogin("consumer", "password-of-the-consumer")
WRONG = KafkaLogin("consumer", "password-of-another")
GROUP = "helfy-consumer-test"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Kafka]:
    """A Kafka that asks for a login."""
    home = Path(tempfile.mkdtemp(prefix="helfy-kafka-"))
    server = Kafka(home, [ADMIN, FEED, CONSUMER])
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def topic(guarded: Kafka) -> Topic:
    """A topic that both may read, as on a VM, with three changes."""
    topic = Topic(guarded)
    for login in (FEED, CONSUMER):
        guarded.allow(login, ResourceType.TOPIC, topic.name, ACLOperation.READ)
    guarded.allow(CONSUMER, ResourceType.GROUP, GROUP, ACLOperation.READ)
    guarded.allow(FEED, ResourceType.GROUP, GROUP, ACLOperation.DESCRIBE)
    topic.write(*(topic.change(row) for row in (1, 2, 3)))
    return topic


def settings(topic: Topic, login: KafkaLogin | None) -> Settings:
    return Settings((topic.kafka.server,), topic.name, GROUP, login=login)


def opened(chosen: Settings) -> KafkaSource:
    replays = Replays()
    return KafkaSource(chosen, Recorder(chosen, lambda _: None, WrittenLines(replays), replays))


def feed_of(topic: Topic, login: KafkaLogin) -> Feed:
    stream = topic.stream(username=login.username, consumer_groups=(GROUP,))
    assert stream.login is None
    stream = stream.with_password(login.password)
    feed = Feed(StreamReader(stream), Pager(stream))
    feed.reader.start()
    return feed


def test_the_consumer_reads_and_commits_and_the_feed_sees_how_far_it_is(topic: Topic) -> None:
    chosen = settings(topic, CONSUMER)
    source = opened(chosen)
    try:
        found: list[int] = []
        eventually(
            lambda: found.extend(r.offset for r in source.poll(200)) or len(found) == 3, "records"
        )
        source.commit({0: 2}, None, 5000)
    finally:
        source.close(500)
    said = stream_health.examine(chosen, 3600)
    assert (said["well"], said["partitions"]) == (True, {"0": {"end": 3, "committed": 2, "lag": 1}})
    feed = feed_of(topic, FEED)
    groups = Groups(
        topic.stream(username="feed", consumer_groups=(GROUP,)).with_password(FEED.password),
        feed.reader,
    )
    try:
        eventually(lambda: feed.reader.ring.following() == {0: 3}, "the feed reads")
        assert rows(feed.newest(Wanted(), 3)[0]) == [3, 2, 1]
        eventually(lambda: groups.look()[0].lag == 1, "how far the consumer is", 10)
    finally:
        groups.close()
        stop(feed)


@pytest.mark.parametrize("login", [WRONG, KafkaLogin("nobody", "password-of-nobody"), None])
def test_who_is_not_known_is_refused_and_nothing_is_left_running(
    topic: Topic, login: KafkaLogin | None
) -> None:
    before = threading.active_count()
    with pytest.raises(FAULTS) as refusal:
        opened(settings(topic, login))
    if login is not None:
        assert f"refuses the login of {login.username}" in str(refusal.value)
    eventually(lambda: threading.active_count() <= before, "no thread is left", 10)


def test_a_feed_with_a_wrong_password_is_cut_off_and_goes_on(topic: Topic) -> None:
    feed = feed_of(topic, KafkaLogin("feed", "password-of-another"))
    try:
        time.sleep(2)
        assert feed.reader.pulse.feed() == "cutOff"
        assert feed.reader.ring.following() == {}
    finally:
        stop(feed)


@pytest.mark.parametrize("login", [FEED, CONSUMER])
def test_readers_cannot_write(topic: Topic, login: KafkaLogin) -> None:
    producer = KafkaProducer(
        bootstrap_servers=topic.kafka.server, enable_idempotence=False, **security(login)
    )
    try:
        with pytest.raises(errors.TopicAuthorizationFailedError):
            producer.send(topic.name, json.dumps({"op": "c"}).encode()).get(10)
    finally:
        producer.close(1)


def test_the_feed_cannot_join_the_consumers_group(topic: Topic) -> None:
    consumer = open_consumer(
        FEED, bootstrap_servers=topic.kafka.server, group_id=GROUP, bootstrap_timeout_ms=5000
    )
    consumer.subscribe([topic.name])
    try:
        with pytest.raises(errors.GroupAuthorizationFailedError):
            consumer.poll(timeout_ms=10_000)
    finally:
        consumer.close(autocommit=False)


def test_a_login_does_not_show_its_password() -> None:
    assert ADMIN.password not in repr(settings_of_anybody(ADMIN))


def settings_of_anybody(login: KafkaLogin) -> Settings:
    return Settings(("k:1",), "t", "g", login=login)
