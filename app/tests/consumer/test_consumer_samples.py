"""Real records of Debezium and TiCDC, and the line that each of them must make."""

import json
from typing import Any

import pytest
from consumer_support import EXPECTED, NOW, SAMPLES, parsed, pipeline, recorder, samples

from helfy import jsonlog
from helfy.consumer.replay import Replays

FILES = sorted(f"{path.parent.name}/{path.stem}" for path in SAMPLES.glob("*/*.json"))


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
        replays.note([written.identity])
        line = parsed(written)
        assert line.pop("timestamp") == jsonlog.rfc3339(NOW)
        committed = line["change"]["committedAt"]
        assert (line.pop("lagMs") is None) == (committed is None)
        assert line == wanted, f"offset {record.offset}"


def test_ids_tell_changes_apart_and_replays_not() -> None:
    # offset and time of sending are what a replay of the same change differs in
    identities: dict[str, set[str]] = {}
    for name in FILES:
        made = pipeline()
        for record in samples(name):
            written = made.line(record)
            if written is not None:
                assert parsed(written)["source"]["format"] == name.split("/")[0]
                value = json.loads(record.value or b"")
                told = {k: v for k, v in value.items() if k != "ts" and not k.startswith("ts_")}
                what = json.dumps([told, (record.key or b"").decode()], sort_keys=True)
                identities.setdefault(what, set()).add(parsed(written)["change"]["id"])
    assert len(identities) == 35 + 22
    assert all(len(ids) == 1 for ids in identities.values()), "a replay has an id of its own"
    every = [next(iter(ids)) for ids in identities.values()]
    assert len(set(every)) == len(every), "two changes share an id"


def written(replays: Replays, name: str) -> list[dict[str, Any]]:
    lines: list[bytes] = []
    recorder(lines.append, replays).record(samples(name))
    return [parsed(line) for line in lines]


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("debezium/all_after_restart", [17]),
        ("canal-json/raw_change_event_with_replay", [17, 18, 19, 20, 21, 22]),
    ],
)
def test_replays_in_the_samples_are_said_to_be_replays(name: str, again: list[int]) -> None:
    lines = written(Replays(), name)
    replayed = [line for line in lines if "replayed" in line]
    assert [(line["source"]["partition"], line["source"]["offset"]) for line in replayed] == [
        (0, offset) for offset in again
    ]
    assert all(line["replayed"] is True for line in replayed)
    ids = [line["change"]["id"] for line in lines]
    assert len(set(ids)) == len(ids) - len(again)
    assert {line["change"]["id"] for line in replayed} <= set(ids[: -len(again)])


@pytest.mark.parametrize("name", FILES)
def test_all_records_read_again_are_replays(name: str) -> None:
    replays = Replays()
    first = written(replays, name)
    again = written(replays, name)
    assert all(line["replayed"] for line in again)
    assert [line["change"] for line in again] == [line["change"] for line in first]
