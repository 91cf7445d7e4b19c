"""The tables of docs/reliability.md have a row for each fault that is tried."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import role_docs

sys.path.insert(0, str(role_docs.ROOT / "tests/shared"))
sys.path.insert(0, str(role_docs.ROOT / "tests/faults"))

import table
from evidence import Committed, Line, Result, judge, read, written

from faults import FAULTS


@pytest.mark.parametrize("partitions", [1, 3])
def test_the_document_has_the_faults_of_the_code(partitions: int) -> None:
    rows = table.rows(table.DOCUMENT.read_text(), partitions)
    assert [row[0] for row in rows] == [fault.title for fault in FAULTS]


MARK = "fault-x"
NOW = 1_795_460_489.0


def line(number: int, at: float, identity: str, **more: object) -> Line:
    kind, email = written(MARK, number)
    change = {"id": identity, "type": kind, "table": "users", "data": {"email": email}}
    stamp = f"2026-11-23T19:01:{29 + at:06.3f}Z"
    return {"action": "db_change", "timestamp": stamp, "change": change, **more}


def judged(count: int, *lines: Line) -> Result:
    committed = [Committed(written(MARK, n), NOW + n / 10) for n in range(count)]
    return judge(committed, read(lines, MARK), NOW, NOW + 60)


def test_what_is_committed_and_not_on_record_is_lost() -> None:
    result = judged(3, line(0, 0, "a"), line(2, 0.3, "c"))
    assert result.lost == [written(MARK, 1)]
    assert (result.committed, result.recorded) == (3, 2)


def test_what_is_on_record_and_not_committed_is_unknown() -> None:
    assert judged(1, line(0, 0, "a"), line(1, 0.1, "b")).unknown == [written(MARK, 1)]


def test_two_ids_of_one_change_are_no_replay() -> None:
    result = judged(1, line(0, 0, "a"), line(0, 0.1, "b"))
    assert result.doubled == [written(MARK, 0)]
    assert result.recorded == 2


def test_replays_are_counted_and_so_are_wrong_marks() -> None:
    result = judged(1, line(0, 0, "a"), line(0, 1, "a", replayed=True), line(0, 2, "a"))
    assert (result.replays, result.unmarked, result.wrongly_marked) == (2, 1, 0)
    assert judged(1, line(0, 0, "a", replayed=True)).wrongly_marked == 1


def test_replays_must_say_so_but_where_nobody_can_know() -> None:
    silent = judged(1, line(0, 0, "a"), line(0, 1, "a"))
    wrong = judged(1, line(0, 0, "a", replayed=True))
    for fault in FAULTS:
        for workers in (1, 3):
            with pytest.raises(AssertionError, match="is the first"):
                fault.judge_marks(wrong, workers)
            if fault.marks_all(workers):
                with pytest.raises(AssertionError, match="does not say so"):
                    fault.judge_marks(silent, workers)
            else:
                fault.judge_marks(silent, workers)


@pytest.mark.parametrize("workers", [1, 3])
def test_the_document_has_unmarked_replays_only_where_they_may_be(workers: int) -> None:
    faults = {fault.title: fault for fault in FAULTS}
    rows = table.rows(table.DOCUMENT.read_text(), workers)
    unmarked = {row[0] for row in rows if "not marked" in row[table.HEAD.index("replays")]}
    assert unmarked
    assert [title for title in unmarked if faults[title].marks_all(workers)] == []


def test_a_late_line_and_a_pause_of_commits_count_as_not_well() -> None:
    result = judged(2, line(0, 0, "a"), line(1, 9, "b"))
    assert result.silence == pytest.approx(9)
    assert result.back == pytest.approx(9)
    commits = [Committed(written(MARK, 0), NOW), Committed(written(MARK, 1), NOW + 5)]
    seen = read([line(0, 0, "a"), line(1, 5, "b")], MARK)
    assert judge(commits, seen, NOW, NOW + 60).back == pytest.approx(5)


def test_lines_of_others_do_not_count() -> None:
    other = line(0, 0, "z")
    other["change"]["data"]["email"] = "fault-y-0.0@example.com"
    notice = {"action": "snapshot_taken", "timestamp": "2026-11-23T19:01:29Z"}
    seen = read([other, notice, line(0, 0, "a")], MARK)
    assert seen.ids == {written(MARK, 0): {"a"}}
    assert seen.notices == [notice]


def test_a_row_takes_the_place_of_the_one_before_and_the_order_is_the_codes(
    tmp_path: Path,
) -> None:
    document = tmp_path / "reliability.md"
    document.write_text(f"before\n{table.begin(1)}\n{table.END}\nafter\n")
    results = table.Results(1, document)
    for count, fault in ((3, FAULTS[1]), (2, FAULTS[0]), (1, FAULTS[1])):
        result = judged(count, *(line(number, 0, f"{number}") for number in range(count)))
        result.title = fault.title
        results.add(result)
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    rows = [row[:3] for row in table.rows(text, 1)]
    assert rows == [[FAULTS[0].title, "2", "2"], [FAULTS[1].title, "1", "1"]]
    with pytest.raises(ValueError, match="partitions=3"):
        table.Results(3, document).add(result)
