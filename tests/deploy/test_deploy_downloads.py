"""What a machine itself downloads: with another checksum, or out of reach."""

import contextlib
import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from machine import Machine, control_address
from plays import play

pytestmark = pytest.mark.long

LOOK: Final = "ls -lR --time-style=full-iso /opt/kafka /usr/local/bin | grep -v '^total' | md5sum"
DEAD_PROXY: Final = "/etc/apt/apt.conf.d/99helfy-test"


@contextlib.contextmanager
def served(folder: Path, address: str) -> Iterator[str]:
    """Serve a folder by HTTP from this machine, and give its URL."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer((address, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{address}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_an_archive_with_another_checksum_is_removed_and_nothing_installed(
    kafka_machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "kafka.tgz").write_bytes(b"something else")
    before = kafka_machine.run(LOOK)
    with served(tmp_path, control_address(kafka_machine)) as url:
        chosen = {
            "kafka_source": "archive",
            "kafka_version": "9.9.9",
            "kafka_archive_url": f"{url}/kafka.tgz",
            "kafka_archive_sha256": "0" * 64,
        }
        arguments = [f"-e{name}={value}" for name, value in chosen.items()]
        wrong = play("site", "--tags", "kafka_install", *arguments)
    away = play("site", "--tags", "kafka_install", *arguments)
    for done in (wrong, away):
        said = " ".join(done.output.split())
        assert done.code == 2, said[-3000:]
        assert f"kafka_archive_url is {url}/kafka.tgz: " in said
        assert "Nothing of it is kept." in said
        assert "that kafka_archive_sha256 is the archive's, and run again" in said
    assert "checksum" in wrong.output
    assert "refused" in away.output
    assert kafka_machine.run(LOOK) == before


def test_a_mirror_of_packages_out_of_reach_is_said(machine: Machine) -> None:
    proxy = 'Acquire::http::Proxy \\"http://127.0.0.1:1\\";'
    machine.run(
        f'echo "{proxy} {proxy.replace("http::", "https::")}" >{DEAD_PROXY} && '
        "touch -d @0 /var/lib/apt/lists /var/lib/apt/periodic/update-success-stamp"
    )
    try:
        done = play("site", "--tags", "common")
    finally:
        machine.run(f"rm {DEAD_PROXY}")
    said = " ".join(done.output.split())
    assert done.code == 2, said[-3000:]
    assert f"Check that {machine.name} reaches the mirror that its /etc/apt/sources.list" in said
    assert "common_extra_ca_certificates), and run again" in said
    done = play("site", "--tags", "common")
    assert (done.code, done.changed) == (0, set()), done.output[-3000:]
