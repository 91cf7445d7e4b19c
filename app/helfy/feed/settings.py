"""The table ``[stream]`` of a settings file: the topic of changes, and how its lines are made."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from helfy.config import Section, readable
from helfy.consumer.settings import DEFAULT_REDACTED, LINE_OVERHEAD_BYTES, MIN_LINE_BYTES, Settings
from helfy.kafka_consumer import KafkaLogin

_HIGHEST_PORT = 65535
_MOST_LINE_BYTES = 16 * 1024**2


def host_and_port(value: str) -> str:
    """Check a setting that is ``host:port``; raise ValueError."""
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= _HIGHEST_PORT:
        raise ValueError("must be host:port")
    return value


_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
_Columns = tuple[Annotated[str, Field(min_length=1, max_length=64)], ...]
_Table = Annotated[str, Field(pattern=r"^[^\s.]+\.[^\s.]+$")]


class Stream(Section):
    """The topic of changes. What concerns lines is to be as it is for the consumer."""

    bootstrap_servers: Annotated[
        tuple[Annotated[str, AfterValidator(host_and_port)], ...], Field(min_length=1)
    ] = ("127.0.0.1:9092",)
    username: _Name | None = None
    """Who logs in to Kafka, by SCRAM-SHA-512; without it nobody does. The password is a secret."""
    ca_file: Annotated[str, AfterValidator(readable)] | None = None
    """Certificates to trust, in PEM form: with it, TLS to brokers of these names, or nothing."""
    topic: _Name = "tidb_changes"
    max_silence_seconds: Annotated[int, Field(ge=1, le=3600)] = 30
    """Without a record for this long, the stream is ``degraded``."""
    capture_report_seconds: Annotated[int, Field(ge=1, le=3600)] = 15
    """How often the watchdog of change capture reports how it is."""
    consumer_groups: tuple[_Name, ...] = ()
    """The consumers' groups: how far they are is part of the status."""
    max_line_bytes: Annotated[int, Field(ge=MIN_LINE_BYTES, le=_MOST_LINE_BYTES)] = 262_144
    max_value_bytes: Annotated[int, Field(ge=1, le=_MOST_LINE_BYTES)] = 32_768
    redact_columns: _Columns = DEFAULT_REDACTED
    captured: dict[_Table, _Columns] = Field(default_factory=dict)
    """By ``database.table``, the columns that are captured; nothing else gets into a line."""
    secret: dict[_Table, _Columns] = Field(default_factory=dict)
    """By ``database.table``, the columns that are never captured."""

    _login: KafkaLogin | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _tls_has_a_login(self) -> Self:
        if self.ca_file is not None and self.username is None:
            raise ValueError("ca_file needs username: give it, or remove ca_file")
        return self

    def with_password(self, password: str) -> Self:
        """Give the same with the password, which no settings file has."""
        copy = self.model_copy()
        if self.username is not None:
            copy._login = KafkaLogin(self.username, password, self.ca_file)
        return copy

    @property
    def login(self) -> KafkaLogin | None:
        """Who logs in to Kafka, and the password."""
        return self._login

    def lines(self) -> Settings:
        """Give the consumer's settings, as far as they say what a line looks like."""
        return Settings(
            bootstrap_servers=self.bootstrap_servers,
            topic=self.topic,
            group_id="",
            max_line_bytes=self.max_line_bytes,
            max_value_bytes=min(self.max_value_bytes, self.max_line_bytes - LINE_OVERHEAD_BYTES),
            redact_columns=self.redact_columns,
            captured={table.lower(): columns for table, columns in self.captured.items()},
            secret={table.lower(): columns for table, columns in self.secret.items()},
        )
