#!/usr/bin/env python3
"""Deploy to new machines for the first time, with one that dies in the middle.

    first_runs.py FOLDER [--finish]

Rehearses (``--check``), deploys until a machine is at work on Kafka's packages, kills that machine
and starts it. The next deployment has to go on from there: molecule's, whose scenario ``default``
begins with this, or, with ``--finish``, a third one here. FOLDER gets what each run said, with all
that Ansible can say: ``rehearsed.log``, ``cut-off.log``, ``finished.log``, which tests read. Exit
status 1, with the reason, where a run does not end as it should.
"""

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from machine import ROOT, Machine, MachineError, wait_for
from machines import Machines
from plays import Play, play, play_until

LOUD: Final = ("-vvv", "--diff")


def kill(machine: Machine) -> None:
    """End the machine as a power cut would: nothing is told to stop."""
    if Path("/var/lib/lxc", machine.name).exists():
        command = ["sudo", "lxc-stop", "--kill", "--name", machine.name]
    else:
        command = ["vagrant", "halt", "--force", machine.name]
    subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)


def kill_within_dpkg(machine: Machine) -> None:
    """Kill the machine as soon as packages are being unpacked."""
    at_it = "pgrep -x dpkg >/dev/null && ls /var/lib/dpkg/info | grep -q openjdk"
    wait_for(lambda: machine.attempt(at_it).returncode == 0, "dpkg at work", 120, 0.05)
    kill(machine)


def keep(folder: Path, name: str, run: Play, begun: float) -> None:
    """Write down what a run said."""
    (folder / f"{name}.log").write_text(run.output)
    print(f"{name}: {time.monotonic() - begun:.0f} s, exit status {run.code}", flush=True)


def main() -> int:
    """See the module's text."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    machines = Machines()
    try:
        [machine] = machines.of("kafka")[:1]
        begun = time.monotonic()
        rehearsed = play("site", "--check", *LOUD)
        keep(folder, "rehearsed", rehearsed, begun)
        expect(rehearsed.code == 0, rehearsed, "the rehearsal failed")

        begun = time.monotonic()
        cut = play_until(
            "TASK [kafka : Install Java]", lambda _: kill_within_dpkg(machine), "site", *LOUD
        )
        keep(folder, "cut-off", cut, begun)
        expect(cut.code != 0, cut, "the run did not fail")
        expect(f"fatal: [{machine.name}]: UNREACHABLE!" in cut.output, cut, "nothing says why")
        recap = re.search(rf"(?m)^{machine.name} .*unreachable=1 ", cut.output)
        expect(recap is not None, cut, "the recap does not say it")

        machine.hang_up()
        subprocess.run(
            ["vagrant", "up"], cwd=ROOT, check=True, stdin=subprocess.DEVNULL, capture_output=True
        )
        if "--finish" in sys.argv[2:]:
            begun = time.monotonic()
            finished = play("site", *LOUD)
            keep(folder, "finished", finished, begun)
            expect(finished.code == 0, finished, "the next run did not go on from there")
    except (MachineError, AssertionError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        machines.close()
    return 0


def expect(true: bool, run: Play, otherwise: str) -> None:
    """Raise MachineError with the end of what a run said, where something is not true."""
    if not true:
        raise MachineError(f"{otherwise}:\n{run.output[-6000:]}")


if __name__ == "__main__":
    sys.exit(main())
