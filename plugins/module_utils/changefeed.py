"""What to do about a TiCDC changefeed: from what TiCDC shows of it and what is wanted.

Nothing here asks TiCDC. ``shown`` is its answer to GET /api/v2/changefeeds/ID, ``status`` that to
GET …/ID/status, ``wanted`` the body of the request that makes or updates it:
``{"sink_uri": …, "replica_config": {…}}``. Standard library only: what reports the state of change
capture on a host of TiCDC reads this file too (roles/ticdc_changefeed/files/changefeed_state.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

# In which TiCDC takes an update; in all others it refuses one.
RESTING = ("stopped", "failed")
RUNNING = ("normal", "warning", "pending")
# What TiCDC shows in a secret's place.
MASKED = "xxxxx"
_SECRET = ("password", "secret", "token", "key")

# By code of an error of TiCDC's (pkg/errors), what it means here. The first that the code or the
# message names decides: an error of TiCDC's may be wrapped in another one.
RENAME = "rename_from_uncaptured"
UNSUPPORTED_DDL = "unsupported_ddl"
_CAUSES = (
    ("ErrSyncRenameTableFailed", RENAME),
    ("ErrGCTTLExceeded", "position_lost"),
    ("ErrStartTsBeforeGC", "position_lost"),
    ("ErrSnapshotLostByGC", "position_lost"),
    ("ErrMessageTooLarge", "record_too_large"),
    ("ErrColumnSelectorFailed", "key_not_captured"),
    ("ErrHandleDDLFailed", UNSUPPORTED_DDL),
    ("ErrConvertDDLToEventTypeFailed", UNSUPPORTED_DDL),
    ("ErrSnapshotTableNotFound", UNSUPPORTED_DDL),
    ("ErrSnapshotSchemaNotFound", UNSUPPORTED_DDL),
    ("ErrKafka", "broker_unavailable"),
)
_SKIP = "ansible-playbook playbooks/changefeed-skip.yml"
_UPDATE = "ansible-playbook playbooks/site.yml -e ticdc_changefeed_update=true"
_ADDS_GAP = "The record gets a gap that says what is missing"
_REMEDIES = {
    RENAME: f"Continue past the statement: {_SKIP}. {_ADDS_GAP}",
    UNSUPPORTED_DDL: f"Continue past the statement: {_SKIP}. {_ADDS_GAP}",
    "position_lost": f"Continue from now on: {_SKIP} -e ticdc_changefeed_skip_to=now. {_ADDS_GAP}",
    "record_too_large": (
        f"Raise ticdc_changefeed_message_max_bytes and kafka_message_max_bytes, then run {_UPDATE}"
    ),
    "key_not_captured": (
        "List the columns of the table's primary key (capture_extra_columns), then run "
        "ansible-playbook playbooks/site.yml"
    ),
    "broker_unavailable": (
        "See make status and make logs UNIT=kafka. TiCDC tries again by itself and loses nothing"
    ),
    "paused": "Resume it: ansible-playbook playbooks/site.yml",
    "behind": "See make logs UNIT=cdc-8300 and the load on the VMs. Nothing is lost",
    "changefeed_ended": "Name a new one by ticdc_changefeed_id: it records changes from now on",
    "changefeed_failed": (
        f"Fix what TiCDC's message names, then run {_UPDATE}; or continue from now on: {_SKIP} "
        "-e ticdc_changefeed_skip_to=now"
    ),
}
# What will not pass by itself, although TiCDC tries again for half an hour.
_LASTING = (RENAME, UNSUPPORTED_DDL, "position_lost", "record_too_large", "key_not_captured")
# Where a message of TiCDC's has a statement, with what stands around it.
_STATEMENTS = (
    re.compile(r"(?P<before>ddl query: \[)(?P<sql>.*)(?P<after>\], it's an unexpected)", re.DOTALL),
    re.compile(r"(?P<before>query: )(?P<sql>.*)(?P<after>, startTs: \d+)", re.DOTALL),
    re.compile(r"(?P<before>convert ddl ')(?P<sql>.*)(?P<after>' to filter event)", re.DOTALL),
)
_LITERALS = re.compile(
    r"""
      /\*.*?(?:\*/|\Z) | (?:--\s|\#)[^\n]*       # comments
    | `(?:[^`]|``)*`                              # names stay
    | (?:\b[xXbBnN]|\b_\w+\s*)?(?P<literal>
        '(?:[^'\\]|''|\\.)*(?:'|\Z) | "(?:[^"\\]|""|\\.)*(?:"|\Z)
      | \b0[xXbB][0-9a-fA-F]+\b | (?<![\w$`.])\d[\d.]*(?:[eE][+-]?\d+)?\b )
    """,
    re.VERBOSE | re.DOTALL,
)
# In a statement with a backslash sql_mode decides where a literal ends: all goes from the first on.
_FIRST_LITERAL = re.compile(r"['\"\d]|/\*|--\s|\#")
_NAME = r"(?:`(?:[^`]|``)+`|[\w$]+)"
_TABLE = rf"{_NAME}(?:\s*\.\s*{_NAME})?"
_RENAMED = re.compile(rf"(?:\bTABLE|,)\s*(?P<old>{_TABLE})\s+TO\s+(?P<new>{_TABLE})", re.IGNORECASE)
_ALTERED = re.compile(
    rf"\bALTER\s+TABLE\s+(?P<old>{_TABLE})\s.*?\bRENAME\s+(?!COLUMN\b|INDEX\b|KEY\b)"
    rf"(?:TO\s+|AS\s+|=\s*)?(?P<new>{_TABLE})",
    re.IGNORECASE | re.DOTALL,
)
_MESSAGE_CHARS = 2000
_LOGICAL_BITS = 18


@dataclass(frozen=True)
class Condition:
    """How change capture is, as the table capture_state has it."""

    state: str
    """running, waiting (it will pass, or somebody paused it) or failed."""
    cause: str | None
    message: str | None
    """TiCDC's own words, without the literals of a statement."""
    remedy: str | None
    position: str
    """The checkpoint, as TSO and as time: up to there every change is in Kafka."""


def condition(status: Mapping[str, Any], now: float, behind_limit: float) -> Condition:
    """Say how it is: ``now`` in seconds since the epoch, ``behind_limit`` in seconds."""
    state, behind = str(status.get("state")), behind_seconds(status, now)
    position = position_text(int(status.get("checkpoint_ts") or 0))
    if state == "normal" and behind <= behind_limit:
        return Condition("running", None, None, None, position)
    code, words = _trouble(status)
    message: str | None = redacted(words)[:_MESSAGE_CHARS] or None
    if state == "normal":
        cause, message = "behind", f"{behind:.0f} s behind"
    elif state == "stopped":
        cause = "paused"
    elif state not in RUNNING and state != "failed":
        cause = "changefeed_ended"
    else:
        named = code + words
        cause = next((means for name, means in _CAUSES if name in named), "changefeed_failed")
        if state == "failed" and cause == "broker_unavailable":
            # It has given up: that the broker is back does not help.
            cause = "changefeed_failed"
    waits = state in RUNNING or state == "stopped"
    return Condition(
        "waiting" if waits and cause not in _LASTING else "failed",
        cause,
        message or f"it is {state}, and TiCDC gives no reason",
        _REMEDIES[cause],
        position,
    )


def redacted(message: str) -> str:
    """Give a message without the literals and comments of the statement in it."""
    for pattern in _STATEMENTS:
        found = pattern.search(message)
        if found:
            return message[: found.start("sql")] + statement(message) + message[found.end("sql") :]
    return message


def _without_literals(sql: str) -> str:
    first = _FIRST_LITERAL.search(sql) if "\\" in sql else None
    if first:
        return f"{sql[: first.start()]}…"

    def replacement(part: re.Match[str]) -> str:
        if part["literal"]:
            return "?"
        return part[0] if part[0].startswith("`") else " "

    return _LITERALS.sub(replacement, sql)


def renames(message: str) -> dict[str, str]:
    """By its old name, the new name of each table that the statement in a message renames.

    Names are as they are written, without backquotes: ``database.table``, or ``table`` alone.
    """
    sql = statement(message)
    form = _RENAMED if re.match(r"RENAME\b", sql, re.IGNORECASE) else _ALTERED
    return {_plain(each["old"]): _plain(each["new"]) for each in form.finditer(sql)}


def _plain(name: str) -> str:
    return ".".join(part.strip().strip("`") for part in re.split(r"\s*\.\s*", name))


def extra_columns(
    renamed: Mapping[str, str], captured: Mapping[str, Sequence[str]], database: str
) -> dict[str, list[str]]:
    """By the old name of a table that becomes a captured one, as a rule: the columns to capture.

    ``renamed`` is what ``renames`` gives, ``captured`` the columns by ``database.table``;
    ``database`` is that of a new name without one. TiCDC follows a table only where its rules name
    it from before it was renamed; an old name without a database is looked for in every one.
    """
    known = {name.lower(): list(columns) for name, columns in captured.items()}
    found: dict[str, list[str]] = {}
    for old, new in renamed.items():
        columns = known.get((new if "." in new else f"{database}.{new}").lower())
        rule = table_rule(old)
        if columns and rule.lower() not in known:
            found[rule] = columns
    return found


def table_rule(name: str) -> str:
    """Give a table's name as a rule of TiCDC's filter."""
    schema, _, table = name.rpartition(".")
    return ".".join(
        part if re.fullmatch(r"[\w*]+", part) else "`" + part.replace("`", "``") + "`"
        for part in (schema or "*", table)
    )


def statement(message: str) -> str:
    """The statement in a message, without its literals; empty where there is none."""
    for pattern in _STATEMENTS:
        found = pattern.search(message)
        if found:
            return _without_literals(found["sql"]).strip()
    return ""


def start_ts(message: str) -> int:
    """The TSO at which the statement in a message began, 0 where it has none."""
    found = re.search(r"startTs: (\d+)", message)
    return int(found[1]) if found else 0


def tso(seconds: float) -> int:
    """The TSO of a time in seconds since the epoch."""
    return int(seconds * 1000) << _LOGICAL_BITS


def seconds_of(position: int) -> float:
    """The time of a TSO, in seconds since the epoch."""
    return (position >> _LOGICAL_BITS) / 1000


def time_text(position: int) -> str:
    """The time of a TSO, RFC 3339 in UTC."""
    moment = datetime.fromtimestamp(seconds_of(position), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def position_text(position: int) -> str:
    """A TSO with its time, as people read it."""
    return f"{position} ({time_text(position)})"


def steps(shown: Mapping[str, Any] | None, wanted: Mapping[str, Any], *, forced: bool) -> list[str]:
    """Give what is to be done, in order: some of create, pause, update and resume.

    A changefeed is never removed and made again: what it has told Kafka so far would be forgotten.
    A failed one goes on where its settings change, or where that is ``forced``, and else is left to
    whoever mends the cause. Raises ValueError for a state in which nothing can be done.
    """
    if shown is None:
        return ["create"]
    state = str(shown.get("state"))
    if state not in RESTING + RUNNING:
        raise ValueError(
            f"it is {state}, from where TiCDC lets none go on. Ask whoever ended it, or name a new "
            "one by ticdc_changefeed_id: that has changes on record from now on"
        )
    if forced or differences(shown, wanted):
        return [*(["pause"] if state in RUNNING else []), "update", "resume"]
    # Nobody but an operator or a run of this that was cut off stops a changefeed.
    return ["resume"] if state == "stopped" else []


def differences(shown: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Say what differs, setting by setting; only what is wanted is compared.

    TiCDC shows its whole configuration with all defaults, and the parameters of the URI in an order
    of its own.
    """
    return [
        *_uri_differences(str(shown.get("sink_uri", "")), str(wanted["sink_uri"])),
        *_differences("", shown.get("config"), wanted["replica_config"]),
    ]


def behind_seconds(status: Mapping[str, Any], now: float) -> float:
    """Give how far the checkpoint is behind the clock, in seconds."""
    return max(0.0, now - seconds_of(int(status.get("checkpoint_ts") or 0)))


def trouble(status: Mapping[str, Any]) -> dict[str, Any]:
    """Give TiCDC's error: code, message and time; empty where it has none."""
    for name in ("last_error", "last_warning", "error"):
        told = status.get(name)
        if isinstance(told, Mapping) and told.get("message"):
            return dict(told)
    return {}


def _trouble(status: Mapping[str, Any]) -> tuple[str, str]:
    told = trouble(status)
    return str(told.get("code", "")), str(told.get("message", ""))


def _uri_differences(shown: str, wanted: str) -> Iterator[str]:
    was, is_wanted = urlsplit(shown), urlsplit(wanted)
    for name, now, then in (
        ("scheme", was.scheme, is_wanted.scheme),
        ("brokers", was.netloc, is_wanted.netloc),
        ("topic", was.path.strip("/"), is_wanted.path.strip("/")),
    ):
        if now != then:
            yield f"{name} of sink_uri is {now}, wanted is {then}"
    has = dict(parse_qsl(was.query, keep_blank_values=True))
    wants = dict(parse_qsl(is_wanted.query, keep_blank_values=True))
    for name in sorted(has.keys() | wants.keys()):
        if has.get(name) == wants.get(name) or (has.get(name) == MASKED and name in wants):
            continue
        if any(word in name for word in _SECRET):
            yield f"{name} of sink_uri is another one than wanted (not shown)"
        else:
            yield f"{name} of sink_uri is {has.get(name)}, wanted is {wants.get(name)}"


def _differences(path: str, shown: Any, wanted: Any) -> Iterator[str]:
    if isinstance(wanted, Mapping):
        has = shown if isinstance(shown, Mapping) else {}
        for name, value in wanted.items():
            yield from _differences(f"{path}.{name}" if path else name, has.get(name), value)
    elif _is_list(wanted) and _is_list(shown) and len(wanted) == len(shown):
        for number, value in enumerate(wanted):
            yield from _differences(f"{path}[{number}]", shown[number], value)
    elif shown != wanted and not (shown is None and wanted in ([], {}, False, "")):
        yield f"{path} is {shown}, wanted is {wanted}"


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
