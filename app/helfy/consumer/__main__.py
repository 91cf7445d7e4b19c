"""``helfy-consumer``: one line of JSON on stdout for every change in the topic.

Exit status: 0 after SIGTERM or SIGINT, 1 after a fault of its own (systemd starts it again), 78
(EX_CONFIG) where the configuration is refused, said on stderr.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from helfy import __version__, jsonlog
from helfy.consumer import librarylog, settings
from helfy.consumer.output import Output, OutputHandler
from helfy.consumer.run import Consumer, StopFlag
from helfy.consumer.source import KafkaSource

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
    output = Output()
    handler = OutputHandler(output)
    jsonlog.configure("info", handler)
    librarylog.quieten(handler)
    stop = StopFlag()
    stop.install()
    try:
        Consumer(chosen, KafkaSource, output, stop).run()
    except Exception:
        log.critical("consumer_failed", exc_info=True)
        return 1
    return os.EX_OK


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
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
