"""``make audit`` against a service that answers as OSV does."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import role_docs

pytestmark = pytest.mark.slow

ROOT = role_docs.ROOT
FAULT = {
    "id": "PYSEC-2026-1",
    "summary": "A made-up fault",
    "modified": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "waitress", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0.0"}]}],
        }
    ],
}


class Service(ThreadingHTTPServer):
    """Knows faults by the name of a package, and counts what it is asked."""

    def __init__(self) -> None:
        self.faults: dict[str, list[dict[str, Any]]] = {}
        self.asked: set[str] = set()
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    """Answers a query for one package."""

    server: Service

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = query["package"]["name"]
        self.server.asked.add(name)
        found = self.server.faults.get(name, [])
        body = json.dumps({"vulns": found} if found else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(name="service")
def _service() -> Iterator[Service]:
    with Service() as service:
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        yield service
        service.shutdown()
        thread.join()


def audit(port: int) -> subprocess.CompletedProcess[str]:
    """Run it for the Python packages."""
    return subprocess.run(
        [ROOT / "lab/audit", "python"],
        env=os.environ | {"AUDIT_URL": f"http://127.0.0.1:{port}/v1/query", "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_what_is_known_is_said_of_every_pinned_package(service: Service) -> None:
    done = audit(service.server_port)
    assert done.returncode == 0, done.stdout + done.stderr
    pinned = {
        line.partition("==")[0].partition("[")[0].lower()
        for file in (ROOT / "requirements").glob("*.txt")
        for line in file.read_text().splitlines()
        if line[:1].isalnum() and "os_name == 'nt'" not in line
    }
    assert pinned <= {name.lower() for name in service.asked}
    service.faults["waitress"] = [FAULT]
    done = audit(service.server_port)
    assert done.returncode == 1
    assert "PYSEC-2026-1" in done.stdout
    assert "requirements/uv.txt: nothing known" in done.stdout


def test_a_service_that_does_not_answer_is_named_with_the_remedy() -> None:
    done = audit(9)
    assert done.returncode == 1
    assert "requirements/app.txt cannot be asked" in done.stderr
    assert "AUDIT_URL=" in done.stderr
