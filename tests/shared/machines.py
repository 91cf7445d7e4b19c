"""The machines of an inventory, as Ansible itself knows them, and a shell on each.

Names, addresses and ports are the inventory's or else the roles' defaults: nothing here repeats
them. Which inventory: ``HELFY_INVENTORY`` (a folder), else ``inventory/current``. Where Vagrant
keeps the keys (``VAGRANT_DOTFILE_PATH``) and where the secrets are (``HELFY_SECRETS_DIR``), the
inventory reads by itself.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import yaml
from machine import ROOT, Machine, MachineError

# What the tests ask of a machine: the inventory's word, or the default of the role named first.
WANTED: Final = (
    "ansible_host",
    "changes_topic",
    "database_host",
    "database_name",
    "database_port",
    "debezium_captured_columns",
    "debezium_connector",
    "debezium_message_max_bytes",
    "debezium_rest_port",
    "helfy_api_bcrypt_cost",
    "helfy_api_database_host",
    "helfy_api_first_port",
    "helfy_api_listen_address",
    "helfy_api_processes",
    "helfy_api_seed_accounts",
    "helfy_consumer_group",
    "helfy_consumer_metrics_address",
    "helfy_consumer_metrics_port",
    "kafka_bootstrap_servers",
    "kafka_controller_port",
    "kafka_listen_address",
    "kafka_port",
    "kafka_topic",
    "kafka_topic_partitions",
    "kafka_topic_replication",
    "kafka_topic_retention_hours",
    "mariadb_bind_address",
    "mariadb_port",
    "nginx_address_connections",
    "nginx_address_logins_burst",
    "nginx_api_timeout_seconds",
    "nginx_body_max",
    "nginx_client_timeout_seconds",
    "nginx_port",
    "nginx_tls",
    "nginx_tls_port",
    "page_url",
    "secrets_dir",
    "tls_ca_file",
)
_ROLES: Final = ("common", "debezium", "helfy_api", "helfy_consumer", "kafka", "mariadb", "nginx")
_SSH: Final = {
    "user": "ansible_user | default('root', true)",
    "port": "ansible_port | default(22)",
    "key": "ansible_ssh_private_key_file | default('', true)",
    "args": "ansible_ssh_common_args | default('', true)",
}


def inventory() -> Path:
    """Give the folder of the inventory."""
    return ROOT / (os.environ.get("HELFY_INVENTORY") or "inventory/current")


def names(group: str | None = None) -> list[str]:
    """Give the names of the inventory's hosts, or of a group's, without asking Ansible."""
    hosts = inventory() / "hosts.yml"
    if not hosts.is_file():
        raise MachineError(f"{hosts} is not there: run 'make up', or set HELFY_INVENTORY")
    everything = yaml.safe_load(hosts.read_text(encoding="utf-8"))["all"]
    place = everything if group is None else everything.get("children", {}).get(group) or {}
    return list(place.get("hosts") or {})


class Machines:
    """The machines of an inventory, by name. ``close`` ends the connections to them."""

    def __init__(self) -> None:
        listed = json.loads(_ansible("ansible-inventory", "--list"))
        known = {name for host in listed["_meta"]["hostvars"].values() for name in host}
        resolved = _resolve(known)
        # A short path: the name of a socket has 107 bytes at most.
        self._sockets = Path(tempfile.mkdtemp(prefix="helfy-ssh-"))
        self.by_name = {
            name: Machine(
                name,
                frozenset(group for group, it in listed.items() if name in it.get("hosts", [])),
                found["vars"],
                {part: str(value) for part, value in found["ssh"].items()},
                self._sockets,
            )
            for name, found in resolved.items()
        }

    def of(self, group: str) -> list[Machine]:
        """Give a group's machines."""
        return [machine for machine in self.by_name.values() if group in machine.groups]

    @property
    def databases(self) -> list[Machine]:
        """The machines of the database, MariaDB's or TiDB's."""
        return self.of("mariadb") or self.of("tidb")

    def close(self) -> None:
        """End the connections."""
        for machine in self.by_name.values():
            machine.hang_up()
        shutil.rmtree(self._sockets, ignore_errors=True)


def _resolve(known: set[str]) -> dict[str, dict[str, Any]]:
    """Let Ansible work out WANTED for each host, roles' defaults where no inventory has a word."""
    defaults: dict[str, Any] = {}
    for role in _ROLES:
        text = (ROOT / "roles" / role / "defaults" / "main.yml").read_text(encoding="utf-8")
        defaults |= {k: v for k, v in yaml.safe_load(text).items() if k not in known}
    names_ = ", ".join(f"'{name}': {name}" for name in WANTED)
    ssh = ", ".join(f"'{name}': {expression}" for name, expression in _SSH.items())
    message = json.dumps({"msg": f"{{{{ {{'vars': {{{names_}}}, 'ssh': {{{ssh}}}}} }}}}"})
    said = _ansible(
        *("ansible", "all", "-m", "ansible.builtin.debug", "-a", message),
        *("-e", json.dumps(defaults)),
        ANSIBLE_STDOUT_CALLBACK="ansible.posix.json",
        ANSIBLE_LOAD_CALLBACK_PLUGINS="1",
    )
    # Callbacks that ansible.cfg asks for may write after the document.
    document, _ = json.JSONDecoder().raw_decode(said)
    hosts = document["plays"][0]["tasks"][0]["hosts"]
    return {name: result["msg"] for name, result in hosts.items()}


def _ansible(program: str, *arguments: str, **environment: str) -> str:
    beside = Path(sys.executable).with_name(program)
    done = subprocess.run(
        [str(beside if beside.exists() else program), "-i", str(inventory()), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    if done.returncode != 0:
        raise MachineError(f"{program} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
