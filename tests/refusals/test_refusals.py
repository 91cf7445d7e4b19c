"""Bad input is refused before anything is touched, and the words help."""

import concurrent.futures
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import runs
from machine import ROOT, Machine, wait_for

WORKERS: Final = 2
Futures = dict[str, "concurrent.futures.Future[runs.Refusal]"]
ROWS: Final = [(run, case) for run in runs.TABLE for case in run["cases"]]
ON_A_MACHINE: Final = [row for row in ROWS if "machine" in row[0]]
INPUT_ONLY: Final = [row for row in ROWS if "machine" not in row[0]]


def names(rows: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[str]:
    """Give a name to each row: its variables, or else its run's name."""
    return [" ".join(case.get("vars", {})) or run["run"] for run, case in rows]


@pytest.fixture(scope="session")
def refusals(request: pytest.FixtureRequest) -> Iterator[Futures]:
    """Begin all runs that this session asks about, as many at a time as are worth it."""
    rows = [
        item.callspec.params["row"]
        for item in request.session.items
        if "refusals" in getattr(item, "fixturenames", ()) and hasattr(item, "callspec")
    ]
    asked = {run["run"]: run for run, _ in rows}
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        yield {name: pool.submit(runs.refusal, run) for name, run in asked.items()}
        pool.shutdown(cancel_futures=True)


def refused(ended: runs.Refusal, run: dict[str, Any], case: dict[str, Any]) -> None:
    """Hold a run's end to what a case promises."""
    assert ended.code != 0, ended.output[-2000:]
    said = [line for line in ended.words if case["words"] in line]
    assert len(said) == case.get("times", 1), "\n".join(ended.words) or ended.output[-2000:]
    promised = sum(each.get("times", 1) for each in run["cases"])
    assert len(ended.words) == promised, "\n".join(ended.words)
    assert len(ended.failed) == 1, ended.failed
    assert ended.tasks[-1] == ended.failed[0], "something ran after the refusal"
    assert sum(host["changed"] for host in ended.stats.values()) == 0, ended.stats
    assert sum(host["unreachable"] for host in ended.stats.values()) == 0, ended.stats
    if "secret" in case:
        assert case["secret"] not in ended.output


@pytest.mark.parametrize("row", INPUT_ONLY, ids=names(INPUT_ONLY))
def test_input(refusals: Futures, row: tuple[dict[str, Any], dict[str, Any]]) -> None:
    run, case = row
    ended = refusals[run["run"]].result()
    refused(ended, run, case)
    assert ended.contacts == [], "a machine would have been contacted"


def test_a_refusal_names_the_variable_its_value_and_the_remedy(refusals: Futures) -> None:
    style = re.compile(
        r"((\d+ x )?[a-z0-9_]+( or [a-z0-9_]+)?|inventory group '[a-z]+') (is|has) .+\. [A-Z].+\.$"
    )
    for name, future in refusals.items():
        if name.startswith("types of") or name == "no host at all":
            continue
        for line in future.result().words:
            assert style.match(line), line


def test_good_input_would_have_contacted_the_machine(tmp_path: Path) -> None:
    """Else the tests above would prove nothing."""
    wire = tmp_path / "contacts"
    with subprocess.Popen(
        runs.playbook(runs.INVENTORY),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=runs.environment(wire),
        start_new_session=True,
    ) as process:
        try:
            wait_for(wire.exists, "a call of ssh", 60)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("row", ON_A_MACHINE, ids=[row[0]["run"] for row in ON_A_MACHINE])
def test_machine(machine: Machine, row: tuple[dict[str, Any], dict[str, Any]]) -> None:
    run, case = row
    before = machine.run(LOOK)
    machine.run(run["machine"].get("arrange", "true"))
    try:
        if "8080" in case["words"]:
            wait_for(lambda: "8080" in machine.run("ss -Hltn"), "the other program", 10)
        ended = runs.refusal(run)
    finally:
        machine.run(run["machine"].get("restore", "true"))
    refused(ended, run, case)
    assert machine.run(LOOK) == before, "the machine is not what it was"


# Files that a deployment would make or change, and what is installed.
LOOK: Final = "ls -lR --time-style=full-iso /etc /opt /usr/local 2>&1 | md5sum; dpkg -l | md5sum"
