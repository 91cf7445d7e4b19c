"""Where reading goes on, and what is said to be lost."""

import json
from pathlib import Path

import pytest

from helfy.consumer.lost import Copies, Lost, Place, read_note, resume

OWN = Place(50, "old", 3, 50)
AHEAD = Place(50, "old", 3, 150)


@pytest.mark.parametrize(
    ("own", "told", "topic_id", "beginning", "start", "lost"),
    [
        # A first start loses nothing, wherever the topic begins.
        (None, None, "new", 100, 100, None),
        (None, 30, "new", 0, 30, None),
        (None, 30, "new", 40, 40, (30, 39, "retention")),
        # What was committed is there still.
        (OWN, None, "old", 0, 50, None),
        (OWN, None, "old", 50, 50, None),
        (OWN, None, "old", 51, 51, (50, 50, "retention")),
        # Somebody moved the offset: back is honoured, forward would skip records.
        (OWN, 20, "old", 0, 20, None),
        (OWN, 90, "old", 0, 50, None),
        # The topic was created anew: as many as were known to be there.
        (OWN, None, "new", 0, 0, (50, None, "topic_recreated")),
        (AHEAD, None, "new", 7, 7, (50, 149, "topic_recreated")),
        (AHEAD, 20, "new", 0, 0, (50, 149, "topic_recreated")),
        # An id that is not known says nothing.
        (OWN, None, None, 0, 50, None),
        (Place(50), None, "new", 0, 50, None),
    ],
)
def test_reading_goes_on(  # noqa: PLR0913, PLR0917 - a table
    own: Place | None,
    told: int | None,
    topic_id: str | None,
    beginning: int,
    start: int,
    lost: tuple[int, int | None, str] | None,
) -> None:
    found, said = resume(2, own, told, topic_id, beginning)
    assert found == start
    assert (said and (said.first, said.last, said.cause)) == lost
    assert said is None or said.partition == 2


def test_a_loss_says_how_many_as_far_as_known() -> None:
    assert Lost(0, 5, 9).records == 5
    assert Lost(1, 5, None, "topic_recreated", "id").fields() == {
        "partition": 1,
        "from": 5,
        "to": None,
        "records": None,
        "cause": "topic_recreated",
        "topicId": "id",
    }


def test_a_note_is_read_back_and_says_what_is_wrong() -> None:
    lost = tuple(Lost(0, number, None, "log_truncated", "id", "at") for number in range(9))
    place = Place(50, "id", 3, 60, lost)
    note = place.note({"cause": "full", "message": "m" * 300, "remedy": "r" * 300})
    # Kafka's limit, offset.metadata.max.bytes, is 4096.
    assert len(note) < 2500
    assert Place.read(50, note) == Place(50, "id", 3, 60, lost[-5:])
    told = read_note(note)
    assert told is not None
    assert told["journal"]["cause"] == "full"
    assert "journal" not in json.loads(place.note())


@pytest.mark.parametrize("metadata", ["", "x", "{}", "[]", "1", "null", '{"topic":1}'])
def test_a_commit_of_somebody_else_has_no_note(metadata: str) -> None:
    assert Place.read(5, metadata) is None


def test_copies_outlive_the_process(tmp_path: Path) -> None:
    directory = tmp_path / "committed" / "topic"
    Copies(directory).write(1, 5, OWN.note())
    Copies(directory).write(1, 50, OWN.note())
    assert Copies(directory).read(1) == OWN
    assert Copies(directory).read(0) is None
    assert [path.name for path in directory.iterdir()] == ["1.json"]
    (directory / "1.json").write_bytes(b"\0")
    assert Copies(directory).read(1) is None


def test_copies_that_cannot_be_written_are_a_fault_until_they_can(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    copies = Copies(tmp_path / "file" / "topic")
    copies.write(0, 5, OWN.note())
    assert copies.fault is not None
    assert str(tmp_path) in copies.fault
    (tmp_path / "file").unlink()
    copies.write(0, 5, OWN.note())
    assert copies.fault is None


def test_without_a_directory_there_are_no_copies() -> None:
    copies = Copies()
    copies.write(0, 5, OWN.note())
    assert copies.read(0) is None
    assert copies.fault is None
