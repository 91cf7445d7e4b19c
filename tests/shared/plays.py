"""A run of one of the playbooks, as a user starts it, and what it told of each task."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from machine import ROOT
from machines import inventory

SECONDS: Final = 600
_HEADING: Final = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(.*)\] \**$")
_RESULT: Final = re.compile(r"^(ok|changed|skipping|included|failed|fatal): ")
_BEFORE: Final = re.compile(r"^--- before(?:: (\S+))?")


@dataclass(frozen=True)
class Play:
    """How a run ended: its exit status, and all that it wrote."""

    code: int
    output: str

    @cached_property
    def tasks(self) -> dict[str, set[str]]:
        """Give the names of tasks and handlers by what became of them: ok, changed, skipping …

        A role's are named as Ansible does: "kafka : Install Java". An item that is skipped is none
        of a task's ends, but for a task whose items all are.
        """
        ends: dict[str, set[str]] = {}
        name = ""
        for line in self.output.splitlines():
            if heading := _HEADING.match(line):
                name = heading[1]
            elif name and (result := _RESULT.match(line)):
                ends.setdefault(result[1], set()).add(name)
        done = {each for end, those in ends.items() if end != "skipping" for each in those}
        return ends | {"skipping": ends.get("skipping", set()) - done}

    @property
    def changed(self) -> set[str]:
        """Give the names of the tasks and handlers that changed something."""
        return self.tasks.get("changed", set())

    @property
    def files(self) -> set[str]:
        """Give the paths of the files whose difference was shown."""
        found = (_BEFORE.match(line) for line in self.output.splitlines())
        return {match[1] for match in found if match and match[1]}


_COLOURS: Final = ("ANSIBLE_FORCE_COLOR", "PY_COLORS", "FORCE_COLOR", "CLICOLOR_FORCE")


def command(name: str, *arguments: str) -> list[str]:
    """Give the command line of a playbook."""
    program = Path(sys.executable).with_name("ansible-playbook")
    return [str(program), "-i", str(inventory()), f"playbooks/{name}.yml", *arguments]


def environment() -> dict[str, str]:
    """Give an environment in which skipped tasks are told, and nothing is in colour."""
    # Molecule forces colours on what it starts.
    kept = {name: value for name, value in os.environ.items() if name not in _COLOURS}
    return {**kept, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "1"}


def play(name: str, *arguments: str, seconds: float = SECONDS) -> Play:
    """Run it to its end."""
    done = subprocess.run(
        command(name, *arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment(),
        timeout=seconds,
    )
    return Play(done.returncode, done.stdout)


def play_until(
    line: str, act: Callable[["subprocess.Popen[str]"], None], name: str, *arguments: str
) -> Play:
    """Run it, and act once, on the process, as soon as it writes a line that begins so.

    The process is the leader of a group of its own. Give how it ended.
    """
    written: list[str] = []
    acted = False
    with subprocess.Popen(
        command(name, *arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env=environment(),
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for said in process.stdout:
            written.append(said)
            if said.startswith(line) and not acted:
                acted = True
                act(process)
    output = "".join(written)
    assert acted, f"it never came to '{line}':\n{output[-4000:]}"
    return Play(process.returncode, output)
