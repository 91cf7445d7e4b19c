"""Nothing is skipped when Kafka Connect starts, and the file of its offsets stays in order."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import role_docs

PROGRAM = role_docs.ROOT / "roles/debezium/files/rewind_offsets.py"
KEY = b'["helfy-changes",{"server":"helfy"}]'
VALUE = (
    b'{"ts_sec":1795477819,"file":"binlog.000003","pos":17300356,"row":3,'
    b'"gtids":"0-1-23483","server_id":1,"event":137}'
)
# Java's serialised HashMap<byte[], byte[]>, as Kafka Connect writes it.
BEGIN = bytes.fromhex(
    "aced0005737200116a6176612e7574696c2e486173684d61700507dac1c31660d103000246000a6c6f6164466163"
    "746f724900097468726573686f6c6478703f4000000000000c77080000001000000001757200025b42acf317f806"
    "0854e00200007870"
)


def array(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def content(value: bytes) -> bytes:
    again = bytes.fromhex("7571007e0002")
    return BEGIN + array(KEY) + again + array(value) + bytes.fromhex("78")


def rewind(path: Path) -> None:
    subprocess.run([sys.executable, "-I", str(PROGRAM), str(path)], check=True)


def test_nothing_is_left_to_skip_and_the_rest_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "offsets"
    path.write_bytes(content(VALUE))
    rewind(path)
    after = path.read_bytes()
    assert len(after) == len(content(VALUE)), "a length within the file would be wrong"
    start = after.index(b'{"ts_sec"')
    value = json.loads(after[start : start + len(VALUE)])
    assert value == json.loads(VALUE) | {"event": 0, "row": 0}
    assert after[:start] == content(VALUE)[:start]
    assert after[start + len(VALUE) :] == b"\x78"
    assert [entry.name for entry in tmp_path.iterdir()] == ["offsets"]


@pytest.mark.parametrize("value", [b'{"pos":4,"gtids":"0-1-2"}', b'{"event":0,"row":0}', b""])
def test_where_nothing_is_skipped_the_file_is_left_alone(tmp_path: Path, value: bytes) -> None:
    path = tmp_path / "offsets"
    path.write_bytes(content(value))
    before = path.stat()
    rewind(path)
    assert path.read_bytes() == content(value)
    assert path.stat().st_ino == before.st_ino


def test_a_first_start_has_no_file(tmp_path: Path) -> None:
    rewind(tmp_path / "offsets")
    assert list(tmp_path.iterdir()) == []
