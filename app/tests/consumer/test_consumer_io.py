"""What goes out besides lines of changes: log lines, a library's warnings, notices to systemd."""

import json
import logging
import os
import socket
import sys
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from helfy import jsonlog, sdnotify
from helfy.consumer.librarylog import LibraryFilter, quieten
from helfy.consumer.output import Output, OutputHandler
from helfy.consumer.state import Watchdog


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logging.captureWarnings(capture=False)


def test_a_log_line(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    jsonlog.configure("warning")
    log = jsonlog.get("x")
    log.info("too_low")
    log.warning("it_happened", extra={"fields": {"userId": 3, "level": "no", "odd": {1, "\ud800"}}})
    try:
        int("why\n")
    except ValueError:
        log.exception("it_failed")
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert list(first) == ["timestamp", "level", "action", "userId", "odd"]
    assert (first["level"], first["action"], first["userId"]) == ("warning", "it_happened", 3)
    assert sorted(map(str, first["odd"])) == ["1", "\ufffd"]
    assert second["exception"].startswith("Traceback")
    assert root.level == logging.WARNING


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="'loud' does not exist: choose one of debug, info"):
        jsonlog.configure("loud")


def test_a_deep_value_and_odd_numbers_still_make_a_line() -> None:
    deep: list[object] = []
    for _ in range(2000):
        deep = [deep]
    line = json.loads(jsonlog.dumps({"deep": deep, "n": float("inf"), "b": b"x", "u": "\u2028"}))
    assert line["n"] == "inf"
    assert line["b"] == "b'x'"
    assert "\u2028" not in jsonlog.dumps({"u": "\u2028"})


def test_line_with_any_character_that_is_not_printable_escapes_it() -> None:
    characters = [
        chr(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in {"Cc", "Cf", "Zl", "Zp"}
    ]
    line = jsonlog.dumps({"action": "x", "name": "ü€😀" + "".join(characters)})
    assert not set(line) & set(characters)
    assert json.loads(line)["name"] == "ü€😀" + "".join(characters)
    assert "ü€😀" in line


def test_lines_of_several_threads_do_not_mix() -> None:
    reader, writer = os.pipe()
    output = Output(writer)
    os.set_blocking(writer, False)
    line = b"x" * 200_000

    def write() -> None:
        for _ in range(3):
            output.write(line)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    with os.fdopen(reader, "rb") as stream:
        got = [stream.readline() for _ in range(9)]
    for thread in threads:
        thread.join()
    os.close(writer)
    assert set(got) == {line + b"\n"}


def test_a_librarys_warnings_are_lines_and_no_flood(tmp_path: Path) -> None:
    path = tmp_path / "out"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    handler = OutputHandler(Output(descriptor))
    handler.setFormatter(jsonlog.Formatter())
    quieten(handler, "paper_kafka")
    log = logging.getLogger("paper_kafka.client")
    for number in range(1000):
        log.warning("node %s is away", number)
    log.info("not of interest")
    log.error("another place")
    os.close(descriptor)
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["action"], line["level"], line["message"]) for line in told] == [
        ("kafka_client", "warning", "node 0 is away"),
        ("kafka_client", "error", "another place"),
    ]


def test_what_was_held_back_is_counted() -> None:
    now = [0.0]
    limit = LibraryFilter(lambda: now[0])

    def passes() -> logging.LogRecord | None:
        entry = logging.LogRecord("x", logging.WARNING, "f.py", 1, "m", (), None)
        return entry if limit.filter(entry) else None

    assert passes()
    assert [passes() for _ in range(5)] == [None] * 5
    now[0] = 61.0
    entry = passes()
    assert entry is not None
    assert entry.__dict__["fields"] == {"logger": "x", "message": "m", "suppressed": 5}


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        receiver.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", "20000000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        assert sdnotify.notify("READY=1", "STATUS=reading")
        assert receiver.recv(100) == b"READY=1\nSTATUS=reading"
        assert sdnotify.watchdog_seconds() == 10.0
        now = [0.0]
        watchdog = Watchdog(lambda: now[0])
        for now[0] in (0.0, 9.9, 10.0, 15.0):
            watchdog.alive()
        receiver.setblocking(False)
        assert [receiver.recv(100) for _ in range(2)] == [b"WATCHDOG=1"] * 2
        with pytest.raises(BlockingIOError):
            receiver.recv(100)


def test_without_systemd_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    assert not sdnotify.notify("READY=1")
    assert sdnotify.watchdog_seconds() is None
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/notify")
    assert not sdnotify.notify("READY=1")
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert sdnotify.watchdog_seconds() is None
