"""When viewers of the feed are to ask again."""

import pytest

from helfy.feed.pace import Pace


def answers(viewers: int, seconds: float) -> list[tuple[float, int]]:
    """Let so many viewers keep to what they are told; give when each asked and what it was told."""
    now = [0.0]
    pace = Pace(lambda: now[0])
    due = [0.0] * viewers
    told = []
    while min(due) < seconds:
        viewer = due.index(min(due))
        now[0] = due[viewer]
        after = pace.next_ms()
        told.append((now[0], after))
        due[viewer] += after / 1000
    return told


def test_one_viewer_asks_again_soon() -> None:
    assert {after for _, after in answers(1, 10)} == {300}


@pytest.mark.parametrize("viewers", [8, 12, 20])
def test_some_viewers_share_the_turns(viewers: int) -> None:
    told = [each for each in answers(viewers, 10) if each[0] > 5]
    assert len(told) == pytest.approx(5 * 20, abs=6)
    assert all(300 <= after <= 1000 for _, after in told)
    # Evenly spread: no second has many more than another.
    seconds = [sum(int(at) == second for at, _ in told) for second in range(5, 10)]
    assert max(seconds) - min(seconds) <= 6


def test_a_hundred_viewers_ask_once_a_second_and_leave() -> None:
    told = [each for each in answers(100, 10) if each[0] > 5]
    assert {after for _, after in told} == {1000}
    now = [0.0]
    pace = Pace(lambda: now[0])
    for _ in range(100):
        pace.next_ms()
    assert pace.next_ms() == 1000
    now[0] += 3
    assert pace.next_ms() == 300
