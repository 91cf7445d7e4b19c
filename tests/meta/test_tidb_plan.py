"""What TiUP is told to do, decided from the state of the cluster. The samples are real."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import role_docs
import yaml
from filter_paths import plugin

plan_plugin = plugin("tidb_plan")
topology_plugin = plugin("tidb_topology")

SAMPLES = role_docs.ROOT / "tests/meta/samples/tiup"
META = yaml.safe_load((SAMPLES / "meta.yaml").read_text())
SHOWN = json.loads((SAMPLES / "display.json").read_text())
HERE = "10.0.3.207"
NODES = [f"{HERE}:{port}" for port in (20160, 2379, 4000, 8300)]
PORTS: dict[str, Any] = {
    "pd": {"client_port": 2379, "peer_port": 2380},
    "tikv": {"port": 20160, "status_port": 20180},
    "tidb": {"port": 4000, "status_port": 10080},
    "cdc": {"port": 8300},
    "exporters": {"node_exporter_port": 9100, "blackbox_exporter_port": 9115},
    "prometheus": {"port": 9090},
    "grafana": {"port": 3000},
    "alertmanager": {"web_port": 9193},
}
GROUPS = ("pd", "tikv", "tidb", "ticdc")


def host(address: str = HERE, groups: tuple[str, ...] = GROUPS) -> dict[str, Any]:
    return {
        "address": address,
        "ssh_port": 22,
        "groups": list(groups),
        "memory_mb": 7000,
        "open_files": 20000,
    }


def topology(*hosts: dict[str, Any], **settings: Any) -> dict[str, Any]:
    usual = {
        "user": "tidb",
        "deploy_dir": "/opt/tidb/deploy",
        "data_dir": "/opt/tidb/data",
        "arch": "amd64",
        "ports": PORTS,
        "server_configs": {},
        "replicas": 1,
        "gc_ttl": 86400,
        "exporters": False,
        "tls": False,
    }
    return dict(topology_plugin.tidb_topology(hosts or (host(),), usual | settings))


def deployed(wanted: dict[str, Any], version: str = "v8.5.7") -> dict[str, Any]:
    """The sample's records, as they are once TiUP has taken the topology over."""
    meta = copy.deepcopy(META)
    meta["tidb_version"] = version
    meta["topology"] = plan_plugin.tidb_overlaid(meta["topology"], wanted)
    return dict(meta)


def shown(**status: str) -> dict[str, Any]:
    """What 'display' says, with other states for some roles."""
    changed = copy.deepcopy(SHOWN)
    for node in changed["instances"]:
        node["status"] = status.get(node["role"], node["status"])
    return dict(changed)


def plan(wanted: dict[str, Any], meta: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    version = more.pop("version", "v8.5.7")
    applied = more.pop("applied", plan_plugin.tidb_fingerprints(wanted, more.get("extras") or {}))
    given = {"shown": shown(), "applied": applied, **more}
    return dict(plan_plugin.tidb_plan(wanted, version, meta, **given))


def steps(decided: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(step["do"], step["nodes"]) for step in decided["steps"]]


def test_without_a_cluster_one_is_deployed_and_started() -> None:
    decided = plan(topology(), None, shown={}, applied={})
    assert steps(decided) == [("deploy", []), ("start", [])]
    assert sorted(decided["steps"][1]["applied"]) == sorted(NODES)


def test_where_nothing_differs_nothing_is_done() -> None:
    wanted = topology()
    assert plan(wanted, deployed(wanted))["steps"] == []


def test_a_pd_that_leads_is_up() -> None:
    wanted = topology()
    assert steps(plan(wanted, deployed(wanted), shown=shown(pd="Up"))) == []


@pytest.mark.parametrize("status", ["Down", "Disconnected", "N/A", "Inactive", "ERR"])
def test_what_is_down_is_started_and_nothing_else(status: str) -> None:
    wanted = topology()
    decided = plan(wanted, deployed(wanted), shown=shown(tikv=status))
    assert steps(decided) == [("start", [f"{HERE}:20160"])]


def test_where_all_is_down_the_cluster_is_started() -> None:
    wanted = topology()
    decided = plan(wanted, deployed(wanted), shown={})
    assert steps(decided) == [("start", [])]


def test_a_setting_that_differs_reloads_the_nodes_that_read_it() -> None:
    before, after = topology(), topology(server_configs={"tikv": {"log.level": "warn"}})
    marks = plan_plugin.tidb_fingerprints(before, {})
    decided = plan(after, deployed(before), applied=marks)
    assert steps(decided) == [("edit-config", []), ("reload", [f"{HERE}:20160"])]
    edited = decided["steps"][0]["topology"]
    assert edited["server_configs"]["tikv"]["log.level"] == "warn"
    assert edited["tidb_servers"] == deployed(before)["topology"]["tidb_servers"]


def test_a_reload_that_was_cut_off_is_done_by_the_next_run() -> None:
    """Then TiUP's records hold the new setting already, and only the mark says otherwise."""
    before, after = topology(), topology(gc_ttl=7200)
    marks = plan_plugin.tidb_fingerprints(before, {})
    decided = plan(after, deployed(after), applied=marks)
    assert steps(decided) == [("reload", [f"{HERE}:8300"])]
    assert plan(after, deployed(after), applied=decided["steps"][0]["applied"])["steps"] == []


def test_another_drop_in_restarts_the_nodes_that_run_with_the_old_one() -> None:
    wanted = topology()
    marks = plan_plugin.tidb_fingerprints(wanted, {f"{HERE}:4000": "old"})
    decided = plan(wanted, deployed(wanted), applied=marks, extras={f"{HERE}:4000": "new"})
    assert steps(decided) == [("reload", [f"{HERE}:4000"])]


def test_settings_that_can_wait_are_written_and_reload_nothing() -> None:
    before = topology(host(), replicas=1, version="8.5.7")
    marks = plan_plugin.tidb_fingerprints(before, {})
    config = before["server_configs"]["tikv"]
    assert (config["storage.reserve-space"], config["server.graceful-shutdown-timeout"]) == (
        "0MB",
        "0s",
    )
    # A second and a third TiKV: room is kept free, and there are three copies, which PD is told.
    for settings in ({"replicas": 1}, {"replicas": 3}):
        hosts = (host(), host("10.0.3.208", ("tikv",)), host("10.0.3.209", ("tikv",)))
        decided = plan(
            topology(*hosts, version="8.5.7", **settings), deployed(before), applied=marks
        )
        assert [step["do"] for step in decided["steps"]] == ["edit-config", "scale-out"]


def test_restart_policy_of_a_drop_in_restarts_no_node() -> None:
    old = "# Managed\n[Service]\nPrivateTmp=yes\n"
    new = (
        "# Managed\n[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=1\n"
        "PrivateTmp=yes\n"
    )
    made = topology()
    extras = [
        plan_plugin.tidb_extras([{"address": HERE, "drop_ins": dict.fromkeys(GROUPS, text)}], made)
        for text in (old, new)
    ]
    assert extras[0] == extras[1]
    assert set(extras[0].values()) == {old}


def test_a_cluster_without_marks_is_taken_as_it_is() -> None:
    wanted = topology()
    decided = plan(wanted, deployed(wanted), applied={})
    assert steps(decided) == [("note", [])]


def test_without_marks_the_records_say_what_differs() -> None:
    """The sample was deployed with other settings than the role's, on all but TiDB's own."""
    decided = plan(topology(), META, applied={})
    assert steps(decided)[0] == ("edit-config", [])
    assert steps(decided)[1][0] == "reload"


def test_a_new_host_is_scaled_out_with_its_part_alone() -> None:
    before = topology()
    second = host("10.0.3.208", ("tikv",))
    after = topology(host(), second)
    after["server_configs"] = before["server_configs"]
    decided = plan(after, deployed(before), applied=plan_plugin.tidb_fingerprints(before, {}))
    assert steps(decided) == [("scale-out", ["10.0.3.208:20160"])]
    part = decided["steps"][0]["topology"]
    assert list(part) == ["tikv_servers"]
    assert [server["host"] for server in part["tikv_servers"]] == ["10.0.3.208"]


def test_a_scale_out_that_failed_at_its_start_is_ended_by_a_start() -> None:
    after = topology(host(), host("10.0.3.208", ("tidb",)))
    meta = deployed(after)
    meta["topology"]["tidb_servers"].append(after["tidb_servers"][1])
    decided = plan(after, meta, applied=plan_plugin.tidb_fingerprints(topology(), {}))
    assert steps(decided) == [("start", ["10.0.3.208:4000"]), ("note", [])]


def test_a_newer_version_is_rolled_in_and_takes_settings_along() -> None:
    before, after = topology(), topology(gc_ttl=7200)
    marks = plan_plugin.tidb_fingerprints(before, {})
    decided = plan(after, deployed(before), version="v8.5.10", applied=marks)
    assert [name for name, _ in steps(decided)] == ["edit-config", "upgrade"]
    assert decided["lower_than"] == ""


@pytest.mark.parametrize("version", ["v8.5.6", "v8.4.9", "v7.9.9"])
def test_a_lower_version_is_told(version: str) -> None:
    wanted = topology()
    decided = plan(wanted, deployed(wanted), version=version)
    assert decided["lower_than"] == "v8.5.7"
    assert decided["steps"] == []


def test_a_host_that_is_gone_is_told() -> None:
    wanted = topology(host(groups=("pd", "tikv", "tidb")))
    decided = plan(wanted, deployed(topology()))
    assert decided["gone"] == [f"{HERE}:8300"]


@pytest.mark.parametrize("status", ["Pending Offline", "Tombstone", "Offline"])
def test_a_tikv_on_its_way_out_is_neither_gone_nor_started(status: str) -> None:
    wanted = topology(host(groups=("pd", "tidb", "ticdc")))
    decided = plan(wanted, deployed(topology()), shown=shown(tikv=status))
    assert (decided["gone"], decided["leaving"]) == ([], [f"{HERE}:20160"])
    assert all(name != "start" for name, _ in steps(decided))


ON = topology(tls=True)
BEGUN: tuple[str, list[str]] = ("note", [])


def with_tls(wanted: dict[str, Any]) -> dict[str, Any]:
    """The records of a cluster whose nodes speak TLS: TiUP has added settings of its own."""
    meta = deployed(wanted)
    meta["topology"]["global"]["enable_tls"] = True
    names = {
        "pd_servers": ("cacert-path", "cert-path", "key-path"),
        "tikv_servers": ("ca-path", "cert-path", "key-path"),
        "tidb_servers": ("cluster-ssl-ca", "cluster-ssl-cert", "cluster-ssl-key"),
    }
    for servers, settings in names.items():
        for server in meta["topology"][servers]:
            own = {f"security.{name}": f"/opt/tidb/{name}" for name in settings}
            server["config"] = (server.get("config") or {}) | own
    return meta


def test_a_topology_says_whether_its_nodes_speak_tls() -> None:
    assert ON["global"]["enable_tls"] is True
    assert "enable_tls" not in topology()["global"]


def test_what_tiup_adds_for_tls_is_no_difference_and_stays() -> None:
    assert plan(ON, with_tls(ON))["steps"] == []
    assert plan(ON, with_tls(ON), applied={})["steps"][0]["do"] == "note"
    after = topology(tls=True, server_configs={"pd": {"log.level": "warn"}})
    decided = plan(after, with_tls(ON), applied=plan_plugin.tidb_fingerprints(ON, {}))
    assert steps(decided) == [("edit-config", []), ("reload", [f"{HERE}:2379"])]
    edited = decided["steps"][0]["topology"]
    assert edited["pd_servers"] == with_tls(ON)["topology"]["pd_servers"]
    assert edited["global"] == with_tls(ON)["topology"]["global"]


@pytest.mark.parametrize(
    ("wanted", "meta", "switch"),
    [
        (ON, deployed(ON), "enable-tls"),
        (topology(), with_tls(topology()), "disable-tls"),
    ],
)
def test_tls_is_switched_by_a_step_that_is_noted_before_and_after(
    wanted: dict[str, Any], meta: dict[str, Any], switch: str
) -> None:
    decided = plan(wanted, meta)
    assert steps(decided) == [BEGUN, (switch, [])]
    assert decided["steps"][0]["applied"] == {"tls": "begun"}
    assert decided["steps"][1]["applied"].items() >= {("tls", "done"), *decided_marks(wanted)}
    assert (decided["switch"], decided["pds"]) == (switch, 1)
    assert decided["steps"][1]["again"] is False


def decided_marks(wanted: dict[str, Any]) -> set[tuple[str, str]]:
    return set(plan_plugin.tidb_fingerprints(wanted, {}).items())


@pytest.mark.parametrize(
    ("wanted", "meta", "switch"),
    [(ON, with_tls(ON), "enable-tls"), (topology(), deployed(topology()), "disable-tls")],
)
def test_a_switch_that_was_cut_off_is_made_again_though_the_records_say_it_is_done(
    wanted: dict[str, Any], meta: dict[str, Any], switch: str
) -> None:
    marks = plan_plugin.tidb_fingerprints(wanted, {}) | {"tls": "begun"}
    decided = plan(wanted, meta, applied=marks, shown=shown(cdc="Down"))
    assert steps(decided) == [BEGUN, (switch, [])]
    assert decided["steps"][1]["again"] is True
    ended = marks | decided["steps"][1]["applied"]
    assert plan(wanted, meta, applied=ended)["steps"] == []


def test_a_switch_of_tls_takes_settings_along_and_comes_before_new_hosts_and_versions() -> None:
    after = topology(host(), host("10.0.3.208", ("tidb",)), tls=True, gc_ttl=7200)
    meta = deployed(topology())
    marks = plan_plugin.tidb_fingerprints(topology(), {})
    decided = plan(after, meta, applied=marks)
    names = ["edit-config", "note", "enable-tls", "scale-out"]
    assert [name for name, _ in steps(decided)] == names
    assert "enable_tls" not in decided["steps"][0]["topology"]["global"], "TiUP lets none edit it"
    decided = plan(after, meta, applied=marks, version="v8.5.8")
    assert [name for name, _ in steps(decided)] == [*names, "upgrade"]


def test_what_display_says_is_found_among_other_lines() -> None:
    text = (SAMPLES / "display.json").read_text()
    assert plan_plugin.tidb_shown(f"a line\n{text}\nanother") == SHOWN
    assert plan_plugin.tidb_shown("no JSON") == {}
    assert plan_plugin.tidb_shown('{"cut off') == {}
