"""The faults, in the order of the table in docs/reliability.md."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import outages
import records
import stoppages
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
    else would stay changed. With ``unmarked_from`` workers of the consumer and more, a line may
    stand twice without saying so; None: it never may.
    """

    title: str
    act: Callable[[Course], None]
    fails: frozenset[str] = frozenset()
    check: Callable[[Course, Result, Seen], None] = _nothing
    lossy: bool = False
    mend: Callable[[Course], None] = lambda _course: None
    unmarked_from: int | None = None

    def marks_all(self, workers: int) -> bool:
        """Whether each line that stands twice must say so, with so many workers."""
        return self.unmarked_from is None or workers < self.unmarked_from

    def judge_marks(self, result: Result, workers: int) -> None:
        """Hold the lines that stand twice to what is promised of them."""
        assert result.wrongly_marked == 0, "said to be a replay, and is the first"
        if self.marks_all(workers):
            assert result.unmarked == 0, "a replay that does not say so"


FAULTS: Final = (
    Fault("MariaDB: `kill -9`", outages.killed("mariadb"), ANSWERED),
    Fault("MariaDB: restarted", outages.mariadb_restarted, ANSWERED),
    # Workers share the partitions anew, and two may write lines of one at the same time.
    Fault("Kafka: `kill -9`", outages.killed("kafka"), unmarked_from=2),
    Fault("Kafka: away for 60 s", outages.kafka_away, unmarked_from=2),
    Fault("Kafka Connect: `kill -9`", outages.killed("kafka-connect")),
    Fault("Kafka Connect: `kill -9` after an idle time", outages.connect_killed_when_idle),
    Fault("first API process: `kill -9`", outages.api_killed(0), ANSWERED),
    Fault("second API process: `kill -9`", outages.api_killed(1), ANSWERED),
    # A line may be out and not noted yet.
    Fault("consumer: `kill -9`", outages.killed("helfy-consumer"), unmarked_from=1),
    Fault("nginx: `kill -9`", outages.killed("nginx"), NOBODY_THERE),
    Fault("Kafka Connect's watchdog: `kill -9`", outages.killed("kafka-connect-watchdog")),
    Fault("journald: `kill -9`", outages.killed("systemd-journald")),
    # Nobody knows what the journal still has of the last seconds.
    Fault(
        "the VM: killed and started",
        outages.vm_killed,
        NOBODY_THERE | ANSWERED | {"no answer"},
        unmarked_from=1,
    ),
    Fault(
        "the journal's disk full, then the VM killed and started",
        outages.journal_full_and_vm_killed,
        NOBODY_THERE | ANSWERED | {"no answer"},
        unmarked_from=1,
    ),
    Fault(
        "the topic deleted with unread records and created anew",
        outages.topic_recreated,
        check=outages.check_topic,
        lossy=True,
        mend=outages.acknowledge_gaps,
        unmarked_from=1,
    ),
    Fault("poison records in the topic", records.poisoned, check=records.check_poison),
    Fault("a transaction of 20,000 rows", records.many_rows),
    Fault("a row of 1 MB", records.large_row, check=records.check_large),
    Fault(
        "a row too large for a record (limit raised by hand)",
        records.too_large_row,
        mend=records.limit_again,
    ),
    Fault(
        "Connect's offsets lost",
        outages.offsets_lost,
        check=outages.check_offsets,
        lossy=True,
        mend=outages.acknowledge_gaps,
    ),
    Fault(
        "DDL that change capture cannot parse (skipped by playbook)",
        stoppages.unparseable_ddl,
        check=stoppages.check_span,
        lossy=True,
        mend=outages.acknowledge_gaps,
    ),
    Fault(
        "a minimal row image (skipped by playbook)",
        stoppages.minimal_image,
        check=stoppages.check_span,
        lossy=True,
        mend=outages.acknowledge_gaps,
    ),
    Fault(
        "binlog purged while change capture is down (new snapshot by playbook)",
        stoppages.purged_binlog,
        check=stoppages.check_span,
        lossy=True,
        mend=outages.acknowledge_gaps,
    ),
    Fault(
        "a change in statement format",
        stoppages.statement_format,
        check=stoppages.check_statement,
        lossy=True,
        mend=outages.acknowledge_gaps,
    ),
)
