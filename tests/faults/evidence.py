"""What a fault did: what was committed against what is on record, and how requests ended."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from writer import DELETE, INSERT, STEPS, email

Line = dict[str, Any]
# What tells a change of these tests from the others: its type, and a text that stands in the row.
Key = tuple[str, str]

# A line that comes later than this after its commit was held up.
LATE_SECONDS: Final = 2.0
# So many changes are committed in that time at 1 a second and more: a pause of commits.
PAUSE_SECONDS: Final = 1.0


def written(mark: str, number: int) -> Key:
    """Give the key of the writer's change."""
    step = number % STEPS
    kind = {INSERT: "INSERT", DELETE: "DELETE"}.get(step, "UPDATE")
    return kind, email(mark, number)


def session(kind: str, identity: object) -> Key:
    """Give the key of a session that began (INSERT) or was ended (UPDATE)."""
    return kind, f"session {identity}"


@dataclass(frozen=True)
class Committed:
    """A change that the database acknowledged; at what time (Unix seconds), where it is known."""

    key: Key
    at: float | None = None


@dataclass
class Seen:
    """The changes of one fault in the journal, in its order."""

    ids: dict[Key, set[str]] = field(default_factory=dict)
    first: dict[Key, float] = field(default_factory=dict)
    rows: dict[Key, Line] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    replays: int = 0
    unmarked: int = 0
    wrongly_marked: int = 0
    notices: list[Line] = field(default_factory=list)


def read(lines: Iterable[Line], mark: str) -> Seen:
    """Sort the journal's lines: changes of this mark's rows and sessions, and what is no change."""
    seen, ids = Seen(), set[str]()
    for line in lines:
        if line["action"] != "db_change":
            seen.notices.append(line)
            continue
        change = line["change"]
        key = _key(change, mark)
        if key is None:
            continue
        at = datetime.fromisoformat(line["timestamp"]).timestamp()
        seen.times.append(at)
        seen.ids.setdefault(key, set()).add(change["id"])
        seen.first.setdefault(key, at)
        seen.rows.setdefault(key, line)
        marked = line.get("replayed", False)
        if change["id"] in ids:
            seen.replays += 1
            seen.unmarked += not marked
        else:
            seen.wrongly_marked += marked
        ids.add(change["id"])
    return seen


def _key(change: Line, mark: str) -> Key | None:
    data = change.get("data", {})
    if change.get("table") == "sessions" and mark in str(data.get("user_agent")):
        return session(change["type"], data["id"])
    text = str(data.get("email") or data.get("note"))
    return (change["type"], text) if text.startswith(f"{mark}-") else None


@dataclass
class Result:
    """A row of the table. Times in seconds."""

    title: str
    committed: int
    recorded: int
    lost: list[Key]
    unknown: list[Key]
    doubled: list[Key]
    replays: int
    unmarked: int
    wrongly_marked: int
    silence: float
    requests: int
    failures: dict[str, int]
    longest: float
    back: float

    def row(self) -> list[str]:
        """Give the cells of the table's row."""
        failed = ", ".join(f"{count} {kind}" for kind, count in sorted(self.failures.items()))
        replays = f"{self.replays}, {self.unmarked} not marked" if self.unmarked else self.replays
        return [
            self.title,
            f"{self.committed:,}",
            f"{self.recorded:,}",
            f"{len(self.lost):,}",
            f"{replays}",
            f"{self.silence:.1f} s",
            f"{failed or 'none'} of {self.requests:,}",
            f"{self.longest:.1f} s",
            f"{self.back:.1f} s" if self.back >= PAUSE_SECONDS else "at once",
        ]


def judge(committed: Sequence[Committed], seen: Seen, restored_at: float, until: float) -> Result:
    """Compare; ``restored_at`` is when what was away was there again, or the fault itself."""
    wanted = {change.key for change in committed}
    known = {key for key in seen.ids if key[0] != "SNAPSHOT"}
    times = sorted(time for time in seen.times if time <= until)
    return Result(
        title="",
        committed=len(wanted),
        recorded=len({identity for key in known & wanted for identity in seen.ids[key]}),
        lost=sorted(wanted - known),
        unknown=sorted(known - wanted),
        doubled=sorted(key for key in known if len(seen.ids[key]) > 1),
        replays=seen.replays,
        unmarked=seen.unmarked,
        wrongly_marked=seen.wrongly_marked,
        silence=max((after - before for before, after in pairwise(times)), default=0.0),
        requests=0,
        failures={},
        longest=0.0,
        back=max(0.0, _held_up(committed, seen, restored_at) - restored_at),
    )


def _held_up(committed: Sequence[Committed], seen: Seen, restored_at: float) -> float:
    """Give when the last line came late, or the last pause of commits ended."""
    commits = [(change.at, change.key) for change in committed if change.at is not None]
    ends = [seen.first[key] for at, key in commits if seen.first.get(key, at) - at > LATE_SECONDS]
    times = sorted(at for at, _ in commits)
    ends += [after for before, after in pairwise(times) if after - before > PAUSE_SECONDS]
    return max(ends, default=restored_at)


def kinds(failures: Iterable[Any]) -> dict[str, int]:
    """Count failed requests by how they ended."""
    return dict(Counter(failure.kind for failure in failures))
