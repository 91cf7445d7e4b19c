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
    UNSUPPORTED_DDL,
    behind_seconds,
    condition,
    differences,
    renames,
    seconds_of,
    start_ts,
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
    choices: [present, healthy, described]
    default: present
    description: >-
      present makes and updates. healthy changes nothing: it waits until the state is normal and the
      checkpoint near enough, and fails where that does not come, or at once where it has failed.
      described changes nothing and waits for nothing: it gives what a playbook needs to continue
      past what TiCDC cannot apply.
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
      Status ports of TiDB, host:port, asked by the same certificate: for described, where a DDL
      ended.
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
condition: {type: dict, returned: described, description: "State, cause, message, remedy."}
checkpoint: {type: int, returned: described, description: "TSO up to which all is in Kafka."}
checkpoint_time: {type: str, returned: described, description: The same as a time.}
now: {type: int, returned: described, description: TSO of the host's clock.}
past: {type: int, returned: described, description: TSO after the error.}
renames: {type: dict, returned: described, description: "By its old name, the table's new one."}
statement_end: {type: int, returned: described, description: "TSO where the DDL ended, 0: unknown."}
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


def described(given: dict[str, Any], deadline: float, tls: SSLContext | None) -> dict[str, Any]:
    """Give what is needed to continue past an error. Raises CdcError."""
    status = find(given["servers"], given["id"], deadline, tls).status()
    now = time.time()
    how = condition(status, now, given["behind_seconds"])
    error = trouble(status)
    words = str(error.get("message", ""))
    checkpoint = int(status.get("checkpoint_ts") or 0)
    begin = start_ts(words)
    statement = how.cause in (RENAME, UNSUPPORTED_DDL)
    return {
        "changed": False,
        "said": how.message or "",
        "condition": vars(how),
        "checkpoint": checkpoint,
        "checkpoint_time": time_text(checkpoint),
        "now": tso(now),
        # TiCDC has seen what it cannot apply by then.
        "past": tso(_error_time(error, now) + 1),
        "renames": renames(words) if how.cause == RENAME else {},
        "statement_end": (
            statement_end(given["tidb_status_servers"], begin, tls) if statement and begin else 0
        ),
    }


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
                "choices": ["present", "healthy", "described"],
                "default": "present",
            },
            "sink_uri": {"type": "str", "no_log": True},
            "replica_config": {"type": "dict"},
            "update": {"type": "bool", "default": False},
            "position": {"type": "int", "default": 0},
            "tidb_status_servers": {"type": "list", "elements": "str", "default": []},
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
            ask = {"healthy": healthy, "described": described}[given["ensure"]]
            result = ask(given, deadline, tls)
    except CdcError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
