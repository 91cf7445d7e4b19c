"""The first deployment, and the runs after it on one machine."""

import hashlib
import json
import time
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import tiup_mirror
import yaml
from machine import MachineError, wait_for
from tidb_course import (
    FIRST,
    META,
    NODES,
    SECOND,
    TLS,
    UNITS,
    WHOLE,
    Cluster,
    Mirror,
    refused,
    succeeded,
)


def settings(cluster: Cluster, node: str) -> dict[str, Any]:
    """What TiUP has written for a node to read."""
    name = node.partition("-")[0]
    return tomllib.loads(cluster.one.run(f"cat /opt/tidb/deploy/{node}/conf/{name}.toml"))


def test_a_version_that_the_mirror_lacks_is_refused_before_anything_is_touched(
    cluster: Cluster,
) -> None:
    words = "tidb_tiup_version is 9.9.9: the mirror"
    run = refused(
        cluster.site(tidb_tiup_version="9.9.9"), words, f"Of tidb it has {FIRST} {SECOND}"
    )
    assert not any(name.startswith("tidb_tiup : Create") for name in run.tasks["ok"])


@pytest.mark.long
def test_a_rehearsal_on_a_new_machine_touches_nothing(cluster: Cluster) -> None:
    run = succeeded(cluster.play("site", *WHOLE, "--check"))
    assert (
        "tidb_tiup : Create the user that TiUP runs as, and logs in as to a host that is new"
        in (run.changed)
    )
    assert (
        cluster.one.run("ls -d /home/tiup /opt/tidb /etc/helfy-tidb 2>&1 || true").count("No such")
        == 3
    )


@pytest.mark.long
def test_an_archive_that_is_not_the_pinned_one_is_not_used(cluster: Cluster) -> None:
    run = cluster.play("site", *WHOLE, tidb_tiup_archive_sha256={cluster.mirror: "0" * 64})
    assert run.code != 0
    said = " ".join(run.output.split())
    assert f"tidb_tiup_mirror is {cluster.mirror}: The checksum for" in said, run.output[-3000:]
    assert "Nothing of it is used." in said
    assert cluster.one.attempt("test -e /home/tiup/.tiup/bin/tiup").returncode != 0


def test_a_deployment_that_fails_half_way_says_why(cluster: Cluster, mirror: Mirror) -> None:
    archive = (mirror.folder / tiup_mirror.ARCHIVE).read_bytes()
    pin = {cluster.mirror: hashlib.sha256(archive).hexdigest()}
    with mirror.without(f"cdc-v{FIRST}-linux-amd64.tar.gz"):
        run = cluster.site(tidb_tiup_archive_sha256=pin)
    assert run.code != 0
    said = " ".join(run.output.split())
    assert "TiUP could not deploy the cluster helfy: " in said, run.output[-3000:]
    assert f"cdc-v{FIRST}-linux-amd64.tar.gz" in said, run.output[-3000:]
    assert cluster.one.attempt(f"test -e {META}").returncode != 0


def test_the_run_after_it_deploys(cluster: Cluster) -> None:
    succeeded(cluster.play("site", *WHOLE))
    assert cluster.versions() == {FIRST}
    meta = yaml.safe_load(cluster.one.run(f"cat {META}"))
    assert meta["tidb_version"] == f"v{FIRST}"
    feed = cluster.ask("8300/api/v2/changefeeds/helfy-changes")
    assert feed["sink_uri"].startswith("kafka://127.0.0.1:9092/tidb_changes?")


def test_who_is_not_in_the_inventory_reaches_no_node(cluster: Cluster) -> None:
    assert cluster.reached_by(cluster.one) == NODES, "Kafka is on loopback"
    assert cluster.reached_by(cluster.two) == set()


@pytest.mark.long
def test_a_second_run_changes_nothing(cluster: Cluster) -> None:
    # The other roles' second run is the scenario default's. CI has the one with TLS.
    before = cluster.processes()
    assert succeeded(cluster.site()).changed == set()
    assert cluster.processes() == before


def test_a_rehearsal_on_a_deployed_machine_says_what_a_setting_would_change(
    cluster: Cluster,
) -> None:
    before = cluster.processes()
    settings = {"tidb": {"log.level": "warn"}}
    run = succeeded(cluster.site("--check", tidb_tiup_server_configs=settings))
    assert "tidb_tiup : Write the topology" in run.changed, run.output[-6000:]
    assert cluster.processes() == before


def test_tiup_is_a_user_of_its_own_with_a_key_of_its_own(cluster: Cluster) -> None:
    one = cluster.one
    assert one.run("stat -c '%U %a' /home/tiup /home/tiup/.ssh/id_ed25519").splitlines() == [
        "tiup 700",
        "tiup 600",
    ]
    keys = one.run("cat /home/tiup/.ssh/authorized_keys")
    assert keys.startswith(f'from="{one.address},127.0.0.1" ssh-ed25519 '), keys
    assert one.run("find /home/tiup/.tiup ! -user tiup") == ""
    assert "helfy" in one.run("tiup cluster list")
    told = one.attempt("tiup cluster list", root=False)
    assert told.returncode != 0
    assert "sudo tiup" in told.stderr


def test_settings_reach_the_programs(cluster: Cluster) -> None:
    one, deploy = cluster.one, "/opt/tidb/deploy"
    tikv = tomllib.loads(one.run(f"cat {deploy}/tikv-20160/conf/tikv.toml"))
    assert tikv["cdc"]["min-ts-interval"] == "100ms"
    assert tikv["storage"]["reserve-space"] == "0MB"
    limit = int(one.run("ulimit -Hn").strip().replace("unlimited", "1048576"))
    assert ("rocksdb" in tikv) == (limit < 131072)
    assert "--gc-ttl 86400" in one.run(f"cat {deploy}/cdc-8300/scripts/run_cdc.sh")
    assert '--tz "UTC"' in one.run(f"cat {deploy}/cdc-8300/scripts/run_cdc.sh")
    # The mirror has neither exporters nor monitoring: nothing of them is asked for.
    assert "9100" not in one.run("ss -Hltn; systemctl list-units --all 'node_exporter*'")
    meta = yaml.safe_load(one.run(f"cat {META}"))
    assert all(each["ignore_exporter"] for each in meta["topology"]["tikv_servers"])
    assert not meta["topology"].get("monitoring_servers")
    for unit in UNITS:
        shown = one.run(f"systemctl show --property NoNewPrivileges,ProtectSystem {unit}")
        assert set(shown.split()) == {"NoNewPrivileges=yes", "ProtectSystem=strict"}, unit


def test_what_the_kernel_is_asked_for_is_set_or_refused_and_survives_a_reboot(
    cluster: Cluster,
) -> None:
    one = cluster.one
    assert one.run("cat /proc/sys/net/core/somaxconn").strip() == "32768"
    assert one.run("systemctl is-enabled tidb-host-tuning").strip() == "enabled"
    one.run("sysctl -q net.core.somaxconn=4096 && systemctl restart tidb-host-tuning")
    assert one.run("cat /proc/sys/net/core/somaxconn").strip() == "32768"
    told = json.loads(one.run("journalctl -u tidb-host-tuning -o cat | grep '^{' | tail -1"))
    assert told["set"] == ["proc/sys/net/core/somaxconn"]
    swappiness = one.run("cat /proc/sys/vm/swappiness").strip()
    if Path("/var/lib/lxc", one.name).exists() and swappiness != "0":
        assert any("vm/swappiness" in each for each in told["refused"])


def test_root_has_the_generated_password_and_the_others_what_they_need(cluster: Cluster) -> None:
    one = cluster.one
    assert one.run("stat -c '%U %a' /root/.my.cnf").strip() == "root 600"
    without = f"mariadb --no-defaults -h {one.address} -P 4000 -u root -e 'SELECT 1'"
    assert "Access denied" in one.attempt(without).stderr
    rights = {
        row.split("\t")[0]: set(row.split("\t")[1].split(","))
        for row in one.run(
            'mariadb -BN -e "SELECT grantee, GROUP_CONCAT(privilege_type) FROM'
            " information_schema.schema_privileges WHERE table_schema = 'helfy' GROUP BY 1\""
        ).splitlines()
    }
    assert rights["'helfy_api'@'127.0.0.1'"] == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert "CREATE" in rights["'helfy_migrate'@'127.0.0.1'"]
    names = one.run('mariadb -BN -e "SELECT DISTINCT User FROM mysql.user"').split()
    assert set(names) == {"helfy_api", "helfy_capture", "helfy_migrate", "mariadb.sys", "root"}
    shown = one.run("mariadb -BN -e \"SHOW GRANTS FOR 'helfy_capture'@'127.0.0.1'\"")
    assert "SELECT, INSERT, UPDATE, CREATE ON `helfy`.`capture_state`" in shown
    assert shown.count("GRANT ") == 2, "USAGE, and that table"
    assert one.run("mariadb -BN -e 'SELECT @@GLOBAL.max_allowed_packet'").strip() == "1048576"
    assert one.run("mariadb -BN -e 'SELECT @@GLOBAL.time_zone'").strip() == "+00:00"


def reported(cluster: Cluster, since: str) -> str:
    """Wait for a report of the changefeed since a time of the database; give its state."""
    asked = f"SELECT state FROM helfy.capture_state WHERE reported_at > '{since}'"
    return wait_for(
        lambda: cluster.one.run(f'mariadb -BN -e "{asked}"').strip() or None, "a report", 40
    )


def now(cluster: Cluster) -> str:
    return cluster.one.run("mariadb -BN -e 'SELECT NOW(6)'").strip()


def test_the_state_of_the_changefeed_is_reported(cluster: Cluster) -> None:
    # As migration v0003 has it; the API is not in this course.
    columns = (
        "source VARCHAR(64) PRIMARY KEY, state VARCHAR(16) NOT NULL, cause VARCHAR(64),"
        " message VARCHAR(2048), remedy VARCHAR(512), position VARCHAR(255),"
        " since TIMESTAMP(6) NOT NULL DEFAULT NOW(6),"
        " reported_at TIMESTAMP(6) NOT NULL DEFAULT NOW(6)"
    )
    cluster.one.run(f'mariadb -e "CREATE TABLE IF NOT EXISTS helfy.capture_state ({columns})"')
    assert reported(cluster, now(cluster)) == "running"
    told = cluster.one.run("journalctl -q -o cat -u helfy-changefeed-state | grep '^{'")
    states = {json.loads(line).get("state") for line in told.splitlines()}
    assert states - {None} == {"running"}


def test_a_setting_restarts_those_alone_that_read_it(cluster: Cluster) -> None:
    before = cluster.processes()
    # From where nobody asks any more; see the next test.
    cluster.one.run("mariadb -e \"CREATE USER helfy_api@'192.0.2.7' IDENTIFIED BY 'a password'\"")
    run = succeeded(cluster.site(tidb_tiup_server_configs={"tidb": {"log.level": "warn"}}))
    assert "tidb_tiup : Let TiUP do it: reload 192.168.58.10:4000" in run.changed
    after = cluster.processes()
    assert {unit for unit in UNITS if after[unit] != before[unit]} == {"tidb-4000"}
    assert settings(cluster, "tidb-4000")["log"]["level"] == "warn"


def test_accounts_for_former_addresses_are_gone(cluster: Cluster) -> None:
    names = "mariadb -BN -e \"SELECT Host FROM mysql.user WHERE User = 'helfy_api'\""
    assert cluster.one.run(names).split() == ["127.0.0.1"]


@pytest.mark.long
def test_a_rehearsal_of_the_switch_to_tls_changes_nothing(cluster: Cluster) -> None:
    before = cluster.processes()
    run = succeeded(cluster.play("site", *WHOLE, "--check", internal_tls_enabled=True))
    assert "tidb_tiup : Confine the units that TiUP writes" in run.changed
    assert "helfy-changes would be made, or updated" in run.output
    assert cluster.processes() == before


def test_killed_node_is_active_again_within_seconds(cluster: Cluster) -> None:
    for unit in UNITS:
        gone = {"0", cluster.processes()[unit]}

        def restarted(unit: str = unit, gone: set[str] = gone) -> bool:
            return cluster.processes()[unit] not in gone

        cluster.one.run(f"systemctl kill --signal=KILL {unit}")
        began = time.monotonic()
        wait_for(restarted, unit, 8)
        assert time.monotonic() - began < 8
    wait_for(cluster.answers, "each node answers", 20)
    policy = cluster.one.run(f"systemctl show --property Restart,RestartUSec {' '.join(UNITS)}")
    assert set(policy.split()) == {"Restart=always", "RestartUSec=1s"}


def test_tls_is_switched_on_within_the_cluster(cluster: Cluster) -> None:
    before = cluster.processes()
    run = succeeded(cluster.play("site", *WHOLE, internal_tls_enabled=True))
    assert "tidb_tiup : Let TiUP do it: enable-tls" in run.changed
    # The setting of the test before is taken back by the same restart.
    assert not any(": reload" in name for name in run.changed)
    after = cluster.processes()
    assert {unit for unit in UNITS if after[unit] != before[unit]} == set(UNITS)
    assert cluster.versions() == {FIRST}
    feed = cluster.ask("8300/api/v2/changefeeds/helfy-changes")
    assert feed["state"] == "normal"
    # Normal: TiCDC's stand-in has spoken TLS with Kafka by these files, as its user reads them.
    named = dict(parse_qsl(urlsplit(feed["sink_uri"]).query))
    assert named["ca"] == "/etc/helfy-tls/ca.pem"
    assert named["cert"] == named["key"] == "/run/credentials/cdc-8300.service/tls_certificate"
    assert reported(cluster, now(cluster)) == "running", "by TLS, to TiCDC and to the database"
    for name in ("helfy_api", "helfy_capture", "helfy_migrate"):
        asked = f"SHOW CREATE USER '{name}'@'127.0.0.1'"
        assert " REQUIRE SSL" in cluster.one.run(f'mariadb -BN -e "{asked}"')
    members = json.loads(cluster.one.run("curl -sf http://127.0.0.1:12380/members"))
    assert [url.partition(":")[0] for url in members[0]["peerURLs"]] == ["https"]


def test_a_second_run_with_tls_changes_nothing(cluster: Cluster) -> None:
    # Kafka's with TLS is that of tests/deploy.
    before = cluster.processes()
    tags = ("--tags", "internal_tls,tidb_tiup,ticdc_changefeed")
    assert succeeded(cluster.play("site", *tags)).changed == set()
    assert cluster.processes() == before


@pytest.mark.parametrize("path", ["2379/pd/api/v1/version", "8300/api/v2/status"])
def test_whoever_has_no_certificate_is_refused(cluster: Cluster, path: str) -> None:
    where = f"{cluster.one.address}:{path}"
    assert cluster.ask(path)["version"]
    # Another authority's is none, nor is asking in clear any good. The reason is not always heard:
    # with TLS 1.3 the connection may be gone before it is read.
    for how in ("https", "--cert /etc/helfy-tls/host.pem https", "http"):
        done = cluster.one.attempt(f"curl -sS --cacert {TLS}/ca.crt {how}://{where}")
        assert (done.returncode != 0, done.stdout) == (True, ""), (how, done.stderr)


def test_sql_has_a_certificate_of_its_own_beside_the_clusters(cluster: Cluster) -> None:
    security = settings(cluster, "tidb-4000")["security"]
    assert security["ssl-cert"].startswith("/run/credentials/tidb-4000.service/")
    assert security["cluster-ssl-cert"] == "/opt/tidb/deploy/tidb-4000/tls/tidb.crt"
    assert "ssl-ca" not in security, "no certificate is asked of the API"
    ask = "mariadb -BN --ssl-verify-server-cert -e \"SHOW STATUS LIKE 'Ssl_version'\" --ssl-ca="
    assert "TLSv1.3" in cluster.one.run(f"{ask}/etc/helfy-tls/ca.pem")
    for other in ("/etc/ssl/certs/ca-certificates.crt", f"{TLS}/ca.crt"):
        with pytest.raises(MachineError, match="certificate"):
            cluster.one.run(f"{ask}{other}")


def test_the_clusters_keys_are_read_by_its_user_alone(cluster: Cluster) -> None:
    one = cluster.one
    keys = one.run("ls /opt/tidb/deploy/*/tls/*.pem").split()
    assert len(keys) == len(UNITS)
    for key in [*keys, f"{Path(META).parent}/tls/ca.pem"]:
        assert one.attempt(f"runuser -u nobody -- cat {key}").returncode != 0, key


@pytest.mark.long
def test_a_node_that_is_down_is_named_and_started_again(cluster: Cluster) -> None:
    before = cluster.processes()
    cluster.one.run("systemctl stop tikv-20160")
    node = f"{cluster.one.address}:20160"
    display = "tiup cluster display helfy"
    wait_for(lambda: "Disconnected" in cluster.one.run(display), "PD misses the store", 20)
    run = cluster.play("health")
    assert run.code != 0
    assert f"tikv {node} is Disconnected" in " ".join(run.output.split()), run.output[-4000:]
    assert "Not well: " in run.output
    run = succeeded(cluster.site())
    assert f"tidb_tiup : Let TiUP do it: start {node}" in run.changed
    after = cluster.processes()
    assert {unit for unit in UNITS if after[unit] != before[unit]} == {"tikv-20160"}


@pytest.mark.long
def test_restart_takes_the_roles_that_are_named(cluster: Cluster) -> None:
    before = cluster.processes()
    succeeded(cluster.play("restart", restart_roles="cdc"))
    after = cluster.processes()
    assert {unit for unit in UNITS if after[unit] != before[unit]} == {"cdc-8300"}
    refused(
        cluster.play("restart", restart_roles="tiflash"), "restart_roles is tiflash: TiUP knows"
    )


def test_an_upgrade_that_fails_half_way_can_be_run_again(cluster: Cluster) -> None:
    cluster.spoil("cdc-8300")
    run = cluster.play("upgrade", tidb_tiup_version=SECOND, tidb_tiup_wait_seconds=30)
    assert run.code != 0
    assert "TiUP could not upgrade the cluster helfy: " in " ".join(run.output.split())
    cluster.mend("cdc-8300")
    succeeded(cluster.play("upgrade", tidb_tiup_version=SECOND))
    assert cluster.versions() == {SECOND}
    assert yaml.safe_load(cluster.one.run(f"cat {META}"))["tidb_version"] == f"v{SECOND}"


@pytest.mark.long
def test_the_same_version_upgrades_nothing(cluster: Cluster) -> None:
    before = cluster.processes()
    assert succeeded(cluster.play("upgrade")).changed == set()
    assert cluster.processes() == before


def test_a_lower_version_is_refused(cluster: Cluster) -> None:
    before = cluster.processes()
    words = (
        f"tidb_tiup_version is {FIRST}: the cluster helfy runs v{SECOND}, and TiDB cannot go back."
    )
    refused(cluster.site(tidb_tiup_version=FIRST), words)
    assert cluster.processes() == before


@pytest.mark.long
def test_a_cluster_does_without_its_mirror(cluster: Cluster) -> None:
    """What needs nothing new of it runs although it does not answer; what does, is refused."""
    mirror, cluster.mirror = cluster.mirror, "http://192.168.58.1:9"
    try:
        refused(cluster.site(), "tidb_tiup_mirror is http://192.168.58.1:9: it does not answer")
    finally:
        cluster.mirror = mirror
