"""The topology: sizes by the hosts' memory, settings, roles by groups."""

from __future__ import annotations

from typing import Any

import pytest
from filter_paths import plugin
from test_tidb_plan import host, topology

topology_plugin = plugin("tidb_topology")


def test_memory_is_shared_out_among_what_is_there() -> None:
    shares = topology_plugin.tidb_memory(["pd", "tikv", "tidb", "ticdc"], 7000)
    assert shares["tikv"] > shares["tidb"] > shares["ticdc"] > shares["pd"] > 500
    assert sum(shares.values()) <= 7000 * 0.85
    assert topology_plugin.tidb_memory(["tikv", "kafka"], 1000) == {"tikv": 850}


def test_tikv_gets_its_share_and_half_of_it_for_the_cache() -> None:
    config = topology()["tikv_servers"][0]["config"]
    assert config["memory-usage-limit"] == "2677MB"
    assert config["storage.block-cache.capacity"] == "1338MB"


@pytest.mark.parametrize(("open_files", "limited"), [(20000, True), (1000000, False)])
def test_tikv_keeps_fewer_files_open_where_few_are_allowed(open_files: int, limited: bool) -> None:
    config = topology(host() | {"open_files": open_files})["tikv_servers"][0]["config"]
    assert ("rocksdb.max-open-files" in config) == limited
    assert ("raftdb.max-open-files" in config) == limited


def test_what_the_inventory_gives_goes_before_what_is_worked_out() -> None:
    cache = {"block-cache": {"capacity": "100MB"}}
    given = {"tikv": {"storage": cache, "cdc.min-ts-interval": "1s"}}
    made = topology(server_configs=given)
    assert made["server_configs"]["tikv"]["storage.block-cache.capacity"] == "100MB"
    assert made["server_configs"]["tikv"]["cdc.min-ts-interval"] == "1s"
    assert "storage.block-cache.capacity" not in made["tikv_servers"][0]["config"]


def test_space_is_kept_free_only_where_another_tikv_could_take_over() -> None:
    alone = topology()["server_configs"]["tikv"]
    three = topology(*(host(f"10.0.0.{n}") for n in (1, 2, 3)))["server_configs"]["tikv"]
    assert alone["storage.reserve-space"] == "0MB"
    assert "storage.reserve-space" not in three


def test_groups_decide_what_runs_where() -> None:
    made = topology(host("10.0.0.1", ("pd", "kafka")), host("10.0.0.2", ("tikv", "tidb")))
    assert [server["host"] for server in made["pd_servers"]] == ["10.0.0.1"]
    assert [server["host"] for server in made["tidb_servers"]] == ["10.0.0.2"]
    assert "cdc_servers" not in made
    assert "monitoring_servers" not in made


def test_monitoring_is_asked_for_only_where_a_host_is_for_it() -> None:
    made = topology(host(), host("10.0.0.9", ("monitoring",)))
    for servers in ("monitoring_servers", "grafana_servers", "alertmanager_servers"):
        assert [server["host"] for server in made[servers]] == ["10.0.0.9"]


def test_ticdc_writes_times_in_utc_and_holds_garbage_collection() -> None:
    server = topology()["cdc_servers"][0]
    assert (server["gc-ttl"], server["tz"]) == (86400, "UTC")


@pytest.mark.parametrize(("there", "ignored"), [(True, None), (False, True)])
def test_exporters_are_left_out_where_the_mirror_has_none(there: bool, ignored: Any) -> None:
    made = topology(exporters=there)
    for servers in ("pd_servers", "tikv_servers", "tidb_servers", "cdc_servers"):
        assert made[servers][0].get("ignore_exporter") is ignored


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("tikv", "no roles, but 'tikv'"),
        ({"tiflash": {}}, "tiflash, which is none of pd tikv tidb cdc"),
        ({"tikv": "x"}, "tikv with 'x' instead of settings"),
        (
            {"tikv": {"rocksdb": {"max-open-files": "many"}}},
            "tikv rocksdb.max-open-files with 'many' instead of a number",
        ),
        (
            {"tikv": {"cdc.min-ts-interval": 100}},
            "tikv cdc.min-ts-interval with 100 instead of a text such as 100ms",
        ),
        (
            {"pd": {"replication.max-replicas": True}},
            "pd replication.max-replicas with True instead of a number",
        ),
        ({"tidb": {"log.level": None}}, "tidb log.level with None instead of a value"),
    ],
)
def test_a_setting_of_the_wrong_type_is_named(given: object, fault: str) -> None:
    assert topology_plugin.tidb_setting_faults(given, 1) == [fault]


def test_good_settings_have_no_fault() -> None:
    given = {"tikv": {"storage.reserve-space": "1GB"}, "tidb": {"log.level": "warn"}, "cdc": {}}
    assert topology_plugin.tidb_setting_faults(given, 3) == []
