"""TiUP's topology, worked out from the inventory's hosts: what runs where, how large, how set.

Amounts of memory are in MB of 1024 * 1024 bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

# The inventory's group, TiUP's list of servers, its name of the role, its key of the main port.
ROLES: Final = {
    "pd": ("pd_servers", "pd", "client_port"),
    "tikv": ("tikv_servers", "tikv", "port"),
    "tidb": ("tidb_servers", "tidb", "port"),
    "ticdc": ("cdc_servers", "cdc", "port"),
}
MONITORING: Final = {
    "monitoring_servers": ("prometheus", "port"),
    "grafana_servers": ("grafana", "port"),
    "alertmanager_servers": ("alertmanager", "web_port"),
}
# What each role gets of a host's memory, in parts; who is not there leaves his to the others.
_PARTS: Final = {"pd": 10, "tikv": 45, "tidb": 30, "ticdc": 15}
# The rest is for the page cache and for what goes beyond a quota for a moment.
_SHARED_OUT: Final = 0.85
# TiKV refuses to start with fewer open files than its two databases and its connections may need.
_OPEN_FILES_BY_DEFAULT: Final = 131072
_MOST_OPEN_SST_FILES: Final = 4096
_SIZED: Final = {
    "memory-usage-limit": "1GB",
    "storage.block-cache.capacity": "1GB",
    "rocksdb.max-open-files": 4096,
    "raftdb.max-open-files": 4096,
}
_HANDOVER_SINCE: Final = (8, 5, 5)
_LOGS: Final = {"log.file.max-size": 100, "log.file.max-backups": 5}

Json = dict[str, Any]


def tidb_memory(groups: Sequence[str], memory_mb: int) -> dict[str, int]:
    """MB of memory for each role that is placed on a host with so many MB to share out."""
    here = [role for role in _PARTS if role in groups]
    parts = sum(_PARTS[role] for role in here)
    return {role: int(memory_mb * _SHARED_OUT * _PARTS[role] / parts) for role in here}


def tidb_flat(settings: Mapping[str, Any], prefix: str = "") -> Json:
    """Settings with dotted names, however deep they were given."""
    flat: Json = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= tidb_flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def tidb_defaults(replicas: int, tikv_count: int, version: str = "") -> dict[str, Json]:
    """The settings of each role that are the same on every host, by TiUP's names."""
    # TiKV that stops waits 20 s for its leaders to move, also where no other store has a copy. It
    # refuses a setting that it does not know.
    knows = version and tuple(map(int, version.split("."))) >= _HANDOVER_SINCE
    stop = {"server.graceful-shutdown-timeout": "0s"} if replicas == 1 and knows else {}
    # The space that TiKV keeps free for emergencies is no use where no other store could take over.
    alone = {"storage.reserve-space": "0MB"} if tikv_count == 1 else {}
    return {
        "pd": {"replication.max-replicas": replicas, **_LOGS},
        "tikv": {"cdc.min-ts-interval": "100ms", **alone, **stop, **_LOGS},
        "tidb": dict(_LOGS),
        "cdc": {},
    }


def tidb_setting_faults(given: object, replicas: int) -> list[str]:
    """What is no setting of TiUP's: the role, the name and what is wrong with the value."""
    if not isinstance(given, Mapping):
        return [f"no roles, but {given!r}"]
    defaults, faults = tidb_defaults(replicas, 1), []
    for role, settings in given.items():
        if role not in defaults:
            faults.append(f"{role}, which is none of {' '.join(defaults)}")
        elif not isinstance(settings, Mapping):
            faults.append(f"{role} with {settings!r} instead of settings")
        else:
            for name, value in tidb_flat(settings).items():
                usual = defaults[role].get(name, _SIZED.get(name))
                if value is None or (usual is not None and not _alike(value, usual)):
                    kind = "a number" if isinstance(usual, int) else "a text such as " + str(usual)
                    faults.append(
                        f"{role} {name} with {value!r} instead of {kind if usual else 'a value'}"
                    )
    return faults


def _alike(value: object, usual: object) -> bool:
    return isinstance(value, type(usual)) and not isinstance(value, bool)


def tidb_share(host: Mapping[str, Any], role: str) -> int:
    """MB of memory of a role on a host (groups, memory_mb)."""
    return tidb_memory(host["groups"], int(host["memory_mb"]))[role]


def tidb_server_configs(
    given: Mapping[str, Any], replicas: int, tikv_count: int, version: str = ""
) -> dict[str, Json]:
    """TiUP's server_configs: the defaults, and over them what the inventory gives."""
    return {
        role: defaults | tidb_flat(given.get(role) or {})
        for role, defaults in tidb_defaults(replicas, tikv_count, version).items()
    }


def tidb_topology(hosts: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> Json:
    """What TiUP takes as its topology file.

    hosts: address, ssh_port, groups, memory_mb (to share out), open_files (a service may have).
    settings: user, deploy_dir, data_dir, arch, ports (by TiUP's role and key), server_configs
    (by TiUP's role), replicas, version (such as 8.5.7), gc_ttl (seconds), exporters (whether they
    are deployed), tls (whether the nodes speak TLS with each other, by certificates of TiUP's).
    """
    ports, given = settings["ports"], settings["server_configs"]
    replicas = int(settings["replicas"])
    made: Json = {
        "global": {
            "user": settings["user"],
            "deploy_dir": settings["deploy_dir"],
            "data_dir": settings["data_dir"],
            "arch": settings["arch"],
            # TiUP leaves out what is false.
            **({"enable_tls": True} if settings["tls"] else {}),
        },
        "monitored": dict(ports["exporters"]),
        "server_configs": tidb_server_configs(
            given,
            replicas,
            sum("tikv" in host["groups"] for host in hosts),
            settings.get("version", ""),
        ),
    }
    for host in hosts:
        base = {"host": host["address"], "ssh_port": int(host["ssh_port"])}
        if not settings["exporters"]:
            base["ignore_exporter"] = True
        memory = tidb_memory(host["groups"], int(host["memory_mb"]))
        for group, (servers, role, _) in ROLES.items():
            if group not in host["groups"]:
                continue
            server: Json = base | ports[role]
            if role == "tikv":
                own = _tikv(memory["tikv"], int(host["open_files"]))
                theirs = tidb_flat(given.get("tikv") or {})
                server["config"] = {k: v for k, v in own.items() if k not in theirs}
            if role == "cdc":
                server |= {"gc-ttl": int(settings["gc_ttl"]), "tz": "UTC"}
            made.setdefault(servers, []).append(server)
        if "monitoring" in host["groups"]:
            for servers, (role, _) in MONITORING.items():
                made.setdefault(servers, []).append(base | ports[role])
    return made


def _tikv(memory_mb: int, open_files: int) -> Json:
    config: Json = {
        "memory-usage-limit": f"{memory_mb}MB",
        "storage.block-cache.capacity": f"{memory_mb // 2}MB",
    }
    if open_files < _OPEN_FILES_BY_DEFAULT:
        config["rocksdb.max-open-files"] = _MOST_OPEN_SST_FILES
        config["raftdb.max-open-files"] = _MOST_OPEN_SST_FILES
    return config


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """The filters by name."""
        return {
            "tidb_memory": tidb_memory,
            "tidb_setting_faults": tidb_setting_faults,
            "tidb_share": tidb_share,
            "tidb_topology": tidb_topology,
        }
