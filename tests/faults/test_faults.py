"""Each fault under a steady load of changes and requests: nothing is lost, nothing hangs."""

import pytest
from course import Course
from machine import Machine
from table import Results

from faults import FAULTS, Fault


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.title.replace("`", ""))
def test_nothing_is_lost_and_nothing_hangs(
    fault: Fault,
    only_machine: Machine,
    url: str,
    lab_account: dict[str, str],
    results: Results,
) -> None:
    course = Course(only_machine, url, lab_account)
    try:
        result, seen, load = course.run(fault)
        print(" | ".join(result.row()))
        print(*load.failures[:20], sep="\n")
        assert result.unknown == [], "lines of changes that nobody committed"
        assert result.doubled == [], "two ids for one change"
        # The tests give the topic as many partitions as the consumer has workers.
        fault.judge_marks(result, results.partitions)
        if not fault.lossy:
            assert result.lost == [], "committed, and not on record"
            assert result.recorded == result.committed
        assert set(result.failures) <= fault.fails, [str(failure) for failure in load.failures]
        assert result.longest < course.timeout + 1, "a request that outlived its time-out"
        fault.check(course, result, seen)
    finally:
        fault.mend(course)
        course.clean_up()
    results.add(result)
