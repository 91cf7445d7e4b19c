"""The API's settings: ``/etc/helfy/api.toml`` and the secrets beside it.

The secrets are files of ``$CREDENTIALS_DIRECTORY``: ``database_login``, ``token_keys`` and
``proxy_keys`` with one key a line, newest first, and ``kafka_password`` where ``stream.username``
is set. There is no default for any.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from helfy.config import CREDENTIALS_VARIABLE, ConfigError, Login, Section, credential, load, login
from helfy.database import PooledDatabase
from helfy.feed.settings import Stream, host_and_port
from helfy.passwords import HIGHEST_COST, LOWEST_COST
from helfy.throttle import Limits

_SHORTEST_KEY = 32
_DAY_SECONDS = 86400
_THREADS_LEFT = 2


def _address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise ValueError(
            "must be an IP address of this host, or 0.0.0.0 or :: for all of them"
        ) from None
    return value


class Server(Section):
    """The table ``[server]``: how the API listens."""

    host: Annotated[str, AfterValidator(_address)] = "127.0.0.1"
    threads: Annotated[int, Field(ge=1, le=64)] = 8
    processes: tuple[Annotated[str, AfterValidator(host_and_port)], ...] = ()
    """All processes of the API, on all hosts: ``/status`` asks them what they counted."""


class Sessions(Section):
    """The table ``[sessions]``."""

    lifetime_seconds: Annotated[int, Field(ge=60, le=90 * _DAY_SECONDS)] = 43200
    """From the login on, whatever is done."""
    idle_seconds: Annotated[int, Field(ge=120, le=90 * _DAY_SECONDS)] = 3600
    """Without a request; that there was one is noted once a minute, hence no less than two."""


class Passwords(Section):
    """The table ``[passwords]``."""

    bcrypt_cost: Annotated[int, Field(ge=LOWEST_COST, le=HIGHEST_COST)] = 12
    concurrent_hashes: Annotated[int, Field(ge=1, le=63)] = 1
    """Hashes at once in this process: of a machine's cores, its share."""
    waiting_requests: Annotated[int, Field(ge=0, le=62)] | None = None
    """Requests that may wait for a hash; whoever comes then gets a 503 at once. By default as
    many as leave two threads for everything else."""


class ApiFile(Section):
    """The settings file."""

    server: Server = Server()
    database: PooledDatabase
    sessions: Sessions = Sessions()
    passwords: Passwords = Passwords()
    stream: Stream = Stream()
    throttle: Limits = Limits()

    @model_validator(mode="after")
    def _threads_are_left(self) -> Self:
        hashing = self.passwords.concurrent_hashes + (self.passwords.waiting_requests or 0)
        if hashing >= self.server.threads > 1:
            raise ValueError(
                f"passwords.concurrent_hashes + passwords.waiting_requests ({hashing}) must be "
                f"less than server.threads ({self.server.threads}): a flood of logins would "
                f"leave no thread for anything else"
            )
        return self

    @property
    def waiting_requests(self) -> int:
        """Requests that may wait for a hash, worked out where it is not set."""
        if self.passwords.waiting_requests is not None:
            return self.passwords.waiting_requests
        return max(0, self.server.threads - self.passwords.concurrent_hashes - _THREADS_LEFT)


class Settings(ApiFile):
    """The settings file with the secrets; these show as stars in a repr."""

    database_login: Login
    token_keys: Annotated[tuple[SecretStr, ...], Field(min_length=1)]
    """Newest first: the first one signs, all are accepted."""
    proxy_keys: Annotated[tuple[SecretStr, ...], Field(min_length=1)]
    """Who sends one of them is nginx."""


def load_settings(path: Path) -> Settings:
    """Read the settings file and the credentials; raise :class:`ConfigError`."""
    file = load(path, ApiFile)
    return Settings(
        server=file.server,
        database=file.database,
        sessions=file.sessions,
        passwords=file.passwords,
        stream=stream_with_login(file.stream),
        throttle=file.throttle,
        database_login=login("database_login"),
        token_keys=_keys("token_keys"),
        proxy_keys=_keys("proxy_keys"),
    )


def stream_with_login(stream: Stream, file: Path | None = None) -> Stream:
    """Add the password of whoever logs in to Kafka; ``file`` and errors as ``credential``."""
    if stream.username is None:
        return stream
    return stream.with_password(credential("kafka_password", file))


def _keys(name: str) -> tuple[SecretStr, ...]:
    keys = [line.strip() for line in credential(name).splitlines() if line.strip()]
    remedy = f"one key a line, newest first, each of {_SHORTEST_KEY} characters or more"
    if any(len(key) < _SHORTEST_KEY for key in keys):
        raise ConfigError(f"${CREDENTIALS_VARIABLE}/{name}: a key is too short; write {remedy}")
    if len(set(keys)) != len(keys):
        raise ConfigError(f"${CREDENTIALS_VARIABLE}/{name}: a key stands twice; write {remedy}")
    return tuple(SecretStr(key) for key in keys)
