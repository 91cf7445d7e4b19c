"""A changefeed of TiCDC, made once and kept as wanted, through TiCDC's OpenAPI v2."""

from __future__ import annotations

import time
from datetime import datetime
from ssl import SSLContext
from typing import Any

from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-untyped]
from ansible.module_utils.changefeed import (  # type: ignore[import-untyped]
    RENAME,
    RESTING,
    behind_seconds,
    condition,
    differences,
    extra_columns,
    position_text,
    renames,
    seconds_of,
    start_ts,
    statement,
    steps,
    time_text,
    trouble,
    tso,
)
from ansible.module_utils.ticdc_api import (  # type: ignore[import-untyped]
    ABSENT,
    POLL_SECONDS,
    CdcError,
    Client,
    context,
    find,
    statement_end,
)

# How long a resumed changefeed may take to begin.
_LEAVE_SECONDS = 10.0
# What record_gaps.detail holds.
_DETAIL_CHARS = 1024

DOCUMENTATION = """
module: ticdc_changefeed
short_description: A changefeed of TiCDC, made once and kept as wanted
description:
  - Makes a changefeed that is absent, updates one whose settings differ (pause, update, resume)
    and resumes one that is stopped. It never removes one.
  - Asks the first of the servers that answers. Secrets in the URI are masked by TiCDC, so that
    one of them differs is not seen.
options:
  servers: {type: list, elements: str, required: true, description: "TiCDC servers, host:port."}
  ca_path: {type: path, description: "Authority behind the servers' certificates; without it HTTP."}
  client_cert: {type: path, description: "Certificate to ask by, where there is a ca_path."}
  client_key: {type: path, description: Its key.}
  id: {type: str, required: true, description: Its name.}
  ensure:
    type: str
    choices: [present, healthy, skip_planned]
    default: present
    description: >-
      present makes and updates. healthy changes nothing: it waits until the state is normal and the
      checkpoint near enough, and fails where that does not come, or at once where it has failed.
      skip_planned changes nothing and waits for nothing: it gives what a playbook needs to continue
      past what TiCDC cannot apply, and fails where there is nothing to continue past.
  sink_uri: {type: str, description: "Where changes go; needed for present."}
  replica_config: {type: dict, description: "Its other settings, by the OpenAPI's names; likewise."}
  update: {type: bool, default: false, description: Update and resume although nothing differs.}
  position:
    type: int
    default: 0
    description: >-
      A TSO. For present, the position to resume at, 0 for where it was; with update. For healthy,
      the checkpoint to wait for instead of one near the clock.
  tidb_status_servers:
    type: list
    elements: str
    default: []
    description: >-
      Status ports of TiDB, host:port, asked by the same certificate where a DDL ended; for
      skip_planned.
  skip_to:
    type: str
    default: ""
    description: >-
      Where to continue: now, a TSO, a time (RFC 3339), or empty for past the statement; for
      skip_planned.
  captured: {type: dict, default: {}, description: "Columns by database.table; for skip_planned."}
  database: {type: str, default: helfy, description: Of a table without one; for skip_planned.}
  behind_seconds: {type: float, default: 60, description: How far behind the clock is healthy.}
  wait_seconds: {type: float, default: 60, description: "How long a server, or health, may take."}
author: [Helfy]
"""
EXAMPLES = """
- name: Watch the changefeed
  ticdc_changefeed: {servers: ["127.0.0.1:8300"], id: helfy-changes, ensure: healthy}
"""
RETURN = """
said: {type: str, returned: success, description: "How it is, or what was done."}
steps: {type: list, returned: present, description: "What was done, or would be."}
differences: {type: list, returned: present, description: What differed.}
extra_columns:
  type: dict
  returned: skip_planned
  description: "Tables that the rules have to name until the statement is passed, with columns."
position: {type: int, returned: skip_planned, description: "TSO to resume at; 0: where it was."}
past: {type: int, returned: skip_planned, description: "TSO by which the statement is passed."}
gap: {type: dict, returned: skip_planned, description: "cause, source_id, starts, ends, detail."}
"""


def present(client: Client, given: dict[str, Any], *, only_plan: bool) -> dict[str, Any]:
    """Do what is to be done, and give the result. Raises CdcError."""
    wanted = {"sink_uri": given["sink_uri"], "replica_config": given["replica_config"]}
    shown = client.shown()
    try:
        planned = steps(shown, wanted, forced=given["update"])
    except ValueError as error:
        raise CdcError(f"the changefeed {given['id']} cannot be used: {error}") from None
    if not only_plan:
        for step in planned:
            if step == "create":
                client.create(wanted)
            elif step == "pause":
                client.pause()
            elif step == "update":
                _update(client, wanted, given["wait_seconds"], paused="pause" in planned)
            else:
                client.resume(given["position"])
                _leave_rest(client, time.monotonic() + _LEAVE_SECONDS)
    return {
        "changed": bool(planned),
        "steps": planned,
        "differences": [] if shown is None else differences(shown, wanted),
        "said": ", ".join(planned) or "as wanted",
    }


def _update(client: Client, wanted: dict[str, Any], seconds: float, *, paused: bool) -> None:
    try:
        _come_to_rest(client, time.monotonic() + seconds)
        client.update(wanted)
    except CdcError as error:
        if not paused:
            raise
        # Left at rest it would hold up changes; with its old settings it can go on.
        client.resume()
        raise CdcError(f"{error} (it goes on with its old settings)") from None


def _come_to_rest(client: Client, deadline: float) -> None:
    while (client.shown() or {}).get("state") not in RESTING:
        if time.monotonic() >= deadline:
            raise CdcError("the changefeed was paused, and does not come to rest")
        time.sleep(POLL_SECONDS)


def _leave_rest(client: Client, deadline: float) -> None:
    """Wait until a resumed one has begun, which is after TiCDC answers; it may fail again."""
    while (client.shown() or {}).get("state") in RESTING and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def healthy(given: dict[str, Any], deadline: float, tls: SSLContext | None) -> dict[str, Any]:
    """Wait until it is healthy, and give the result. Raises CdcError."""
    name = given["id"]
    while True:
        client = find(given["servers"], name, deadline, tls)
        try:
            status = client.status()
        except CdcError as error:
            # While another server takes over they answer, but not yet about this.
            if error.code == ABSENT or time.monotonic() >= deadline:
                raise
            time.sleep(POLL_SECONDS)
            continue
        now = time.time()
        behind = behind_seconds(status, now)
        limit = given["behind_seconds"]
        if given["position"]:
            limit = now - seconds_of(given["position"])
        how = condition(status, now, limit)
        if how.state == "running":
            return {"changed": False, "said": f"normal, {behind:.1f} s behind"}
        if how.state == "failed" or time.monotonic() >= deadline:
            raise CdcError(
                f"the changefeed {name} is {status.get('state')} at {how.position}: {how.cause}: "
                f"{how.message}. {how.remedy}"
            )
        time.sleep(POLL_SECONDS)


def skip_planned(given: dict[str, Any], deadline: float, tls: SSLContext | None) -> dict[str, Any]:
    """Give how to continue past what TiCDC cannot apply. Raises CdcError."""
    name = given["id"]
    status = find(given["servers"], name, deadline, tls).status()
    now = time.time()
    how = condition(status, now, given["behind_seconds"])
    gave_up = how.state == "failed" or (how.cause == "changefeed_failed" and given["skip_to"])
    if not gave_up:
        raise CdcError(
            f"the changefeed {name} is {status.get('state')} at {how.position}: there is nothing "
            f"to continue past. {how.remedy or 'No action is needed'}."
        )
    error = trouble(status)
    words = str(error.get("message", ""))
    checkpoint = int(status.get("checkpoint_ts") or 0)
    extra, position = {}, _position(given["skip_to"], now)
    past = position
    if not position and how.cause == RENAME:
        extra = extra_columns(renames(words), given["captured"], given["database"])
        # TiCDC has come to the statement by then.
        past = tso(_error_time(error, now) + 1)
    if not position and not extra:
        begin = start_ts(words)
        position = past = statement_end(given["tidb_status_servers"], begin, tls) if begin else 0
    if not extra and position <= checkpoint:
        raise CdcError(
            f"ticdc_changefeed_skip_to is '{given['skip_to']}': it does not lead past "
            f"{how.position}, where {name} is ({how.cause}: {how.message}). Give the time or TSO "
            "to continue at, or now: -e ticdc_changefeed_skip_to=now. What was committed up to "
            "then is not recorded."
        )
    said = (
        f"{statement(words)}: applied. Rows that the table held before have no line of their own"
        if extra
        else f"{name} continued at {position_text(position)} instead of {how.position}, since "
        f"{how.cause}: {how.message}"
    )
    return {
        "changed": False,
        "said": said,
        "extra_columns": extra,
        "position": position,
        "past": past,
        "gap": {
            "cause": "skipped_ddl" if statement(words) else "stream_restarted",
            "source_id": f"{name}:{checkpoint}",
            "starts": time_text(checkpoint),
            "ends": time_text(past),
            "detail": said[:_DETAIL_CHARS],
        },
    }


def _position(skip_to: str, now: float) -> int:
    """The TSO that is meant, 0 for none. Raises CdcError."""
    if not skip_to:
        return 0
    if skip_to.isdecimal():
        return int(skip_to)
    try:
        if skip_to != "now":
            now = datetime.fromisoformat(skip_to).astimezone().timestamp()
        return int(tso(now))
    except ValueError:
        raise CdcError(
            f"ticdc_changefeed_skip_to is '{skip_to}': it must be now, a TSO, or a time such as "
            "2026-11-30T16:00:00Z"
        ) from None


def _error_time(error: dict[str, Any], now: float) -> float:
    try:
        return min(now, datetime.fromisoformat(str(error["time"])).timestamp())
    except (KeyError, ValueError):
        return now


def main() -> None:
    """Run as Ansible's module."""
    module = AnsibleModule(
        argument_spec={
            "servers": {"type": "list", "elements": "str", "required": True},
            "ca_path": {"type": "path"},
            "client_cert": {"type": "path"},
            "client_key": {"type": "path"},
            "id": {"type": "str", "required": True},
            "ensure": {
                "type": "str",
                "choices": ["present", "healthy", "skip_planned"],
                "default": "present",
            },
            "sink_uri": {"type": "str", "no_log": True},
            "replica_config": {"type": "dict"},
            "update": {"type": "bool", "default": False},
            "position": {"type": "int", "default": 0},
            "tidb_status_servers": {"type": "list", "elements": "str", "default": []},
            "skip_to": {"type": "str", "default": ""},
            "captured": {"type": "dict", "default": {}},
            "database": {"type": "str", "default": "helfy"},
            "behind_seconds": {"type": "float", "default": 60.0},
            "wait_seconds": {"type": "float", "default": 60.0},
        },
        required_together=[("ca_path", "client_cert", "client_key")],
        required_if=[("ensure", "present", ["sink_uri", "replica_config"])],
        supports_check_mode=True,
    )
    given = module.params
    deadline = time.monotonic() + given["wait_seconds"]
    try:
        tls = context(given["ca_path"], given["client_cert"], given["client_key"])
        if given["ensure"] == "present":
            client = find(given["servers"], given["id"], deadline, tls)
            result = present(client, given, only_plan=module.check_mode)
        else:
            ask = {"healthy": healthy, "skip_planned": skip_planned}[given["ensure"]]
            result = ask(given, deadline, tls)
    except CdcError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
