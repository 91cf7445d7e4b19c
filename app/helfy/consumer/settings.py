"""The consumer's configuration: a TOML file, read once.

Keys, with their defaults where there is one::

    [kafka]
    bootstrap_servers = ["127.0.0.1:9092"]
    username = "helfy_consumer"   # who logs in, by SCRAM-SHA-512; without it nobody does
    ca_file = "/etc/helfy-tls/ca.pem"  # certificates to trust: with it, TLS to the brokers
    topic = "tidb_changes"
    group_id = "helfy-consumer-HOST"
    [journal]
    max_line_bytes = 262144       # what journald's LineMax takes
    max_value_bytes = 32768       # a larger value of a column is truncated
    [redact]
    columns = ["password_hash", "token_hash"]
    [captured]                    # by table; nothing else gets into a line
    "helfy.users" = ["id", "username"]
    [secret]                      # by table: always said to be redacted
    "helfy.users" = ["password_hash"]
    [workers]
    count = 1                     # at most so many share the partitions; 0: one per core
    [metrics]
    listen = "127.0.0.1:9101"     # where they are served; nowhere without it

The password of whoever logs in is the credential ``kafka_password`` (see ``helfy.credentials``).
"""

import os
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from helfy.consumer.settings_read import SettingsError, Table
from helfy.credentials import ConfigError, credential
from helfy.kafka_consumer import KafkaLogin

__all__ = ["Settings", "SettingsError", "load"]

MIN_LINE_BYTES: Final = 4096
MAX_LINE_BYTES: Final = 1024**3
# What a line takes besides one value of the largest size.
LINE_OVERHEAD_BYTES: Final = 2048
MAX_WORKERS: Final = 64
DEFAULT_REDACTED: Final = ("password_hash", "token_hash")


@dataclass(frozen=True, slots=True)
class Settings:
    """See the module's text. Names of tables are in lower case."""

    bootstrap_servers: tuple[str, ...]
    topic: str
    group_id: str
    max_line_bytes: int = 262_144
    max_value_bytes: int = 32_768
    redact_columns: tuple[str, ...] = DEFAULT_REDACTED
    captured: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    secret: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    workers: int = 1
    metrics_listen: str | None = None
    login: KafkaLogin | None = None


def load(path: Path, password_file: Path | None = None) -> Settings:
    """Read the file. Raises SettingsError, which names file, key, value and remedy.

    The password is in ``password_file``, or else a credential.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read ({error.strerror}): create it, or name another by --config"
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8: write it anew as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: is not TOML ({error}): correct it there") from None
    return _settings(Table(path, "", content), password_file)


def cores() -> int:
    """Give how many cores this process may use."""
    return min(len(os.sched_getaffinity(0)), MAX_WORKERS)


def _settings(root: Table, password_file: Path | None) -> Settings:
    root.only("kafka", "journal", "redact", "captured", "secret", "workers", "metrics")
    kafka, journal, redact = root.table("kafka"), root.table("journal"), root.table("redact")
    kafka.only("bootstrap_servers", "username", "ca_file", "topic", "group_id")
    journal.only("max_line_bytes", "max_value_bytes")
    redact.only("columns")
    workers = root.table("workers")
    workers.only("count")
    metrics = root.table("metrics")
    metrics.only("listen")
    line = journal.integer("max_line_bytes", 262_144, MIN_LINE_BYTES, MAX_LINE_BYTES)
    most = line - LINE_OVERHEAD_BYTES
    return Settings(
        bootstrap_servers=kafka.servers("bootstrap_servers"),
        topic=kafka.name("topic"),
        group_id=kafka.name("group_id", f"helfy-consumer-{socket.gethostname()}"),
        max_line_bytes=line,
        max_value_bytes=journal.integer("max_value_bytes", min(32_768, most), 1, most),
        redact_columns=redact.names("columns", DEFAULT_REDACTED),
        captured=root.table("captured").names_by_table(),
        secret=root.table("secret").names_by_table(),
        workers=workers.integer("count", 1, 0, MAX_WORKERS) or cores(),
        metrics_listen=metrics.server("listen"),
        login=_login(kafka, password_file),
    )


def _login(kafka: Table, password_file: Path | None) -> KafkaLogin | None:
    ca_file = kafka.file("ca_file")
    if not kafka.has("username"):
        kafka.only("bootstrap_servers", "topic", "group_id")
        return None
    username = kafka.name("username")
    try:
        password = credential("kafka_password", password_file)
    except ConfigError as error:
        raise SettingsError(str(error)) from None
    return KafkaLogin(username, password, ca_file)
