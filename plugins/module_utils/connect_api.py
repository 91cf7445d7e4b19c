"""A connector of Kafka Connect by its REST interface: its state, and its stored position."""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

ANSWER_SECONDS = 5.0
_GTID = re.compile(r"(\d+)-(\d+)-(\d+)")


class ConnectError(Exception):
    """Kafka Connect does not do what is asked; the message names the request."""


@dataclass(frozen=True)
class Status:
    """``state`` is that of the connector, but where its task is in another than RUNNING.

    ``trace`` is the stack trace of what failed. It may quote a statement.
    """

    state: str
    trace: str = ""


class Connector:
    """A connector. Each method raises ConnectError.

    What is refused or not answered is asked again for ``wait_seconds`` from now on.
    """

    def __init__(self, url: str, name: str, wait_seconds: float = 0) -> None:
        self._base = f"{url}/connectors/{name}"
        self._deadline = time.monotonic() + wait_seconds

    def status(self) -> Status:
        """Ask how the connector and its tasks are."""
        answer = self._ask("GET", "/status")
        try:
            parts = [*answer["tasks"], answer["connector"]]
            failed = [part for part in parts if part["state"] == "FAILED"]
            others = [part["state"] for part in parts if part["state"] != "RUNNING"]
            if failed:
                return Status("FAILED", str(failed[0].get("trace", "")))
            if others:
                return Status(str(others[-1]))
            return Status("RUNNING" if answer["tasks"] else "UNASSIGNED")
        except (KeyError, TypeError, AttributeError) as error:
            raise ConnectError(f"its status is not understood: {error!r}") from None

    def stored(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the partition and the offset that are stored; empty where none is."""
        answer = self._ask("GET", "/offsets")
        try:
            entry = (answer["offsets"] or [{}])[0]
            return dict(entry.get("partition") or {}), dict(entry.get("offset") or {})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConnectError(f"its offsets are not understood: {error!r}") from None

    def stop(self) -> None:
        """Stop the connector, keeping its offsets; until the next start of Kafka Connect."""
        self._ask("PUT", "/stop")
        while self._ask("GET", "/status")["connector"]["state"] != "STOPPED":
            self._pause("the connector does not stop")

    def store(self, partition: dict[str, Any], offset: dict[str, Any]) -> None:
        """Replace the stored offset of the stopped connector."""
        self._ask("PATCH", "/offsets", {"offsets": [{"partition": partition, "offset": offset}]})

    def clear(self) -> None:
        """Remove the stored offset of the stopped connector."""
        self._ask("DELETE", "/offsets")

    def _pause(self, why: str) -> None:
        if time.monotonic() >= self._deadline:
            raise ConnectError(why)
        time.sleep(1)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        while True:
            request = urllib.request.Request(  # noqa: S310 - http alone: the role's own
                self._base + path, data, headers, method=method
            )
            try:
                with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
                    text = answer.read()
                return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                with error:
                    # 409: it is starting, or tasks are still ending.
                    why = f"Kafka Connect answers {error.code} to {method} {path}"
            except (OSError, http.client.HTTPException, ValueError) as error:
                why = f"Kafka Connect does not answer: {getattr(error, 'reason', error)}"
            self._pause(why)


@dataclass(frozen=True)
class Fault:
    """Why a connector failed. ``message`` has no value of a statement or a row."""

    cause: str
    message: str
    remedy: str


# GTID stands for that of the transaction, where it is known.
_SKIP = (
    "Continue after the transaction: ansible-playbook playbooks/capture-skip-transaction.yml"
    " -e capture_skip_gtid=GTID"
)
SNAPSHOT = "Take a new snapshot: ansible-playbook playbooks/capture-new-snapshot.yml"
_LIMITS = (
    "Raise debezium_message_max_bytes and kafka_message_max_bytes above that, and run"
    " ansible-playbook playbooks/site.yml"
)
_PARTIAL = (
    "a row of {table} has {size} columns, the table {known}: its row image is partial, or the table"
    " was changed without the binlog"
)
_SIZES = (
    r"Error processing row in (?P<table>\S+), internal schema size (?P<known>\d+),"
    r" but row size (?P<size>\d+)"
)
_UNKNOWN = "the columns of {table} are not known: another table took its place"
_PURGED = "the binlog behind the stored position is gone: it was purged or reset before it was read"
_UNPARSEABLE = "Debezium cannot parse a statement that may define a captured table: {sql}"
_HISTORY = "a position is stored, but the schema history that belongs to it is gone"
# Cause, pattern in the stack trace, message, remedy.
_KNOWN = (
    ("unparseable_ddl", r"with the statement '(?P<sql>.*)", _UNPARSEABLE, _SKIP),
    ("row_mismatch", _SIZES, _PARTIAL, _SKIP),
    ("row_mismatch", r"for table (?P<table>\S+) whose schema isn't known", _UNKNOWN, SNAPSHOT),
    (
        "row_mismatch",
        r"Failed to deserialize data of EventHeader|\bColumnType\.byCode\b",
        "an event of the binlog cannot be decoded",
        _SKIP,
    ),
    (
        "binlog_purged",
        r"Could not find (?:GTID state requested|first log file)|read change stream starting at",
        _PURGED,
        SNAPSHOT,
    ),
    ("position_lost", r"db history (?:topic )?is missing", _HISTORY, SNAPSHOT),
    (
        "record_too_large",
        r"RecordTooLargeException: (?P<said>The message is \d+ bytes)",
        "a record is larger than Kafka Connect may send: {said}",
        _LIMITS,
    ),
)
_TEXT_CHARS = 300
# Where the first value of a statement, or a comment, may begin.
_VALUE = re.compile(r"""['"(#]|/\*|--|(?<![\w$`])\d""")


def fault(trace: str) -> Fault:
    """Say why a connector failed, by its stack trace."""
    for cause, pattern, message, remedy in _KNOWN:
        found = re.search(pattern, trace, re.DOTALL)
        if found:
            words = {name: value.strip() for name, value in found.groupdict().items()}
            if "sql" in words:
                words["sql"] = " ".join(_VALUE.split(words["sql"], maxsplit=1)[0].split()) + " ..."
            return Fault(cause, message.format(**words)[:_TEXT_CHARS], remedy)
    causes = re.findall(r"^Caused by: (.*)", trace, re.MULTILINE) or [trace.partition("\n")[0]]
    # Of what is not known, nothing behind the first quote: it may be of a row.
    text = re.split(r"""['"{=\[]""", causes[-1], maxsplit=1)[0].strip()
    return Fault(
        "other", text[:_TEXT_CHARS] or "no reason is given", "make logs UNIT=kafka-connect"
    )


def moved(offset: dict[str, Any], gtid: str) -> dict[str, Any]:
    """Return the offset that continues after a transaction. Raises ConnectError."""
    match = _GTID.fullmatch(gtid)
    if match is None:
        raise ConnectError(f"gtid must be DOMAIN-SERVER-SEQUENCE, got {gtid!r}")
    known = [each for each in str(offset.get("gtids") or "").split(",") if _GTID.fullmatch(each)]
    others = [each for each in known if each.split("-")[0] != match[1]]
    if any(
        each.split("-")[0] == match[1] and int(each.split("-")[2]) > int(match[3]) for each in known
    ):
        raise ConnectError(f"the connector is past {gtid} already, at {','.join(known)}")
    kept = {
        name: value for name, value in offset.items() if name not in {"event", "row", "snapshot"}
    }
    return {**kept, "gtids": ",".join([*others, gtid]), "event": 0}
