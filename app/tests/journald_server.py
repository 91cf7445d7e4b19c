"""A real journald for tests, in a mount namespace of its own: ``/run`` and ``/var/log/journal``.

A test runs a script as another Python there, since a process cannot leave its namespace. Root is
needed, or user namespaces.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Final

JOURNALD: Final = "/lib/systemd/systemd-journald"
_SETTINGS: Final = """\
[Journal]
Storage=persistent
ReadKMsg=no
Audit=no
RateLimitIntervalSec=0
SyncIntervalSec=1h
LineMax=1M
"""
_START: Final = """\
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /var/log/journal
mount --bind "$1/journal" /var/log/journal
mount --bind "$1/settings" /etc/systemd
touch /run/systemd/journal/flushed
exec "${@:2}"
"""
# What each script has to hand: journald, a stream to it, and a reader of what that has sent.
_PREAMBLE: Final = """
import contextlib, os, signal, subprocess, sys, time
from pathlib import Path
from helfy.consumer import journal, journal_files
from helfy.consumer.journal_files import JournalFiles

HERE = Path(sys.argv[1])
DIRECTORY = Path("/var/log/journal") / Path("/etc/machine-id").read_text().strip()
processes = []

def start():
    processes.append(subprocess.Popen(["/lib/systemd/systemd-journald"], stderr=subprocess.DEVNULL))
    until(lambda: connected(), "journald listens")

def connected():
    try:
        journal.connect("probe").close()
    except OSError:
        return False
    return True

def stop(number=signal.SIGTERM):
    process = processes.pop()
    process.send_signal(number)
    process.wait(20)

def until(true, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found

def stream():
    return journal.connect("helfy-consumer")

def reader():
    return JournalFiles(["_TRANSPORT=stdout", "SYSLOG_IDENTIFIER=helfy-consumer"])

def found(files, count, seconds=20):
    lines = []
    def read():
        with contextlib.suppress(OSError):
            lines.extend(files.read())
        return len(lines) >= count
    until(read, "%d lines" % count, seconds)
    return lines

def mount(*words):
    subprocess.run(["mount", *words], check=True)

def umount(path):
    subprocess.run(["umount", str(path)], check=True)

def fill(directory):
    with contextlib.suppress(OSError), open(directory / "filler", "wb") as file:
        while True:
            file.write(b"x" * 4096)
            file.flush()

start()
"""


def run(home: Path, script: str) -> None:
    """Run a script beside a journald that has just started; fail with what it says."""
    for name in ("journal", "settings"):
        (home / name).mkdir(exist_ok=True)
    (home / "settings" / "journald.conf").write_text(_SETTINGS)
    program = home / "script.py"
    end = "\nwhile processes:\n    stop()\n"
    program.write_text(_PREAMBLE + textwrap.dedent(script) + end)
    unshare = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
    if os.getuid():
        unshare += ["--user", "--map-root-user"]
    done = subprocess.run(
        [*unshare, "bash", "-c", _START, "-", str(home), sys.executable, str(program), str(home)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
