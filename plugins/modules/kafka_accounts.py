"""Ansible's module for Kafka's accounts: each with its password, and with its rights, no others."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-untyped]
from ansible.module_utils.kafka_access import (  # type: ignore[import-untyped]
    NOT_CONTROLLER,
    OPERATIONS,
    RESOURCES,
    KafkaRefusedError,
    add,
    remove,
    rules,
    set_password,
    wanted,
)
from ansible.module_utils.kafka_link import (  # type: ignore[import-untyped]
    PLAIN,
    POLL_SECONDS,
    Link,
    LinkError,
    Login,
    LoginRefusedError,
    opened,
)

DOCUMENTATION = """
module: kafka_accounts
short_description: Accounts of Kafka (SCRAM-SHA-512) and their rights
description:
  - Makes accounts, gives them their passwords and brings their rights to what is wanted. Whether a
    password is the wanted one is tried by logging in. Rights of others are left alone.
  - The first account is the administrator's, whom the brokers know as a super user. Where it cannot
    log in, it gets its password through the controllers, which know their own account from their
    settings. So this works where there is no account yet, and where passwords are lost.
options:
  brokers: {type: list, elements: str, required: true, description: Brokers as host:port.}
  controllers: {type: list, elements: str, required: true, description: Controllers as host:port.}
  controller_name: {type: str, required: true, description: The controllers' own account.}
  controller_password: {type: str, required: true, description: Its password.}
  accounts:
    type: list
    elements: dict
    required: true
    description: The accounts, the administrator's first.
    suboptions:
      name: {type: str, required: true, description: Its name.}
      password: {type: str, required: true, description: Its password.}
  rights:
    type: list
    elements: dict
    default: []
    description: What they may do.
    suboptions:
      account: {type: str, required: true, description: Who.}
      resource: {type: str, required: true, choices: [topic, group, cluster], description: On what.}
      name: {type: str, required: true, description: Its name; kafka-cluster is the cluster.}
      operations: {type: list, elements: str, required: true, description: What, as in Read.}
  ca_file: {type: str, default: "", description: Certificates to trust where Kafka speaks TLS.}
  wait_seconds: {type: float, default: 60, description: How long Kafka may take to answer.}
"""

# What was set is known to every broker within this.
KNOWN_SECONDS = 10.0


def bring(given: dict[str, Any], *, only_plan: bool) -> list[str]:
    """Make it as wanted; say what was changed, or would be. Raises LinkError."""
    deadline = time.monotonic() + given["wait_seconds"]
    logins = [
        Login(account["name"], account["password"], ca_file=given["ca_file"])
        for account in given["accounts"]
    ]
    changed = []
    for number, login in enumerate(logins):
        if _may_log_in(given["brokers"], login, deadline):
            continue
        changed.append(f"password of {login.name}")
        if only_plan:
            continue
        if number == 0:
            _set_by_controller(given, login, deadline)
        else:
            with opened(given["brokers"], logins[0], deadline) as link:
                set_password(link, login.name, login.password)
        _wait_until_known(given["brokers"], login)
    if only_plan and changed[:1] == [f"password of {logins[0].name}"]:
        # Nobody is there to ask for the rules.
        return [*changed, "rights"]
    with opened(given["brokers"], logins[0], deadline) as link:
        changed += _bring_rights(link, given, only_plan=only_plan)
    return changed


def _may_log_in(brokers: list[str], login: Login, deadline: float) -> bool:
    try:
        opened(brokers, login, deadline).close()
    except LoginRefusedError:
        return False
    return True


def _set_by_controller(given: dict[str, Any], login: Login, deadline: float) -> None:
    """Ask one controller after the other: only the active one does it."""
    controller = Login(
        given["controller_name"], given["controller_password"], PLAIN, given["ca_file"]
    )
    last: LinkError = LinkError("there is no controller to ask")
    while True:
        for address in given["controllers"]:
            try:
                with Link(address, controller) as link:
                    set_password(link, login.name, login.password)
            except KafkaRefusedError as error:
                if error.code != NOT_CONTROLLER:
                    raise
                last = error
            except LoginRefusedError:
                raise
            except LinkError as error:
                last = error
            else:
                return
        if time.monotonic() >= deadline:
            raise last
        time.sleep(POLL_SECONDS)


def _wait_until_known(brokers: list[str], login: Login) -> None:
    deadline = time.monotonic() + KNOWN_SECONDS
    while True:
        try:
            opened(brokers, login, deadline).close()
        except LoginRefusedError:
            if time.monotonic() >= deadline:
                raise
        else:
            return
        time.sleep(POLL_SECONDS / 5)


def _bring_rights(link: Link, given: dict[str, Any], *, only_plan: bool) -> list[str]:
    principals = {f"User:{account['name']}" for account in given["accounts"]}
    has = {rule for rule in rules(link) if rule.principal in principals}
    want = wanted(given["rights"])
    gone, new = sorted(has - want), sorted(want - has)
    if not only_plan:
        add(link, new)
        remove(link, gone)
    return [*(str(rule) for rule in new), *(f"no more: {rule}" for rule in gone)]


def main() -> None:
    """Run as Ansible's module."""
    text = {"type": "str", "required": True}
    texts = {"type": "list", "elements": "str", "required": True}
    secret = text | {"no_log": True}
    module = AnsibleModule(
        argument_spec={
            "brokers": texts,
            "controllers": texts,
            "controller_name": text,
            "controller_password": secret,
            "accounts": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {"name": text, "password": secret},
            },
            "rights": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "account": text,
                    "resource": text | {"choices": sorted(RESOURCES)},
                    "name": text,
                    "operations": texts | {"choices": sorted(OPERATIONS)},
                },
            },
            "ca_file": {"type": "str", "default": ""},
            "wait_seconds": {"type": "float", "default": 60.0},
        },
        supports_check_mode=True,
    )
    try:
        changed = bring(module.params, only_plan=module.check_mode)
    except LinkError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(changed), said=changed)


if __name__ == "__main__":
    main()
