"""Whatever happens to consumers and their VM: every change once, or marked, and none lost."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from consumer_model import KilledError, Member, World, identity, place, rebalance
from hypothesis import given, settings
from hypothesis import strategies as st

from helfy.consumer import replay_log

Step = tuple[str, int, int]
NUMBERS = (st.integers(0, 3), st.integers(0, 99))
GENTLE = ("produce", "produce", "poll", "poll", "wait", "commit", "rebalance", "restart")
ROUGH = (*GENTLE, "kill", "zombie", "crash")


def steps(names: tuple[str, ...]) -> st.SearchStrategy[list[Step]]:
    return st.lists(st.tuples(st.sampled_from(names), *NUMBERS), max_size=40)


@pytest.fixture(autouse=True, scope="module")
def small_files() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay_log, "FILE_BYTES", 2500)
        yield


class Run:
    """Two members of one group, and what is done to them."""

    def __init__(self, directory: str) -> None:
        self.world = World(Path(directory))
        self.members = [Member(self.world), Member(self.world)]
        rebalance(self.members, [0, 1])

    def do(self, step: Step) -> None:
        name, small, large = step
        member = self.members[small % 2]
        if name == "produce":
            for number in range(large % 7):
                self.world.produce((small + number) % 2, (large + number) % 5)
        elif name == "wait":
            self.world.now += large / 40
        elif name == "commit":
            member.commit()
        elif name == "rebalance":
            rebalance(self.members, [small, large])
        elif name == "poll":
            member.recorder.record(member.poll(large % 9))
        else:
            self._fail(name, small, large)

    def _fail(self, name: str, small: int, large: int) -> None:
        member = self.members[small % 2]
        if name == "crash":
            self.world.crash(small / 3, large)
            self.members = [Member(self.world), Member(self.world)]
        elif name == "restart":
            self.members[small % 2] = Member(self.world)
        elif name == "kill":
            # Within a batch, or between it and the note of its lines.
            self.world.kill_after, member.replays.dead = large % 5, large > 50
            with contextlib.suppress(KilledError):
                member.recorder.record(member.poll(9))
            self.world.kill_after = None
            self.members[small % 2] = Member(self.world)
        elif name == "zombie":
            # Its partitions are another's already, while it writes what it had polled.
            polled = member.poll(large % 9)
            other = self.members[(small + 1) % 2]
            other.revoked()
            other.assigned([0, 1])
            other.recorder.record(other.poll(large % 4))
            member.recorder.record(polled)
            member.commit()
            member.lost()
            return
        rebalance(self.members, [small, large])

    def finish(self) -> None:
        """Start anew, read to the end, and commit all."""
        self.members = [Member(self.world)]
        rebalance(self.members, [0, 0])
        while records := self.members[0].poll(50):
            self.members[0].recorder.record(records)
        self.world.now += 10
        self.members[0].commit()

    def check(self) -> None:
        """Nothing is lost, and no line claims to repeat what is not there."""
        lines = [line for _, line in self.world.journal]
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
        at: dict[tuple[int, int], object] = {}
        for line in lines:
            assert "replayed" not in line or identity(line) in seen
            seen.add(identity(line))
            # The same record is the same change, however often it is written.
            assert at.setdefault(place(line), identity(line)) == identity(line)


@given(steps(ROUGH))
@settings(max_examples=150, deadline=None)
def test_property_nothing_is_lost_and_no_mark_is_wrong(made: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        run = Run(directory)
        for step in made:
            run.do(step)
        run.finish()
        run.check()


@given(steps(GENTLE))
@settings(max_examples=100, deadline=None)
def test_property_every_repeated_line_is_marked_while_the_vm_lives(made: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        run = Run(directory)
        for step in made:
            run.do(step)
        run.finish()
        run.check()
        seen: set[object] = set()
        for _, line in run.world.journal:
            assert line.get("replayed", False) == (identity(line) in seen)
            seen.add(identity(line))
