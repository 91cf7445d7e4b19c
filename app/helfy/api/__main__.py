"""``helfy-api --config /etc/helfy/api.toml --port 8001``: one process of the API.

Exit status: 0 after SIGTERM, 1 where the address cannot be listened on, 2 where the command
line or the settings are wrong; then stderr says why.
"""

import argparse
import logging
import sys
from pathlib import Path

from helfy import jsonlog
from helfy.api import create_app
from helfy.api.server import CannotListenError, serve
from helfy.api.settings import load_settings
from helfy.config import ConfigError
from helfy.database import connect
from helfy.feed.groups import Groups, announce_losses
from helfy.feed.reader import StreamReader
from helfy.feed.snapshots import SnapshotWatch
from helfy.housekeeping import Housekeeper

_HIGHEST_PORT = 65535


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(options.config)
    except ConfigError as error:
        print(f"helfy-api: {error}", file=sys.stderr)
        return 2
    jsonlog.configure(options.log_level)
    # The reader tells what Kafka's state means; kafka-python would tell it at every attempt.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    stream = StreamReader(settings.stream)
    pool = settings.database.pool_size
    engine = connect(settings.database, settings.database_login, pool_size=pool)
    app = create_app(settings, engine, stream)
    groups = Groups(settings.stream, stream)
    housekeeper = Housekeeper(engine, also=lambda: announce_losses(engine, groups.look()))
    snapshots = SnapshotWatch(settings.stream, engine)
    app.config["ADDRESS"] = f"{settings.server.host}:{options.port}"
    stream.start()
    housekeeper.start()
    snapshots.start()
    try:
        serve(app, settings.server.host, options.port, settings.server.threads)
    except CannotListenError as error:
        print(f"helfy-api: {error}", file=sys.stderr)
        return 1
    finally:
        # Where Kafka is away its thread may be waiting for it, and dies with the process.
        stream.stop(timeout=0.5)
        housekeeper.stop(timeout=0.5)
        groups.close()
        snapshots.stop(timeout=0.5)
    return 0


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} must be a port from 0 to {_HIGHEST_PORT}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="helfy-api", description="Helfy's HTTP API.")
    parser.add_argument("--config", type=Path, required=True, help="for example api.toml")
    parser.add_argument("--port", type=_port, required=True, help="0: any free one, see the log")
    parser.add_argument("--log-level", choices=jsonlog.LEVELS, default="info")
    return parser


if __name__ == "__main__":
    sys.exit(main())
