"""What Kafka dropped before it was read is found, and nothing else is said to be."""

from collections.abc import Iterable

import pytest

from helfy.consumer.lost import Losses, Lost


class Kafka:
    """Committed and first offsets by partition, and how often it was asked."""

    def __init__(self) -> None:
        self.commits: dict[int, int] = {}
        self.begins: dict[int, int] = {}
        self.asked = 0
        self.away = False

    def committed(self, partition: int) -> int | None:
        self._ask()
        return self.commits.get(partition)

    def beginnings(self, partitions: Iterable[int]) -> dict[int, int]:
        self._ask()
        return {partition: self.begins.get(partition, 0) for partition in partitions}

    def _ask(self) -> None:
        if self.away:
            raise ConnectionError
        self.asked += 1


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


@pytest.fixture
def losses(kafka: Kafka) -> Losses:
    return Losses(kafka.committed, kafka.beginnings)


def test_what_retention_dropped_is_found_at_assignment_once(kafka: Kafka, losses: Losses) -> None:
    kafka.commits = {0: 5, 1: 7, 2: 9}
    kafka.begins = {0: 5, 1: 9, 2: 0, 3: 4}
    losses.assigned([0, 1, 2, 3])
    losses.polled(1, 9, 12)
    assert losses.check() == [Lost(1, 7, 8)]
    asked = kafka.asked
    assert losses.check() == []
    assert kafka.asked == asked


def test_a_new_group_has_lost_nothing(kafka: Kafka, losses: Losses) -> None:
    kafka.begins = {0: 100}
    losses.assigned([0])
    assert losses.check() == []


def test_what_is_dropped_while_reading_lags_is_found(kafka: Kafka, losses: Losses) -> None:
    losses.polled(0, 3, 5)
    losses.polled(0, 6, 8)
    assert losses.check() == []
    assert kafka.asked == 0
    kafka.begins = {0: 20}
    losses.polled(0, 20, 21)
    assert losses.check() == [Lost(0, 9, 19)]
    losses.polled(0, 22, 22)
    assert losses.check() == []


def test_a_gap_within_what_is_there_is_no_loss(kafka: Kafka, losses: Losses) -> None:
    losses.polled(0, 3, 5)
    losses.polled(0, 7, 8)
    assert losses.check() == []
    assert kafka.asked == 1


def test_kafka_that_does_not_answer_is_asked_again(kafka: Kafka, losses: Losses) -> None:
    kafka.commits, kafka.begins = {0: 1}, {0: 3}
    losses.assigned([0])
    kafka.away = True
    with pytest.raises(ConnectionError):
        losses.check()
    kafka.away = False
    assert losses.check() == [Lost(0, 1, 2)]


def test_what_went_to_another_is_not_asked_about(kafka: Kafka, losses: Losses) -> None:
    kafka.commits, kafka.begins = {0: 1}, {0: 30}
    losses.assigned([0])
    losses.polled(1, 1, 1)
    losses.gone([0, 1])
    losses.polled(1, 9, 9)
    assert losses.check() == []
    assert kafka.asked == 0
