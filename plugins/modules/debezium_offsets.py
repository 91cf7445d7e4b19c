"""Ansible's module that reads, moves and clears the position of a Debezium connector."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-untyped]
from ansible.module_utils.connect_api import (  # type: ignore[import-untyped]
    ConnectError,
    Connector,
    fault,
    moved,
)

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
        status = connector.status()
        partition, offset = connector.stored()
        found = {"state": status.state, "partition": partition}
        found["cause"] = fault(status.trace).message if status.state == "FAILED" else ""
        if given["state"] == "read":
            module.exit_json(changed=False, **found, offset=offset)
        after = {} if given["state"] == "cleared" else moved(offset, given["gtid"])
        changed = after != {name: value for name, value in offset.items() if name != "row"}
        if changed and not module.check_mode:
            connector.stop()
            if after:
                connector.store(partition, after)
            else:
                connector.clear()
    except ConnectError as error:
        module.fail_json(msg=f"{error}. Look at the journal of kafka-connect, and run this again.")
    module.exit_json(changed=changed, **found, offset=after)


if __name__ == "__main__":
    main()
