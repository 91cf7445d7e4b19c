"""The module that makes Kafka's accounts, against a real Kafka that has none to begin with."""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import module_paths
import pytest
import role_docs

if TYPE_CHECKING:
    from kafka_server import Kafka

sys.path[:0] = [str(role_docs.ROOT / "app"), str(role_docs.ROOT / "app/tests")]
# At its import kafka-python uses what Python 3.11 deprecates.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    kafka_server = importlib.import_module("kafka_server")

ADMIN, CONTROLLER = kafka_server.ADMIN, kafka_server.CONTROLLER
accounts = module_paths.module("kafka_accounts")
link = module_paths.module_utils("kafka_link")

READ = {"account": "reader", "resource": "topic", "name": "changes", "operations": ["Read"]}
GROUP = {"account": "reader", "resource": "group", "name": "line", "operations": ["Read"]}
WRITE = {
    "account": "writer",
    "resource": "topic",
    "name": "changes",
    "operations": ["Write", "Describe"],
}


@pytest.fixture(scope="module")
def kafka() -> Iterator[Kafka]:
    """A Kafka whose controllers know their own account, and nobody else."""
    home = Path(tempfile.mkdtemp(prefix="helfy-kafka-"))
    server: Kafka = kafka_server.Kafka(home, [])
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home)


def bring(
    kafka: Kafka, rights: list[dict[str, Any]], *, only_plan: bool = False, **passwords: str
) -> list[str]:
    """Have the accounts with those passwords; without one, "password-of-" and the name."""
    named = {name: f"password-of-{name}" for name in ("reader", "writer")} | passwords
    given = {
        "brokers": [kafka.server],
        # The first is none, as where another one is the active one.
        "controllers": ["127.0.0.1:1", kafka.controller],
        "controller_name": CONTROLLER.username,
        "controller_password": CONTROLLER.password,
        "accounts": [
            {"name": ADMIN.username, "password": named.pop("admin", ADMIN.password)},
            *({"name": name, "password": password} for name, password in named.items()),
        ],
        "rights": rights,
        "ca_file": "",
        "wait_seconds": 20.0,
    }
    changed: list[str] = accounts.bring(given, only_plan=only_plan)
    return changed


def may_log_in(kafka: Kafka, name: str, password: str) -> bool:
    try:
        link.Link(kafka.server, link.Login(name, password)).close()
    except link.LoginRefusedError:
        return False
    return True


def test_it_makes_what_is_missing_and_then_changes_nothing(kafka: Kafka) -> None:
    planned = bring(kafka, [READ, WRITE], only_plan=True)
    assert not may_log_in(kafka, ADMIN.username, ADMIN.password), "a rehearsal"
    made = bring(kafka, [READ, WRITE])
    passwords = [f"password of {name}" for name in ("admin", "reader", "writer")]
    assert planned == [*passwords, "rights"]
    assert made == [
        *passwords,
        "User:reader may Read topic changes",
        "User:writer may Write topic changes",
        "User:writer may Describe topic changes",
    ]
    assert bring(kafka, [READ, WRITE]) == []
    assert bring(kafka, [READ, WRITE], only_plan=True) == []


def test_a_password_is_set_where_it_is_another_one(kafka: Kafka) -> None:
    bring(kafka, [READ])
    assert bring(kafka, [READ], reader="another-password") == ["password of reader"]
    assert may_log_in(kafka, "reader", "another-password")
    assert not may_log_in(kafka, "reader", "password-of-reader")
    assert bring(kafka, [READ], reader="another-password") == []


def test_rights_that_are_not_wanted_go_and_others_are_left_alone(kafka: Kafka) -> None:
    bring(kafka, [READ, WRITE, GROUP])
    foreign = {**READ, "account": "somebody"}
    bring(kafka, [READ, WRITE, GROUP, foreign], somebody="password-of-somebody")
    assert bring(kafka, [READ, WRITE], only_plan=True) == [
        "no more: User:reader may Read group line"
    ]
    assert bring(kafka, [READ, WRITE]) == ["no more: User:reader may Read group line"]
    assert bring(kafka, [READ, WRITE]) == []
    assert bring(kafka, [READ, WRITE, foreign], somebody="password-of-somebody") == []


def test_the_administrators_password_is_mended_through_a_controller(kafka: Kafka) -> None:
    bring(kafka, [])
    assert bring(kafka, [], admin="a-new-password-of-the-admin") == ["password of admin"]
    assert may_log_in(kafka, ADMIN.username, "a-new-password-of-the-admin")
    assert bring(kafka, []) == ["password of admin"]


def test_a_controller_that_knows_another_password_is_said(kafka: Kafka) -> None:
    bring(kafka, [])
    login = link.Login(CONTROLLER.username, "wrong", link.PLAIN)
    with pytest.raises(link.LoginRefusedError, match="refuses the login of controller"):
        link.Link(kafka.controller, login)
    with pytest.raises(link.LinkError, match="takes no login by SCRAM-SHA-512"):
        link.Link(kafka.controller, link.Login(ADMIN.username, ADMIN.password))
    # A client's account is none of the controllers'.
    with pytest.raises(link.LoginRefusedError):
        link.Link(kafka.controller, link.Login(ADMIN.username, ADMIN.password, link.PLAIN))
