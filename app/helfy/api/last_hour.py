"""What happened within the last hour, of one API process and of all of them together."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeAlias

from helfy.feed.minutes import LAG

# By minute (Unix seconds // 60), then by name.
Counts: TypeAlias = dict[int, dict[str, int]]
_KINDS: Final = ("minutes", "latencies", "lags")


@dataclass(frozen=True, slots=True)
class Hour:
    """The last hour.

    ``minutes`` counts requests and log-ins. ``latencies`` counts changes by class of latency and
    ``lags`` has the most records still to be read, both as ``helfy.feed.minutes`` has them.
    """

    minutes: Counts = field(default_factory=dict)
    latencies: Counts = field(default_factory=dict)
    lags: Counts = field(default_factory=dict)

    @classmethod
    def read(cls, said: dict[str, Any]) -> Self:
        """Read what another process said; a release that leaves a kind out has seen none of it.

        Raises ValueError, TypeError or AttributeError where it is something else.
        """
        # JSON has no numbers for names.
        return cls(
            **{
                kind: {int(minute): dict(counts) for minute, counts in said.get(kind, {}).items()}
                for kind in _KINDS
            }
        )


def together(hours: Iterable[Hour]) -> Hour:
    """Make one of several processes' hours.

    Each request was one process's, so these add up. The stream is the same for all: of a minute
    the process tells that saw the most changes, for one that started since knows only the last.
    """
    minutes: dict[int, Counter[str]] = {}
    latencies: Counts = {}
    lags: Counts = {}
    for hour in hours:
        for minute, counts in hour.minutes.items():
            minutes.setdefault(minute, Counter()).update(counts)
        for minute, counts in hour.latencies.items():
            latencies[minute] = max(latencies.get(minute, {}), counts, key=_changes)
        for minute, counts in hour.lags.items():
            lags[minute] = max(lags.get(minute, {}), counts, key=_lag)
    return Hour({minute: dict(counts) for minute, counts in minutes.items()}, latencies, lags)


def _changes(counts: dict[str, int]) -> int:
    return sum(counts.values())


def _lag(counts: dict[str, int]) -> int:
    return counts.get(LAG, 0)
