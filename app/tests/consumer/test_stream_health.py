"""How the consumer's lag is judged; the questions to Kafka are asked in tests/host."""

import json
from pathlib import Path

import pytest

from helfy import stream_health
from helfy.stream_health import Look, judge


def at(committed: int | None, end: int = 100, beginning: int = 0) -> Look:
    return Look({0: end}, {0: beginning}, {} if committed is None else {0: committed})


@pytest.mark.parametrize(
    ("first", "behind", "then", "well", "words"),
    [
        (at(100), 0.0, at(100), True, "up to date"),
        (at(99), 1.25, at(99), True, "1.2 s behind (1 record)"),
        (at(40), 300.0, at(60), True, "catching up: 60 records wait"),
        (at(40), 300.0, at(40), False, "no offset committed for 300 s, 60 records wait"),
        (at(None), 300.0, at(None), False, "100 records wait"),
        # What retention dropped is waited for by nobody.
        (at(10, beginning=100), 0.0, at(10, beginning=100), True, "up to date"),
    ],
)
def test_lag_is_judged(first: Look, behind: float, then: Look, well: bool, words: str) -> None:
    verdict = judge(first, behind, then, 15)
    assert (verdict.well, words in verdict.said) == (well, True), verdict


def test_a_journal_that_is_not_persistent_is_unhealthy_without_a_lag_too() -> None:
    first = Look({0: 9}, {0: 0}, {0: 9}, "the journal is full: make room")
    assert judge(first, 0, first, 15) == stream_health.Verdict(
        False, "the journal is full: make room", 0
    )


def test_one_partition_that_stands_is_hidden_by_no_other() -> None:
    first = Look({0: 9, 1: 9}, {0: 0, 1: 0}, {0: 9, 1: 3})
    assert not judge(first, 60, first, 15).well
    assert first.lags() == {0: 0, 1: 6}


def said(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[int, str]:
    code = stream_health.main(arguments)
    written = capsys.readouterr()
    answer = json.loads(written.out)
    assert answer["well"] is (code == 0)
    assert code == 0 or written.err.strip() == answer["said"]
    return code, answer["said"]


def test_settings_that_are_not_there_are_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, words = said(capsys, ["--config", str(tmp_path / "no.toml")])
    assert (code, "cannot be read" in words) == (1, True)
