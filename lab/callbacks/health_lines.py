"""Output of playbooks/health.yml for people: one line per part, as soon as it is known.

Used by lab/status. The playbook sets ``health_line`` (part, well, said, look) for each part of a
host, and fails at the end; that failure is not repeated here. Any other failure is shown.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ansible.plugins.callback import CallbackBase  # type: ignore[import-untyped]

DOCUMENTATION = """
name: health_lines
type: stdout
short_description: one line per part
description: Shows what playbooks/health.yml finds.
"""

COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
RED, GREEN, BOLD, DIM = "31", "32", "1", "2"
WIDTH = 16


def painted(code: str, text: str) -> str:
    """Give the text in a colour, on a terminal."""
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


class CallbackModule(CallbackBase):  # type: ignore[misc]  # without types, see above
    """Ansible's name for it."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "health_lines"

    def __init__(self) -> None:
        super().__init__()
        self._host = ""
        self._verdict = False

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Remember whether this is the last play, whose failure repeats what was shown."""
        self._verdict = play.get_name() == "Verdict"

    def v2_runner_on_ok(self, result: Any) -> None:
        """Show a finding."""
        line = result.result.get("ansible_facts", {}).get("health_line")
        if not line:
            return
        host = result.host.get_name()
        if host != self._host:
            self._host = host
            print(painted(BOLD, host))
        part = "machine" if line["part"] == host else line["part"]
        word = painted(GREEN, "well  ") if line["well"] else painted(RED, "unwell")
        said = " ".join(str(line["said"]).split())
        look = "" if line["well"] else painted(BOLD, f"  look at: {line['look']}")
        print(f"  {word}  {part:{WIDTH}} {said if not line['well'] else painted(DIM, said)}{look}")
        sys.stdout.flush()

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Keep what a part's own tasks say for its line."""

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Nothing: the exit status says it."""
