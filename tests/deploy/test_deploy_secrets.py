"""No secret is told by a deployment, however much it is asked to say."""

import os
from pathlib import Path

import pytest
from kept_secrets import kept_secrets
from machine import Machine
from plays import Play

pytestmark = pytest.mark.long


def secrets_of(machine: Machine, database: Machine) -> dict[str, str]:
    """The secrets that the control machine made, and the hashes in the database, by name."""
    hashes = database.sql("SELECT username, password_hash FROM users")
    assert hashes
    return kept_secrets(machine) | {f"the hash of {name}": text for name, text in hashes}


def told(secrets: dict[str, str], text: str) -> list[str]:
    """Give the names of those in a text, whose long lines somebody may have broken."""
    joined = "".join(line.strip() for line in text.splitlines())
    return [name for name, secret in secrets.items() if secret in text or secret in joined]


def test_a_whole_run_at_the_highest_verbosity_tells_none(
    api_machine: Machine, database_machine: Machine, whole_run: Play
) -> None:
    assert whole_run.code == 0, whole_run.output[-4000:]
    assert "invocation:" in whole_run.output, "the modules' arguments are shown"
    assert told(secrets_of(api_machine, database_machine), whole_run.output) == []


def test_the_first_deployment_at_the_highest_verbosity_told_none(
    api_machine: Machine, database_machine: Machine
) -> None:
    folder = os.environ.get("HELFY_FIRST_RUNS")
    if not folder:
        pytest.skip("molecule's scenario keeps what its first deployment said; this is none")
    logs = {path.name: path.read_text() for path in sorted(Path(folder).glob("*.log"))}
    assert set(logs) == {"rehearsed.log", "cut-off.log", "finished.log"}
    for name, text in logs.items():
        assert "invocation:" in text, name
        assert told(secrets_of(api_machine, database_machine), text) == [], name
