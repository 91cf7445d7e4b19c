"""The faults, in the order of the table in docs/reliability.md."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import outages
import records
from course import Course
from evidence import Result, Seen

# How requests may fail where nothing takes them in: each at once, but one at the moment itself.
NOBODY_THERE: Final = frozenset({"refused", "cut off", "unreachable"})
# 504 is nginx's, where the API took longer than nginx_api_timeout_seconds.
ANSWERED: Final = frozenset({"503", "504"})


def _nothing(_course: Course, _result: Result, _seen: Seen) -> None:
    """Check no more than of every fault."""


@dataclass(frozen=True)
class Fault:
    """``act`` does it; ``check`` looks at what is special about it.

    ``fails`` are the ways in which a request may fail meanwhile. Where changes may be lost
    (``lossy``), check says which and how the system tells. ``mend`` puts back, in the end, what
    else would stay changed.
    """

    title: str
    act: Callable[[Course], None]
    fails: frozenset[str] = frozenset()
    check: Callable[[Course, Result, Seen], None] = _nothing
    lossy: bool = False
    mend: Callable[[Course], None] = lambda _course: None


FAULTS: Final = (
    Fault("MariaDB: `kill -9`", outages.killed("mariadb"), ANSWERED),
    Fault("MariaDB: restarted", outages.mariadb_restarted, ANSWERED),
    Fault("Kafka: `kill -9`", outages.killed("kafka")),
    Fault("Kafka: away for 60 s", outages.kafka_away),
    Fault("Kafka Connect: `kill -9`", outages.killed("kafka-connect")),
    Fault("Kafka Connect: `kill -9` after an idle time", outages.connect_killed_when_idle),
    Fault("first API process: `kill -9`", outages.api_killed(0), ANSWERED),
    Fault("second API process: `kill -9`", outages.api_killed(1), ANSWERED),
    Fault("consumer: `kill -9`", outages.killed("helfy-consumer")),
    Fault("nginx: `kill -9`", outages.killed("nginx"), NOBODY_THERE),
    Fault("the VM: killed and started", outages.vm_killed, NOBODY_THERE | ANSWERED | {"no answer"}),
    Fault("poison records in the topic", records.poisoned, check=records.check_poison),
    Fault("a transaction of 20,000 rows", records.many_rows),
    Fault("a row of 1 MB", records.large_row, check=records.check_large),
    Fault(
        "a row too large for a record (limit raised by hand)",
        records.too_large_row,
        mend=records.limit_again,
    ),
    Fault("Connect's offsets lost", outages.offsets_lost, check=outages.check_offsets, lossy=True),
)
