"""Only what is on disk is committed, and all of it in the end."""

from hypothesis import given, settings
from hypothesis import strategies as st

from helfy.consumer.commits import GRAIN_SECONDS, MARGIN_SECONDS, DurableOffsets

AGE = 1.0 + MARGIN_SECONDS


def test_an_offset_is_committable_when_its_line_is_old_enough() -> None:
    offsets = DurableOffsets(1.0)
    offsets.handled(0, 7, 100.0)
    assert offsets.committable(100.0 + AGE - 0.001) == {}
    assert offsets.committable(100.0 + AGE) == {0: 8}


def test_what_kafka_did_not_take_stays_committable() -> None:
    offsets = DurableOffsets(1.0)
    offsets.handled(0, 7, 100.0)
    assert offsets.committable(200.0) == {0: 8}
    assert offsets.committable(200.0) == {0: 8}
    offsets.committed({0: 8})
    assert offsets.committable(200.0) == {}
    offsets.handled(0, 8, 200.0)
    assert offsets.committable(300.0) == {0: 9}


def test_a_commit_of_less_does_not_hide_what_came_after() -> None:
    offsets = DurableOffsets(1.0)
    offsets.handled(0, 7, 100.0)
    taken = offsets.committable(110.0)
    offsets.handled(0, 8, 110.0)
    assert offsets.committable(120.0) == {0: 9}
    offsets.committed(taken)
    assert offsets.committable(120.0) == {0: 9}


def test_partitions_are_apart() -> None:
    offsets = DurableOffsets(1.0)
    offsets.handled(0, 7, 100.0)
    offsets.handled(1, 3, 101.0)
    assert offsets.committable(100.0 + AGE) == {0: 8}
    offsets.forget({0})
    assert offsets.committable(200.0) == {1: 4}
    offsets.committed({0: 8, 1: 4, 5: 1})
    assert offsets.committable(200.0) == {}


def test_a_steady_stream_does_not_keep_offsets_from_being_durable() -> None:
    offsets = DurableOffsets(1.0)
    for number in range(10_000):
        offsets.handled(0, number, 100.0 + number * 0.001)
    durable = offsets.committable(110.0)[0]
    assert 8500 - GRAIN_SECONDS * 1000 <= durable <= 8501


def test_settled_at_tells_when_all_is_durable() -> None:
    offsets = DurableOffsets(1.0)
    assert offsets.settled_at(100.0) is None
    offsets.handled(0, 1, 100.0)
    offsets.handled(1, 1, 100.5)
    assert offsets.settled_at(101.0) == 100.5 + AGE
    offsets.committable(100.5 + AGE)
    assert offsets.settled_at(102.0) is None


def test_the_age_counts_from_when_the_line_was_seen_to_be_read() -> None:
    offsets = DurableOffsets(1.0)
    offsets.handled(0, 7, 100.0, 50)
    offsets.handled(0, 8, 100.2, 60)
    offsets.handled(1, 3, 100.3)  # it has no line, and comes after those
    assert offsets.committable(110.0, 61) == {}
    assert offsets.settled_at(110.0, 61) == 110.0 + AGE
    assert offsets.committable(110.0 + AGE, 60) == {}
    assert offsets.committable(111.0 + AGE, 60) == {}
    assert offsets.committable(110.0 + 2 * AGE, 60) == {0: 8}
    assert offsets.committable(120.0, 0) == {0: 8}
    # What is written now was not read then.
    offsets.handled(0, 9, 120.0, 10)
    assert offsets.committable(120.0 + AGE, 10) == {0: 9, 1: 4}
    assert offsets.committable(200.0, 10) == {0: 9, 1: 4}


def test_only_what_is_durable_is_vouched_for() -> None:
    offsets = DurableOffsets(1.0)
    assert offsets.vouched(100.0, 0) == 100.0
    offsets.handled(0, 7, 100.0, 50)
    offsets.handled(0, 8, 100.5, 50)
    assert offsets.vouched(110.0, 100) == 100.0 + AGE
    assert offsets.vouched(111.0, 50) == 100.0 + AGE
    assert offsets.vouched(111.0 + AGE, 50) == 100.5 + AGE
    assert offsets.vouched(111.0 + AGE, 0) == 100.5 + AGE
    assert offsets.vouched(111.0 + 2 * AGE, 0) == 111.0 + 2 * AGE


steps = st.lists(
    st.tuples(st.integers(0, 2), st.floats(0, 0.7), st.integers(1, 3), st.booleans()),
    max_size=60,
)


@given(steps, st.sampled_from([0.1, 1.0, 2.5]))
@settings(max_examples=200, deadline=None)
def test_property_nothing_young_is_committed_and_nothing_is_forgotten(
    made: list[tuple[int, float, int, bool]], sync: float
) -> None:
    offsets = DurableOffsets(sync)
    now = 50.0
    written: dict[int, list[tuple[int, float]]] = {0: [], 1: [], 2: []}
    done: dict[int, int] = {}
    for partition, wait, skip, take in made:
        now += wait
        last = written[partition][-1][0] if written[partition] else 0
        offsets.handled(partition, last + skip, now)
        written[partition].append((last + skip, now))
        told = offsets.committable(now)
        for which, following in told.items():
            assert following > done.get(which, 0)
            for offset, at in written[which]:
                assert offset >= following or now - at >= sync + MARGIN_SECONDS
        if take:
            offsets.committed(told)
            done |= told
    done |= offsets.committable(now + sync + MARGIN_SECONDS)
    assert done == {which: lines[-1][0] + 1 for which, lines in written.items() if lines}
