"""``helfy-consumer``: one line of JSON on stdout for every change in the topic.

With several workers (``[workers]`` in the configuration) this process starts and watches them.
Exit status: 0 after SIGTERM or SIGINT, 1 after a fault of its own (systemd starts it again), 78
(EX_CONFIG) where the configuration is refused, said on stderr.
"""

import argparse
import functools
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from helfy import __version__, jsonlog
from helfy.consumer import journal, librarylog, metrics, settings
from helfy.consumer.commits import WrittenLines
from helfy.consumer.journal_files import JournalFiles, own_unit
from helfy.consumer.lost import Copies
from helfy.consumer.output import STDOUT, Output, OutputHandler
from helfy.consumer.replay import Replays
from helfy.consumer.run import Consumer
from helfy.consumer.settings import Settings
from helfy.consumer.source import KafkaSource
from helfy.consumer.stop import StopFlag, WorkerStop
from helfy.consumer.supervise import Supervisor, worker_command

STDERR: Final = 2
CONFIG: Final = Path("/etc/helfy/consumer.toml")

log = jsonlog.get(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the consumer; give its exit status."""
    options = _options(arguments)
    try:
        chosen = settings.load(options.config)
    except settings.SettingsError as error:
        sys.stderr.write(f"helfy-consumer: {error}\n")
        return os.EX_CONFIG
    if options.check:
        return os.EX_OK
    alone = chosen.workers == 1 or options.worker is not None
    record = journal_files() if alone and journal.is_journal(STDOUT) else None
    replays = Replays()
    written = WrittenLines(replays, record)
    output = Output(note=written.wrote)
    handler = OutputHandler(output)
    jsonlog.configure("info", handler)
    librarylog.quieten(handler)
    stop = StopFlag() if options.worker is None else WorkerStop()
    stop.install()
    try:
        if options.worker is not None and record is not None:
            journal.own_stream(STDOUT, STDERR)
        if alone:
            # A worker's are served by its supervisor.
            metrics.serve(None if options.worker is not None else chosen.metrics_listen)
            opener = functools.partial(
                KafkaSource, member=member(options.worker), copies=copies(chosen)
            )
            fault = None if record is None else record.fault
            Consumer(chosen, opener, output, stop, written, replays, fault).run()
        else:
            relayed = None if journal.is_journal(STDOUT) else output
            command = worker_command(options.config)
            Supervisor(chosen.workers, command, relayed, stop, chosen.metrics_listen).run()
    except Exception:
        log.critical("consumer_failed", exc_info=True)
        return 1
    return os.EX_OK


def journal_files() -> JournalFiles | None:
    """Give the record of this unit; None outside of one."""
    unit = own_unit()
    return None if unit is None else JournalFiles([f"_SYSTEMD_UNIT={unit}", "_TRANSPORT=stdout"])


def copies(chosen: Settings) -> Copies:
    """Give the copies of what was committed, in the unit's state directory where it has one."""
    state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Copies(Path(state) / "committed" / chosen.topic if state else None)


def member(worker: int | None) -> str | None:
    """Give the process's lasting name in its group, where it is the unit's.

    A process that somebody starts by hand beside the unit has none: with the same name the two
    would drive each other out.
    """
    if not os.environ.get("STATE_DIRECTORY"):
        return None
    return f"{socket.gethostname()}-{1 if worker is None else worker}"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="helfy-consumer",
        description="Write one line of JSON on stdout for every change in the Kafka topic.",
    )
    parser.add_argument(
        "--config", type=Path, default=CONFIG, help="the configuration (default: %(default)s)"
    )
    parser.add_argument(
        "--check", action="store_true", help="read the configuration, say what is wrong, and end"
    )
    parser.add_argument("--worker", type=int, metavar="N", help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
