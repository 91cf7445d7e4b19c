"""Real records of Debezium, and the line that each of them must make."""

import json
from typing import Any

import pytest
from consumer_support import EXPECTED, NOW, SAMPLES, SETTINGS, parsed, pipeline, samples

from helfy import jsonlog
from helfy.consumer.recorder import Recorder
from helfy.consumer.replay import Replays

FILES = sorted(path.stem for path in SAMPLES.glob("*.json"))


@pytest.mark.parametrize("name", FILES)
def test_every_sample_makes_its_line(name: str) -> None:
    expected = json.loads((EXPECTED / f"{name}.json").read_text())
    replays = Replays()
    made = pipeline(replays=replays)
    for record, wanted in zip(samples(name), expected, strict=True):
        written = made.line(record)
        if wanted is None:
            assert written is None, f"offset {record.offset} is no change"
            continue
        assert written is not None
        replays.written(record.partition, written.identity)
        line = parsed(written)
        assert line.pop("timestamp") == jsonlog.rfc3339(NOW)
        committed = line["change"]["committedAt"]
        assert (line.pop("lagMs") is None) == (committed is None)
        assert line == wanted, f"offset {record.offset}"


def test_ids_tell_changes_apart_and_replays_not() -> None:
    # offset and time of the connector are what a replay of the same change differs in
    identities: dict[str, set[str]] = {}
    for name in FILES:
        made = pipeline()
        for record in samples(name):
            written = made.line(record)
            if written is not None:
                value = json.loads(record.value or b"")
                told = {k: v for k, v in value.items() if not k.startswith("ts_")}
                what = json.dumps([told, (record.key or b"").decode()], sort_keys=True)
                identities.setdefault(what, set()).add(parsed(written)["change"]["id"])
    assert len(identities) == 35
    assert all(len(ids) == 1 for ids in identities.values()), "a replay has an id of its own"
    every = [next(iter(ids)) for ids in identities.values()]
    assert len(set(every)) == len(every), "two changes share an id"


def written(replays: Replays) -> list[dict[str, Any]]:
    lines: list[bytes] = []

    def write(line: bytes) -> float:
        lines.append(line)
        return 0.0

    Recorder(SETTINGS, write, replays).record(samples("all_after_restart"))
    return [parsed(line) for line in lines]


def test_the_replay_in_the_samples_is_said_to_be_one() -> None:
    lines = written(Replays())
    replayed = [line for line in lines if "replayed" in line]
    assert [(line["source"]["partition"], line["source"]["offset"]) for line in replayed] == [
        (0, 17)
    ]
    assert replayed[0]["replayed"] is True
    assert [line["source"]["offset"] for line in lines].count(16) == 1
    ids = [line["change"]["id"] for line in lines]
    assert len(set(ids)) == len(ids) - 1


def test_all_records_read_again_are_replays() -> None:
    replays = Replays()
    written(replays)
    assert all(line["replayed"] for line in written(replays))
