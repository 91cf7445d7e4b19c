"""What is read back from the persistent journal, with a real journald and its real faults."""

from pathlib import Path

import pytest
from journald_server import run

from helfy.consumer.journal_files import JournalError, JournalFiles


def test_lines_are_read_in_order_and_whole_across_rotations(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
        sent = [b"%d-" % number + b"x" * (number % 7 * 9000) for number in range(2000)]
        with stream() as out:
            out.sendall(b"before\\n")
            files = reader()
            lines = found(files, 1)
            for number, line in enumerate(sent):
                out.sendall(line + b"\\n")
                if number % 500 == 499:
                    processes[0].send_signal(signal.SIGUSR2)  # rotate
                    lines += files.read()
            lines += found(files, len(sent) + 1 - len(lines))
        assert lines == [b"before", *sent]
        assert len(list(DIRECTORY.glob("system@*"))) >= 4
        assert len(files._synced) == len(list(DIRECTORY.glob("system@*")))
        """,
    )


def test_a_reader_begins_with_what_was_there_and_goes_on_where_it_was(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
        journal_files.HISTORY_LINES = 5
        with stream() as out:
            out.sendall(b"".join(b"%d\\n" % number for number in range(9)))
            first = reader()
            found(reader(), 5)
            until(lambda: found(reader(), 5)[-1] == b"8", "all are there")
            assert found(first, 5) == [b"4", b"5", b"6", b"7", b"8"]
            first.close()
            out.sendall(b"9\\n")
            assert found(first, 1) == [b"9"]
            assert first.read() == []
            # Of another stream, and of nobody's.
            with journal.connect("somebody-else") as other:
                other.sendall(b"not ours\\n")
            out.sendall(b"10\\n")
            assert found(first, 1) == [b"10"]
        """,
    )


def test_lines_in_memory_are_not_read_and_are_there_when_there_is_room(tmp_path: Path) -> None:
    """The disk fills up, journald goes on in /run without a word, and comes back by itself."""
    run(
        tmp_path,
        """
        out = stream()
        files = reader()
        out.sendall(b"on disk\\n")
        assert found(files, 1) == [b"on disk"]
        # No file can be opened to be written to: as where the disk is full, or read-only.
        mount("--bind", str(DIRECTORY), str(DIRECTORY))
        mount("-o", "remount,ro,bind", str(DIRECTORY))
        stop()
        start()
        out = stream()
        out.sendall(b"in memory\\n")
        runtime = Path("/run/log/journal")
        until(lambda: list(runtime.glob("*/system.journal")), "journald writes to /run")
        time.sleep(0.5)
        assert files.read() == []
        assert files.fault().cause == "not_written"
        umount(DIRECTORY)
        out.sendall(b"on disk again\\n")
        assert found(files, 2) == [b"in memory", b"on disk again"]
        """,
    )


def test_a_journal_in_memory_or_nowhere_is_no_record(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
        def raises():
            try:
                files.read()
            except OSError:
                return True
            return False

        out = stream()
        files = reader()
        out.sendall(b"on disk\\n")
        found(files, 1)
        mount("-t", "tmpfs", "-o", "size=2M", "tmpfs", "/var/log/journal")
        assert raises()
        assert files.fault().cause == "missing"
        DIRECTORY.mkdir()
        assert raises()
        assert files.fault().cause == "volatile"
        assert "/var/log/journal" in files.fault().remedy
        fill(DIRECTORY)
        stop()
        start()
        with stream() as again:
            again.sendall(b"in memory\\n")
            until(lambda: list(Path("/run/log/journal").glob("*/system.journal")), "/run")
            assert raises()
            umount("/var/log/journal")
            # That there is a disk again journald notices with its next line.
            again.sendall(b"on disk again\\n")
            assert found(files, 2) == [b"in memory", b"on disk again"]
        assert files.fault().cause == "not_written"
        """,
    )


def test_lines_that_journald_wrote_before_it_was_killed_are_read(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
        files = reader()
        lines = []
        for number in range(5):
            with stream() as out:
                out.sendall(b"%d\\n" % number)
                lines += found(files, 1)
            stop(signal.SIGKILL)
            start()
        assert lines == [b"%d" % number for number in range(5)]
        assert found(reader(), 5) == lines
        """,
    )


def test_the_oldest_files_may_go_while_others_are_read(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
        settings = HERE / "settings" / "journald.conf"
        settings.write_text(settings.read_text() + "SystemMaxUse=24M\\nSystemMaxFileSize=4M\\n")
        stop()
        start()
        files = reader()
        read = 0
        with stream() as out:
            for number in range(60):
                line = os.urandom(400_000).hex().encode()[:700_000]
                out.sendall(line + b"\\n")
                lines = found(files, 1)
                assert lines == [line]
                read += 1
        assert len(list(DIRECTORY.glob("system@*"))) < 20
        assert len(files._synced) < 20
        """,
    )


def test_a_directory_that_is_not_there_is_an_error_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = tmp_path / "machine-id"
    machine.write_text("f" * 32 + "\n")
    monkeypatch.setattr("helfy.consumer.journal_files.MACHINE", machine)
    files = JournalFiles([], tmp_path)
    for _ in range(2):
        with pytest.raises(JournalError):
            files.read()
    assert files.fault().cause == "missing"
    assert str(tmp_path) in files.fault().remedy
