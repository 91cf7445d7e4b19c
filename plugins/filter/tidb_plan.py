"""What TiUP has to do, decided from how the cluster is and how it shall be. Nothing is run here.

A node is what TiUP calls so: an instance, by host and main port ("192.168.56.10:20160").
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Json = dict[str, Any]

# TiUP's servers: the role's name in its settings, the key of the main port, the unit's name.
_SERVERS: Final = {
    "pd_servers": ("pd", "client_port", "pd"),
    "tikv_servers": ("tikv", "port", "tikv"),
    "tidb_servers": ("tidb", "port", "tidb"),
    "cdc_servers": ("cdc", "port", "cdc"),
    "monitoring_servers": ("prometheus", "port", "prometheus"),
    "grafana_servers": ("grafana", "port", "grafana"),
    "alertmanager_servers": ("alertmanager", "web_port", "alertmanager"),
}
_MANAGED: Final = ("pd", "tikv", "tidb", "cdc")
# What TiUP lets one change of an instance that is deployed.
_EDITABLE: Final = ("config", "gc-ttl", "tz", "resource_control")
# What can wait for another restart, as it is on a host alone: PD keeps the copies by itself (the
# role sets them by its API), TiKV sets space aside when it starts, and hands over when it stops.
_WAITS: Final[Mapping[str, Mapping[str, Any]]] = {
    "pd": {"replication.max-replicas": 1},
    "tikv": {"storage.reserve-space": "0MB", "server.graceful-shutdown-timeout": None},
}
# Lines of a drop-in that systemd reads, and no process.
_RESTARTS: Final = re.compile(r"^(\[Unit\]|StartLimit\w+=.*|Restart\w*=.*)\n", re.MULTILINE)
# What TiUP itself writes into an instance's settings where the nodes speak TLS with each other.
_TLS_SETTINGS: Final = frozenset(
    f"security.{name}"
    for name in (
        *("cacert-path", "ca-path", "cert-path", "key-path"),
        *("cluster-ssl-ca", "cluster-ssl-cert", "cluster-ssl-key"),
    )
)
# Beside the nodes' marks: a switch of TLS that has begun and not ended. TiUP changes its records in
# the middle of one, so they do not tell.
_SWITCH: Final = "tls"
_BEGUN: Final = "begun"
# A TiKV that is being taken out, or is out and waits to be pruned.
_LEAVING: Final = ("pending offline", "offline", "tombstone")


def tidb_nodes(topology: Mapping[str, Any]) -> dict[str, Json]:
    """Each node of a topology: role, unit, host, server (its entry)."""
    return {
        f"{server['host']}:{server[port]}": {
            "role": role,
            "unit": f"{unit}-{server[port]}",
            "host": server["host"],
            "server": server,
        }
        for servers, (role, port, unit) in _SERVERS.items()
        for server in topology.get(servers) or []
    }


def tidb_fingerprints(topology: Mapping[str, Any], extras: Mapping[str, Any]) -> dict[str, str]:
    """A digest of all that a node's process reads when it starts, by node. extras: more of it."""
    configs = topology.get("server_configs") or {}
    return {
        node: hashlib.sha256(
            json.dumps(
                [
                    _read(found["role"], configs.get(found["role"]) or {}),
                    {key: found["server"].get(key) for key in _EDITABLE}
                    | {"config": _own(found["server"])},
                    extras.get(node),
                ],
                sort_keys=True,
            ).encode()
        ).hexdigest()[:16]
        for node, found in tidb_nodes(topology).items()
    }


def _read(role: str, settings: Mapping[str, Any]) -> Json:
    """A role's settings, those that can wait for another restart as they are on a host alone."""
    read = {**settings, **_WAITS.get(role, {})}
    return {name: value for name, value in read.items() if value is not None}


def _own(server: Mapping[str, Any]) -> Json | None:
    """An instance's settings, without what TiUP adds to them; None where there are none."""
    config = server.get("config") or {}
    return {name: value for name, value in config.items() if name not in _TLS_SETTINGS} or None


def _tls(topology: Mapping[str, Any]) -> bool:
    return bool((topology.get("global") or {}).get("enable_tls"))


def tidb_extras(hosts: Sequence[Mapping[str, Any]], topology: Mapping[str, Any]) -> Json:
    """What a node's process reads beside TiUP's settings: its unit's drop-in, by node.

    hosts: address and drop_ins (by group) of each. How systemd starts it again is not read by it.
    """
    groups = {"cdc": "ticdc"}
    drop_ins = {host["address"]: host["drop_ins"] for host in hosts}
    extras: Json = {}
    for node, found in tidb_nodes(topology).items():
        drop_in = drop_ins[found["host"]].get(groups.get(found["role"], found["role"]))
        extras[node] = drop_in and _RESTARTS.sub("", drop_in)
    return extras


def tidb_shown(text: str) -> Json:
    """The JSON of 'display', wherever it stands among other lines; empty where there is none."""
    start = text.find("{")
    if start < 0:
        return {}
    try:
        return dict(json.JSONDecoder().raw_decode(text[start:])[0])
    except ValueError:
        return {}


def tidb_overlaid(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> Json:
    """The topology that TiUP keeps, with the settings wanted now. Its nodes stay its nodes."""
    made = copy.deepcopy(dict(known))
    configs = made.get("server_configs") or {}
    made["server_configs"] = configs | {
        role: (wanted.get("server_configs") or {}).get(role) or {} for role in _MANAGED
    }
    now, then = tidb_nodes(wanted), tidb_nodes(made)
    for node in now.keys() & then.keys():
        server, wish = then[node]["server"], dict(now[node]["server"])
        config = server.get("config") or {}
        tls = {name: config[name] for name in config if name in _TLS_SETTINGS}
        wish["config"] = tls | (wish.get("config") or {})
        for key in _EDITABLE:
            if wish.get(key):
                server[key] = wish[key]
            else:
                server.pop(key, None)
    return made


def tidb_plan(  # noqa: PLR0913, PLR0917 - a filter takes what it is given by place
    wanted: Mapping[str, Any],
    version: str,
    meta: Mapping[str, Any] | None,
    shown: Mapping[str, Any] | None = None,
    applied: Mapping[str, str] | None = None,
    extras: Mapping[str, Any] | None = None,
) -> Json:
    """Decide what has to be done, in this order.

    wanted: the topology. version: such as v8.5.7. meta: TiUP's meta.yaml, None where there is no
    cluster. shown: what 'display' says as JSON. applied: the fingerprints that the nodes' processes
    were started with.

    steps: each with "do" (deploy, start, edit-config, enable-tls, disable-tls, scale-out, upgrade,
    reload, or note: nothing but "applied" is to be noted), "nodes", "topology" where TiUP takes
    one, "again" where a switch of TLS is to be repeated, and "applied", the fingerprints that hold
    once it is done.
    switch: enable-tls or disable-tls where that is among the steps. pds: how many PD TiUP has.
    gone: nodes that TiUP has and the inventory no longer has. lower_than: the cluster's version,
    where it is higher than the wanted one. leaving: nodes on their way out.
    """
    marks = tidb_fingerprints(wanted, extras or {})
    plan: Json = {"steps": [], "gone": [], "leaving": [], "lower_than": "", "new": sorted(marks)}
    plan |= {"switch": "", "pds": 0}
    if not meta:
        plan["steps"] = [
            {"do": "deploy", "nodes": [], "topology": wanted},
            {"do": "start", "nodes": [], "applied": marks},
        ]
        return plan
    have = tidb_nodes(meta["topology"])
    status = {each["id"]: each["status"] for each in (shown or {}).get("instances", [])}
    plan["leaving"] = sorted(
        node
        for node in have
        if node not in marks
        and (have[node]["server"].get("offline") or _is(status.get(node), _LEAVING))
    )
    plan["gone"] = sorted(have.keys() - marks.keys() - set(plan["leaving"]))
    plan["new"] = sorted(marks.keys() - have.keys())
    if _numbers(version) < _numbers(meta["tidb_version"]):
        plan["lower_than"] = meta["tidb_version"]
    plan["steps"] = _steps(wanted, version, meta, status, dict(applied or {}), marks)
    switches = [step["do"] for step in plan["steps"] if step["do"].endswith("-tls")]
    plan["switch"] = "".join(switches)
    plan["pds"] = sum(node["role"] == "pd" for node in have.values())
    return plan


def _steps(  # noqa: PLR0913, PLR0917
    wanted: Mapping[str, Any],
    version: str,
    meta: Mapping[str, Any],
    status: Mapping[str, str],
    applied: dict[str, str],
    marks: dict[str, str],
) -> list[Json]:
    known, have = meta["topology"], tidb_nodes(meta["topology"])
    staying = [node for node in have if node in marks]
    steps: list[Json] = []
    held = {node: marks[node] for node in staying}
    switch = _switch(wanted, known, applied, held)
    down = [node for node in staying if not _is(status.get(node), ("up",))]
    # A switch of TLS stops and starts all of them.
    if down and not switch:
        steps.append({"do": "start", "nodes": [] if len(down) == len(have) else sorted(down)})
    overlaid = tidb_overlaid(known, wanted)
    if overlaid != known:
        steps.append({"do": "edit-config", "nodes": [], "topology": overlaid})
    steps += switch
    new = marks.keys() - have.keys()
    if new:
        steps.append(
            {
                "do": "scale-out",
                "nodes": sorted(new),
                "topology": _part(wanted, new),
                "applied": {node: marks[node] for node in new},
            }
        )
    # A node without a mark was started by somebody else, or its start was cut off: what TiUP keeps
    # is then what it runs with.
    kept = tidb_fingerprints(known, {})
    bare = tidb_fingerprints(wanted, {})
    stale = sorted(
        node
        for node in staying
        if have[node]["role"] in _MANAGED
        and (applied[node] != marks[node] if node in applied else kept[node] != bare[node])
    )
    if _numbers(version) > _numbers(meta["tidb_version"]):
        steps.append({"do": "upgrade", "nodes": [], "applied": held})
    elif switch:
        # They have read their settings, after it or by it.
        pass
    elif stale:
        steps.append({"do": "reload", "nodes": stale, "applied": held})
    elif any(applied.get(node) != mark for node, mark in held.items()):
        steps.append({"do": "note", "nodes": [], "applied": held})
    return steps


def _switch(
    wanted: Mapping[str, Any],
    known: Mapping[str, Any],
    applied: Mapping[str, str],
    held: Mapping[str, str],
) -> list[Json]:
    """What brings TLS between the nodes to what is wanted; nothing where it is so."""
    differs, begun = _tls(wanted) != _tls(known), applied.get(_SWITCH) == _BEGUN
    if not differs and not begun:
        return []
    return [
        {"do": "note", "nodes": [], "applied": {_SWITCH: _BEGUN}},
        {
            "do": "enable-tls" if _tls(wanted) else "disable-tls",
            "nodes": [],
            # TiUP says that all is done already, unless it is forced.
            "again": not differs,
            "applied": {**held, _SWITCH: "done"},
        },
    ]


def _part(wanted: Mapping[str, Any], nodes: set[str]) -> Json:
    part: Json = {}
    for servers, (_, port, _unit) in _SERVERS.items():
        chosen = [s for s in wanted.get(servers) or [] if f"{s['host']}:{s[port]}" in nodes]
        if chosen:
            part[servers] = chosen
    return part


def _is(status: str | None, states: Sequence[str]) -> bool:
    """Whether a status as 'display' writes it, such as Up|L, is one of these."""
    return re.split(r"[|(]", status or "")[0].strip().lower() in states


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """The filters by name."""
        return {
            "tidb_extras": tidb_extras,
            "tidb_nodes": tidb_nodes,
            "tidb_plan": tidb_plan,
            "tidb_shown": tidb_shown,
        }
