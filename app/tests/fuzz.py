"""Schemathesis against a served API: no 5xx, and no answer that its OpenAPI document does not tell.

Bounded: so many examples for each operation, the same ones each time (``--seed``), and a time.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
SECONDS = 240
ENDING = (
    "logout",
    "endSession",
    "endSessionOfUser",
    "endSessionsOfUser",
    "setPasswordOfUser",
    "changeUser",
    "deleteUser",
)
"""The operations that may end the very session they are asked with: Schemathesis learns ids."""


def fuzz(url: str, home: Path, token: str, only: Sequence[str] = (), examples: int = 8) -> int:
    """Ask for all operations but the ending ones, or ``only`` those; return how many were asked.

    Raises AssertionError with Schemathesis' report where an answer is not as it must be.
    """
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json",
        "--url", url, "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing",
        "--max-examples", str(examples), "--seed", "1", "--header", f"x-auth-token: {token}",
        "--suppress-health-check", "all", "--warnings", "off", "--continue-on-failure",
        "--request-timeout", "30", "--no-color",
    ]  # fmt: skip
    for operation in only:
        command += ["--include-operation-id", operation]
    for operation in () if only else ENDING:
        command += ["--exclude-operation-id", operation]
    done = subprocess.run(
        command, cwd=home, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    report = done.stdout + done.stderr
    assert done.returncode == 0, report[-8000:]
    found = re.search(r"Operations:\s+(?:\D*)(\d+)|Tested:\s+(\d+)", report)
    assert found, report[-3000:]
    return int(next(filter(None, found.groups())))
