"""What to do about a TiCDC changefeed: from what TiCDC shows of it and what is wanted.

Nothing here asks TiCDC. ``shown`` is its answer to GET /api/v2/changefeeds/ID, ``wanted`` the body
of the request that makes or updates it: ``{"sink_uri": …, "replica_config": {…}}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

# In which TiCDC takes an update; in all others it refuses one.
RESTING = ("stopped", "failed")
RUNNING = ("normal", "warning", "pending")
# What TiCDC shows in a secret's place.
MASKED = "xxxxx"
_SECRET = ("password", "secret", "token", "key")


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
    """Give how far the checkpoint is behind the clock, in seconds: 18 bits below are no time."""
    return max(0.0, now - (int(status.get("checkpoint_ts") or 0) >> 18) / 1000)


def trouble(status: Mapping[str, Any]) -> str:
    """Give TiCDC's own words on what is wrong, empty where it has none."""
    for name in ("last_error", "last_warning", "error"):
        told = status.get(name)
        if isinstance(told, Mapping) and told.get("message"):
            return str(told["message"])
    return ""


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
