"""A changefeed of TiCDC, made once and kept as wanted, through TiCDC's OpenAPI v2."""

from __future__ import annotations

import time
from ssl import SSLContext
from typing import Any

from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-untyped]
from ansible.module_utils.changefeed import (  # type: ignore[import-untyped]
    RESTING,
    RUNNING,
    behind_seconds,
    differences,
    steps,
    trouble,
)
from ansible.module_utils.ticdc_api import (  # type: ignore[import-untyped]
    ABSENT,
    POLL_SECONDS,
    CdcError,
    Client,
    context,
    find,
)

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
    choices: [present, healthy]
    default: present
    description: >-
      present makes and updates. healthy changes nothing: it waits until the state is normal and the
      checkpoint near enough, and fails where that does not come, or at once where it is failed.
  sink_uri: {type: str, description: "Where changes go; needed for present."}
  replica_config: {type: dict, description: "Its other settings, by the OpenAPI's names; likewise."}
  update: {type: bool, default: false, description: Update and resume although nothing differs.}
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
                client.resume()
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


def healthy(given: dict[str, Any], deadline: float, tls: SSLContext | None) -> dict[str, Any]:
    """Wait until it is well, and give the result. Raises CdcError."""
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
        state, words = str(status.get("state")), trouble(status) or "TiCDC gives no reason"
        behind = behind_seconds(status, time.time())
        if state == "normal" and behind <= given["behind_seconds"]:
            return {"changed": False, "said": f"normal, {behind:.1f} s behind"}
        if state not in RUNNING:
            raise CdcError(
                f"the changefeed {name} is {state}: {words}. Mend the cause, then let it go on "
                "where it was: ansible-playbook playbooks/site.yml -e ticdc_changefeed_update=true"
            )
        if time.monotonic() >= deadline:
            if state == "normal":
                raise CdcError(f"the changefeed {name} is normal, but {behind:.0f} s behind")
            raise CdcError(
                f"the changefeed {name} is {state}: {words}. TiCDC tries again by itself and loses "
                "nothing meanwhile, for half an hour at least: mend the cause"
            )
        time.sleep(POLL_SECONDS)


def main() -> None:
    """Run as Ansible's module."""
    module = AnsibleModule(
        argument_spec={
            "servers": {"type": "list", "elements": "str", "required": True},
            "ca_path": {"type": "path"},
            "client_cert": {"type": "path"},
            "client_key": {"type": "path"},
            "id": {"type": "str", "required": True},
            "ensure": {"type": "str", "choices": ["present", "healthy"], "default": "present"},
            "sink_uri": {"type": "str", "no_log": True},
            "replica_config": {"type": "dict"},
            "update": {"type": "bool", "default": False},
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
            result = healthy(given, deadline, tls)
    except CdcError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
