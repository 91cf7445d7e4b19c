"""Logging in to a machine's Kafka from a program that runs on it."""

from pathlib import Path

from machine import Machine


def kafka_login(machine: Machine, account: str = "admin") -> dict[str, str]:
    """Give kafka-python's settings to log in as helfy_ACCOUNT, with the password of right now."""
    password = (Path(machine.vars["secrets_dir"]) / f"kafka_{account}").read_text(encoding="utf-8")
    ca_file = machine.vars["tls_ca_file"]
    tls = {"ssl_cafile": ca_file} if ca_file else {}
    return {
        "security_protocol": "SASL_SSL" if tls else "SASL_PLAINTEXT",
        **tls,
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": f"helfy_{account}",
        "sasl_plain_password": password.strip(),
    }
