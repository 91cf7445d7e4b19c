"""The course of one fault: changes and logins go on, something breaks, and all is well again."""

import json
import shlex
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from evidence import Committed, Line, Result, Seen, judge, kinds, read, session, written
from load import Load
from machine import Machine, MachineError, wait_for
from stream import UNIT, Stream
from writer import STEPS

RATE: Final = 50
FOLDER: Final = "/var/lib/helfy-faults"
WRITER_UNIT: Final = "helfy-fault-writer"
TABLE: Final = "fault_rows"
CLIENTS: Final = 2
CLIENT_PAUSE_SECONDS: Final = 0.1
# Beyond what nginx waits for the API, before it answers itself.
MORE_SECONDS: Final = 5.0
STEADY_SECONDS: Final = 60.0
BACK_SECONDS: Final = 180.0
RECORDED_SECONDS: Final = 90.0
# What is behind no further is in step; what went well for so long is well.
BEHIND: Final = 2 * RATE
CALM_SECONDS: Final = 3.0
# A fault shows within this; and as long is looked at all that goes on before it and in the end.
SHOWS_SECONDS: Final = 5.0


@dataclass
class Course:
    """What a fault works with. ``machine`` has database, Kafka, consumer, API and nginx."""

    machine: Machine
    url: str
    account: dict[str, str]
    mark: str = field(default_factory=lambda: f"fault-{uuid.uuid4().hex[:8]}")
    committed: list[Committed] = field(default_factory=list)
    begun_at: float = 0.0
    restored_at: float = 0.0
    restored_here: float = 0.0
    load: Load = field(init=False)

    def __post_init__(self) -> None:
        self.load = Load(
            self.url, self.account, self.agent, CLIENTS, self.timeout, CLIENT_PAUSE_SECONDS
        )

    @property
    def timeout(self) -> float:
        """How long a request may take, in seconds."""
        return float(self.machine.vars["nginx_api_timeout_seconds"]) + MORE_SECONDS

    @property
    def agent(self) -> str:
        """What the clients call themselves."""
        return f"helfy-tests/{self.mark}"

    def now(self) -> float:
        """Give the machine's time, in Unix seconds."""
        return float(self.machine.run("date +%s.%N"))

    def restored(self) -> None:
        """Note that from now on nobody lends a hand."""
        self.restored_here = time.time()
        self.restored_at = self.now()

    def start_writer(self) -> None:
        """Let rows be changed at RATE a second; from where it was, if it was killed."""
        program = Path(__file__).with_name("writer.py").read_text(encoding="utf-8")
        self.machine.run(f"mkdir -p {FOLDER} && cat > {FOLDER}/writer.py", program)
        database = self.machine.vars["database_name"]
        login = shlex.quote(json.dumps(self.machine.sql_login))
        self.machine.run(
            f"mkdir -p {self._folder} && systemd-run --quiet --collect --unit={WRITER_UNIT}"
            " --setenv=PYTHONPATH=/opt/helfy/current/lib"
            f" python3 -W ignore {FOLDER}/writer.py {self._folder} {self.mark} {RATE}"
            f" {database} {login}"
        )

    def stop_writer(self) -> None:
        """Let no more rows be changed."""
        self.machine.run(f"systemctl stop {WRITER_UNIT}")

    def note(self, kind: str, *notes: str) -> None:
        """Add changes of rows of TABLE that the database acknowledged just now."""
        self.committed += [Committed((kind, note)) for note in notes]

    def run(self, fault: "Any") -> tuple[Result, Seen, Load]:
        """Give what came of a fault; raise MachineError where it is not well again in time."""
        stream = Stream(self.machine, self.machine, self.mark)
        load = self.load
        self.start_writer()
        try:
            with load:
                wait_for(lambda: self._well(load), "changes and logins", STEADY_SECONDS, 0.5)
                time.sleep(SHOWS_SECONDS)
                self.begun_at = self.now()
                self.restored()
                fault.act(self)
                time.sleep(SHOWS_SECONDS)
                wait_for(
                    lambda: self._well(load), f"all well after {fault.title}", BACK_SECONDS, 0.5
                )
                time.sleep(SHOWS_SECONDS)
                until = self.now()
                self.stop_writer()
            self._gather()
            seen = self._on_record(stream, lossy=fault.lossy)
        finally:
            self.machine.attempt(f"systemctl stop {WRITER_UNIT}; rm -rf {self._folder}")
        result = judge(self.committed, seen, self.restored_at, until)
        result.title = fault.title
        result.requests = sum(load.answered.values()) + len(load.failures)
        result.failures, result.longest = kinds(load.failures), load.longest
        last = max((failure.at for failure in load.failures), default=0.0)
        result.back = max(result.back, last - self.restored_here)
        return result, seen, load

    @property
    def _folder(self) -> str:
        return f"{FOLDER}/{self.mark}"

    def _well(self, load: Load) -> bool:
        """Say whether lines keep step with commits, and no request has failed for a while."""
        last = max((failure.at for failure in load.failures), default=0.0)
        if time.time() - last < CALM_SECONDS or time.time() - load.succeeded_at > CALM_SECONDS:
            return False
        script = (
            f"date +%s.%N; tail -n 1 {self._folder}/acknowledged;"
            f" journalctl -q --no-pager -o cat -u {UNIT} -n 100"
            f" | grep -oE {shlex.quote(self.mark + '-[0-9]+[.][0-9]@')} | tr -dc '0-9.@\\n-'"
        )
        try:
            now, *said = self.machine.attempt(script, seconds=15).stdout.splitlines()
        except (subprocess.TimeoutExpired, ValueError):
            return False
        if len(said) < 2:
            return False
        number, at = said[0].split()
        rows = [line.rpartition("-")[2].rstrip("@").split(".") for line in said[1:]]
        newest = max(int(row) * STEPS + int(step) for row, step in rows)
        return float(now) - float(at) < 1 and int(number) - newest < BEHIND

    def _gather(self) -> None:
        """Ask the database what was committed."""
        said = self.machine.run(f"cat {self._folder}/acknowledged")
        for line in said.splitlines():
            number, at = line.split()
            self.committed.append(Committed(written(self.mark, int(number)), float(at)))
        sessions = f"FROM sessions WHERE user_agent = '{self.agent}'"
        for identity, ended in self.machine.sql(f"SELECT id, revoked_at IS NOT NULL {sessions}"):
            kinds_ = ("INSERT", "UPDATE") if ended == "1" else ("INSERT",)
            self.committed += [Committed(session(kind, identity)) for kind in kinds_]

    def _on_record(self, stream: Stream, *, lossy: bool) -> Seen:
        """Wait for the lines of all that was committed; where some may be lost, of the last."""
        wanted = {change.key for change in self.committed}
        timed = [change for change in self.committed if change.at is not None]
        if lossy:
            wanted = {timed[-1].key}
        seen = Seen()

        def there() -> bool:
            nonlocal seen
            seen = read(stream.lines(), self.mark)
            return wanted <= seen.ids.keys()

        try:
            wait_for(there, "a line for each change", RECORDED_SECONDS, 2.0)
        except MachineError as error:  # what is missing is the finding
            sys.stderr.write(f"{error}\n")
        return seen

    def clean_up(self) -> None:
        """Remove what the fault left in the database."""
        self.machine.sql(
            f"DELETE FROM users WHERE username LIKE '{self.mark}-%';"
            f" DELETE FROM sessions WHERE user_agent = '{self.agent}';"
            f" DROP TABLE IF EXISTS {TABLE}"
        )


def lines_of(seen: Seen, action: str) -> list[Line]:
    """Give the consumer's own lines of an action."""
    return [line for line in seen.notices if line["action"] == action]
