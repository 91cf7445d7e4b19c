"""Accounts and rights in Kafka: what there is, what differs from what is wanted, and the change."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.kafka_link import (  # type: ignore[import-untyped]
    Link,
    LinkError,
    compact,
    count,
    salted_password,
    text,
)

ITERATIONS = 8192
SALT_BYTES = 32
_SCRAM_SHA_512 = 2
_ALTER_SCRAM, _DESCRIBE_ACLS, _CREATE_ACLS, _DELETE_ACLS = 51, 29, 30, 31
_ANY, _LITERAL, _ALLOW = 1, 3, 3
NOT_CONTROLLER = 41
# Codes of the protocol.
RESOURCES = {"topic": 2, "group": 3, "cluster": 4}
OPERATIONS = {
    "All": 2,
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Delete": 6,
    "Alter": 7,
    "Describe": 8,
    "ClusterAction": 9,
    "DescribeConfigs": 10,
    "AlterConfigs": 11,
    "IdempotentWrite": 12,
}


@dataclass(frozen=True, order=True)
class Rule:
    """A rule of Kafka's access control, in the protocol's codes."""

    principal: str
    resource: int
    name: str
    pattern: int
    host: str
    operation: int
    permission: int

    def __str__(self) -> str:
        """Say what it lets whom do."""
        resource = _named(RESOURCES, self.resource)
        operation = _named(OPERATIONS, self.operation)
        allowed = "may" if self.permission == _ALLOW else "may not"
        return f"{self.principal} {allowed} {operation} {resource} {self.name}"


def wanted(rights: Iterable[Mapping[str, Any]]) -> set[Rule]:
    """Give the rules that rights make: mappings of account, resource, name and operations."""
    return {
        Rule(
            principal=f"User:{right['account']}",
            resource=RESOURCES[right["resource"]],
            name=right["name"],
            pattern=_LITERAL,
            host="*",
            operation=OPERATIONS[operation],
            permission=_ALLOW,
        )
        for right in rights
        for operation in right["operations"]
    }


def rules(link: Link) -> set[Rule]:
    """Ask for all rules. Raises LinkError."""
    answer = link.ask(
        _DESCRIBE_ACLS, 1, struct.pack(">b", _ANY) + text(None) + _filter(None, None, _ANY, _ANY)
    )
    answer.number("i")
    _check(link, "to show its rules", answer.number("h"), answer.text())
    found = set()
    for _ in range(answer.number("i")):
        resource, name, pattern = answer.number("b"), answer.text(), answer.number("b")
        for _ in range(answer.number("i")):
            principal, host = answer.text(), answer.text()
            operation, permission = answer.number("b"), answer.number("b")
            found.add(Rule(principal, resource, name, pattern, host, operation, permission))
    return found


def add(link: Link, several: Iterable[Rule]) -> None:
    """Make rules. Raises LinkError."""
    body = [
        struct.pack(">b", rule.resource)
        + text(rule.name)
        + struct.pack(">b", rule.pattern)
        + text(rule.principal)
        + text(rule.host)
        + struct.pack(">bb", rule.operation, rule.permission)
        for rule in several
    ]
    if not body:
        return
    answer = link.ask(_CREATE_ACLS, 1, struct.pack(">i", len(body)) + b"".join(body))
    answer.number("i")
    for _ in range(answer.number("i")):
        _check(link, "a rule", answer.number("h"), answer.text())


def remove(link: Link, several: Iterable[Rule]) -> None:
    """Take rules away. Raises LinkError."""
    body = [
        struct.pack(">b", rule.resource)
        + text(rule.name)
        + _filter(rule.principal, rule.host, rule.operation, rule.permission, rule.pattern)
        for rule in several
    ]
    if not body:
        return
    answer = link.ask(_DELETE_ACLS, 1, struct.pack(">i", len(body)) + b"".join(body))
    answer.number("i")
    # The matching rules follow each filter's error; the first error is all there is to say.
    if answer.number("i"):
        _check(link, "to take a rule away", answer.number("h"), answer.text())


def set_password(link: Link, account: str, password: str) -> None:
    """Give an account its password for SCRAM, or make it. Raises LinkError.

    What is sent is salted and hashed here: the password itself stays.
    """
    salt = os.urandom(SALT_BYTES)
    name = compact(account.encode())
    credential = struct.pack(">bi", _SCRAM_SHA_512, ITERATIONS)
    salted = salted_password(password, salt, ITERATIONS)
    body = count(0) + count(1) + name + credential + compact(salt) + compact(salted) + b"\0\0"
    answer = link.ask(_ALTER_SCRAM, 0, body, flexible=True)
    answer.number("i")
    for _ in range(answer.count()):
        answer.compact_text()
        _check(link, f"a password for {account}", answer.number("h"), answer.compact_text())
        answer.count()


class KafkaRefusedError(LinkError):  # type: ignore[misc]  # without types, see above
    """Kafka answers, and does not do it; ``code`` is the protocol's."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def _filter(
    principal: str | None, host: str | None, operation: int, permission: int, pattern: int = _ANY
) -> bytes:
    who: bytes = text(principal) + text(host)
    return struct.pack(">b", pattern) + who + struct.pack(">bb", operation, permission)


def _check(link: Link, what: str, error: int, words: str) -> None:
    if error:
        raise KafkaRefusedError(f"{link.address} refuses {what} (error {error}): {words}", error)


def _named(codes: dict[str, int], code: int) -> str:
    return next((name for name, value in codes.items() if value == code), str(code))
