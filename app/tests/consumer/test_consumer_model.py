"""Whatever happens to consumers, their journal and their VM: every change is on record."""

import contextlib
import json
from collections.abc import Iterator

import pytest
from consumer_model import KilledError, Member, World, identity, place, rebalance
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helfy.consumer import recorder

Step = tuple[str, int, int]
NUMBERS = (st.integers(0, 3), st.integers(0, 99))
GENTLE = ("produce", "produce", "poll", "poll", "wait", "commit", "rebalance", "restart")
ROUGH = (*GENTLE, "kill", "zombie", "crash", "full", "room", "lose")


def steps(names: tuple[str, ...]) -> st.SearchStrategy[list[Step]]:
    return st.lists(st.tuples(st.sampled_from(names), *NUMBERS), max_size=40)


@pytest.fixture(autouse=True, scope="module")
def at_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "SETTLE_SECONDS", 0.0)
        yield


class Run:
    """Two members of one group, and what is done to them."""

    def __init__(self) -> None:
        self.world = World()
        self.members = [Member(self.world), Member(self.world)]
        rebalance(self.members, [0, 1])

    def do(self, step: Step) -> None:
        name, small, large = step
        member = self.members[small % 2]
        if name == "produce":
            for number in range(large % 7):
                self.world.produce((small + number) % 2, (large + number) % 5)
        elif name == "wait":
            self._wait(large / 10)
        elif name == "commit":
            member.commit()
        elif name == "rebalance":
            rebalance(self.members, [small, large])
        elif name == "poll":
            member.recorder.record(member.poll(large % 9))
        elif name == "full":
            self.world.full = True
        elif name == "room":
            self.world.room()
        elif name == "lose":
            self.world.lose(large % 5)
        else:
            self._fail(name, small, large)

    def _wait(self, seconds: float) -> None:
        """Wait, and read the journal back as the loop of the process does all the time."""
        self.world.now += seconds
        for member in self.members:
            member.recorder.read_back()

    def _fail(self, name: str, small: int, large: int) -> None:
        member = self.members[small % 2]
        if name == "crash":
            self.world.crash(small / 3)
            self.members = [Member(self.world), Member(self.world)]
        elif name == "restart":
            self.members[small % 2] = Member(self.world)
        elif name == "kill":
            self.world.kill_after = large % 5
            with contextlib.suppress(KilledError):
                member.recorder.record(member.poll(9))
            self.world.kill_after = None
            self.members[small % 2] = Member(self.world)
        elif name == "zombie":
            # Its partitions are another's already, while it writes what it had polled.
            polled = member.poll(large % 9)
            other = self.members[(small + 1) % 2]
            other.revoked()
            other.owns([0, 1])
            other.recorder.record(other.poll(large % 4))
            member.recorder.record(polled)
            member.commit()
            member.lost()
            return
        rebalance(self.members, [small, large])

    def finish(self) -> None:
        """Make room, go on with the same processes, and read to the end until all is committed."""
        self.world.room()
        for member in self.members:
            member.commit()
        self.world.now += 10
        again = True
        while again:
            again = False
            for member in self.members:
                while records := member.poll(50):
                    member.recorder.record(records)
                again |= member.commit()
            self.world.now += 10

    def check(self) -> list[dict[str, object]]:
        """Nothing is lost, and no line claims to repeat what is not there; give the record."""
        lines = [json.loads(line) for line in self.world.disk]
        lines = [line for line in lines if place(line)]
        wanted = {
            (partition, record.offset)
            for partition, log in self.world.log.items()
            for record in log
            if record.value is not None
        }
        assert {place(line) for line in lines} == wanted
        ends = {partition: len(log) for partition, log in self.world.log.items() if log}
        assert {p: o for p, o in self.world.commits.items() if o} == ends
        seen: set[object] = set()
        at: dict[tuple[int, int] | None, object] = {}
        for line in lines:
            assert "replayed" not in line or identity(line) in seen
            seen.add(identity(line))
            # The same record is the same change, however often it is written.
            assert at.setdefault(place(line), identity(line)) == identity(line)
        return lines


@given(steps(ROUGH))
@settings(max_examples=200, deadline=None)
@example([("produce", 0, 6), ("poll", 0, 5), ("lose", 0, 3)])
@example([("produce", 0, 6), ("full", 0, 0), ("poll", 0, 5), ("lose", 0, 1), ("room", 0, 0)])
@example([("produce", 0, 6), ("full", 0, 0), ("poll", 0, 5), ("commit", 0, 0), ("crash", 0, 0)])
def test_property_nothing_is_lost_and_no_mark_is_wrong(made: list[Step]) -> None:
    run = Run()
    for step in made:
        run.do(step)
    run.finish()
    run.check()


@given(steps(GENTLE))
@settings(max_examples=100, deadline=None)
@example([("produce", 0, 1), ("produce", 0, 1), ("poll", 0, 1), ("wait", 0, 50), ("poll", 0, 1)])
def test_property_every_repeated_line_is_marked_while_the_vm_lives(made: list[Step]) -> None:
    run = Run()
    for step in made:
        run.do(step)
    run.finish()
    seen: set[object] = set()
    for line in run.check():
        assert ("replayed" in line) is (identity(line) in seen)
        seen.add(identity(line))
