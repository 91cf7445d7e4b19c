"""Ansible's module that reads, moves and clears the position of a Debezium connector."""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from typing import Any

from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-untyped]

DOCUMENTATION = """
module: debezium_offsets
short_description: The stored position of a Debezium connector for MariaDB
description:
  - Uses Kafka Connect's REST interface (KIP-875), so it runs where that is reached.
  - To move or clear it the connector is stopped, and stays so until Kafka Connect is restarted.
options:
  url: {type: str, required: true, description: Kafka Connect's REST interface.}
  connector: {type: str, required: true, description: The connector's name.}
  state:
    type: str
    choices: [read, moved, cleared]
    default: read
    description: Read the position, move it past a transaction, or clear it for a new snapshot.
  gtid: {type: str, description: The transaction to continue after, for moved.}
  wait_seconds: {type: float, default: 60, description: How long Kafka Connect may take to answer.}
"""

REQUEST_SECONDS = 10
HTTP_OK = 200
GTID = re.compile(r"(\d+)-(\d+)-(\d+)")


class OffsetsError(Exception):
    """Kafka Connect does not do what is asked; the message names the request."""


class Connector:
    """A connector of Kafka Connect. Each method raises OffsetsError."""

    def __init__(self, url: str, name: str, wait_seconds: float) -> None:
        self._base = f"{url}/connectors/{name}"
        self._deadline = time.monotonic() + wait_seconds

    def read(self) -> dict[str, Any]:
        """Return state (of the task, else of the connector), cause and stored offset."""
        status = self._ask("GET", "/status")
        parts = [*status["tasks"], status["connector"]]
        failed = [part for part in parts if part["state"] == "FAILED"]
        causes = (
            re.findall(r"^Caused by: (.*)", failed[0].get("trace", ""), re.MULTILINE)
            if failed
            else []
        )
        stored = self._ask("GET", "/offsets")["offsets"]
        return {
            "state": "FAILED" if failed else parts[0]["state"],
            "cause": causes[-1].strip() if causes else "",
            "partition": stored[0]["partition"] if stored else {},
            "offset": stored[0]["offset"] if stored else {},
        }

    def stop(self) -> None:
        """Stop the connector, keeping its offsets."""
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
            raise OffsetsError(why)
        time.sleep(1)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        while True:
            request = urllib.request.Request(  # noqa: S310 - http alone: the role's own
                self._base + path, data, headers, method=method
            )
            try:
                with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as answer:  # noqa: S310
                    text = answer.read()
                return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                with error:
                    # 409: it is starting, or tasks are still ending.
                    why = f"Kafka Connect answers {error.code} to {method} {path}"
            except (OSError, http.client.HTTPException, ValueError) as error:
                why = f"Kafka Connect does not answer {method} {path}: {error}"
            self._pause(why)


def moved(offset: dict[str, Any], gtid: str) -> dict[str, Any]:
    """Return the offset that continues after a transaction. Raises OffsetsError."""
    match = GTID.fullmatch(gtid)
    if match is None:
        raise OffsetsError(f"gtid must be DOMAIN-SERVER-SEQUENCE, got {gtid!r}")
    known = [each for each in str(offset.get("gtids") or "").split(",") if GTID.fullmatch(each)]
    others = [each for each in known if each.split("-")[0] != match[1]]
    if any(
        each.split("-")[0] == match[1] and int(each.split("-")[2]) > int(match[3]) for each in known
    ):
        raise OffsetsError(f"the connector is past {gtid} already, at {','.join(known)}")
    kept = {
        name: value for name, value in offset.items() if name not in {"event", "row", "snapshot"}
    }
    return {**kept, "gtids": ",".join([*others, gtid]), "event": 0}


def main() -> None:
    """See DOCUMENTATION."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "connector": {"type": "str", "required": True},
            "state": {"choices": ["read", "moved", "cleared"], "default": "read"},
            "gtid": {"type": "str"},
            "wait_seconds": {"type": "float", "default": 60},
        },
        required_if=[("state", "moved", ("gtid",))],
        supports_check_mode=True,
    )
    given = module.params
    connector = Connector(given["url"], given["connector"], given["wait_seconds"])
    try:
        found = connector.read()
        if given["state"] == "read":
            module.exit_json(changed=False, **found)
        after = {} if given["state"] == "cleared" else moved(found["offset"], given["gtid"])
        changed = after != {k: v for k, v in found["offset"].items() if k != "row"}
        if changed and not module.check_mode:
            connector.stop()
            if after:
                connector.store(found["partition"], after)
            else:
                connector.clear()
    except OffsetsError as error:
        module.fail_json(msg=f"{error}. Look at the journal of kafka-connect, and run this again.")
    module.exit_json(changed=changed, **{**found, "offset": after})


if __name__ == "__main__":
    main()
