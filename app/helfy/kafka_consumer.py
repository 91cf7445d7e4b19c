"""Clients of kafka-python: how they log in, and made so that nothing is left of a failed one."""

import contextlib
import logging
from dataclasses import dataclass, field
from typing import Any, Final

import kafka  # type: ignore[import-untyped]  # kafka-python ships no types
from kafka.net.compat import KafkaNetClient  # type: ignore[import-untyped]  # as above

MECHANISM: Final = "SCRAM-SHA-512"
# It warns at each login that there is no TLS. SCRAM does not send the password.
logging.getLogger("kafka.net.sasl.scram").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class KafkaLogin:
    """An account of Kafka's; the password is not in its repr.

    ``ca_file`` has the certificates to trust, in PEM form, where Kafka speaks TLS.
    """

    username: str
    password: str = field(repr=False)
    ca_file: str | None = None


def open_consumer(login: KafkaLogin | None, **configuration: Any) -> Any:
    """Return a ``kafka.KafkaConsumer``; see ``_opened``."""
    return _opened(kafka.KafkaConsumer, login, configuration)


def open_admin(login: KafkaLogin | None, **configuration: Any) -> Any:
    """Return a ``kafka.KafkaAdminClient``; see ``_opened``."""
    return _opened(kafka.KafkaAdminClient, login, configuration)


def security(login: KafkaLogin | None) -> dict[str, str]:
    """Give kafka-python's settings for a login; None is a Kafka that asks for none."""
    if login is None:
        return {}
    tls = {} if login.ca_file is None else {"ssl_cafile": login.ca_file}
    return {
        "security_protocol": "SASL_SSL" if tls else "SASL_PLAINTEXT",
        **tls,
        "sasl_mechanism": MECHANISM,
        "sasl_plain_username": login.username,
        "sasl_plain_password": login.password,
    }


def _opened(kind: Any, login: KafkaLogin | None, configuration: dict[str, Any]) -> Any:
    """Make a client; blocks until a broker has answered.

    Raises what kafka-python raises where none does in time. Its client would then leave a
    thread running (3.0.12), which tries to reach Kafka for ever: one more with each attempt.
    """
    clients: list[Any] = []

    def client(**given: Any) -> Any:
        clients.append(KafkaNetClient(**given))
        return clients[-1]

    try:
        return kind(kafka_client=client, **security(login), **configuration)
    except BaseException as fault:
        for opened in clients:
            with contextlib.suppress(Exception):
                opened.close()
        # A broker hangs up on whom it does not know, which the library takes for its absence.
        if login is not None and isinstance(fault, kafka.errors.KafkaError):
            why = f"no broker answers, or it refuses the login of {login.username}"
            fault.args = (f"{' '.join(map(str, fault.args))} ({why})",)
        raise
