"""A second machine joins the cluster, and leaves it again."""

import json
import time

import pytest
from tidb_course import KAFKA, UNITS, WHOLE, Cluster, Mirror, refused, succeeded

# A quarter of an hour for two cores, of which CI has none to spare.
pytestmark = pytest.mark.long

SCALED = ("tikv-20160", "tidb-4000", "cdc-8300")


def nodes(cluster: Cluster) -> dict[str, str]:
    """Each node's status, as TiUP says it."""
    shown = cluster.one.run("tiup cluster display helfy --format json")
    told = json.JSONDecoder().raw_decode(shown[shown.index("{") :])[0]
    return {node["id"]: node["status"] for node in told["instances"]}


def test_a_scale_out_that_fails_half_way_says_why(cluster: Cluster) -> None:
    cluster.spoil("tidb-4000", cluster.two)
    run = cluster.play("scale-out", both=True, tidb_tiup_wait_seconds=30)
    assert run.code != 0
    assert "TiUP could not scale-out the cluster helfy: " in " ".join(run.output.split())
    cluster.mend("tidb-4000", cluster.two)


def test_the_run_after_it_brings_the_host_in(
    cluster: Cluster, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder of this machine, as an air-gapped site has it.
    monkeypatch.setattr(cluster, "mirror", str(mirror.folder))
    before = cluster.processes()
    succeeded(cluster.play("scale-out", both=True))
    told = nodes(cluster)
    assert len(told) == 7
    assert all(status.startswith("Up") for status in told.values()), told
    assert cluster.versions(cluster.two) == {cluster.version}
    # What differs with a second TiKV can wait for another restart.
    assert cluster.processes() == before


def test_a_whole_run_then_has_everybody_know_each_other(cluster: Cluster) -> None:
    succeeded(cluster.play("site", *WHOLE, both=True))
    feed = cluster.ask("8300/api/v2/changefeeds/helfy-changes", cluster.two)
    assert feed["sink_uri"].startswith(f"kafka://{cluster.one.address}:9092/")
    assert feed["state"] == "normal"
    assert cluster.reached_by(cluster.two) >= {2379, 20160, 8300, KAFKA}


def test_a_second_run_on_both_changes_nothing(cluster: Cluster) -> None:
    before = [cluster.processes(machine) for machine in (cluster.one, cluster.two)]
    assert succeeded(cluster.play("site", *WHOLE, both=True)).changed == set()
    assert [cluster.processes(machine) for machine in (cluster.one, cluster.two)] == before


def test_restart_of_tikv_with_one_copy_says_what_it_waits_for(cluster: Cluster) -> None:
    before = [cluster.processes(machine) for machine in (cluster.one, cluster.two)]
    began = time.monotonic()
    run = succeeded(cluster.play("restart", both=True, restart_roles="tikv"))
    # TiUP's own 600 s for each node would be 20 minutes.
    assert time.monotonic() - began < 180
    [task] = [name for name in run.changed if "Restart the nodes" in name]
    assert "waits up to 30 s for its leaders to move, which they cannot" in task
    after = [cluster.processes(machine) for machine in (cluster.one, cluster.two)]
    assert all(
        old["tikv-20160"] != new["tikv-20160"] for old, new in zip(before, after, strict=True)
    )


def test_a_host_that_is_gone_from_the_groups_is_refused(cluster: Cluster) -> None:
    gone = ", ".join(sorted(f"{cluster.two.address}:{u.rpartition('-')[2]}" for u in SCALED))
    words = f"groups is without the host of {gone}, which the cluster helfy still has."
    refused(cluster.play("site", "--tags", "tidb_tiup"), words, "playbooks/scale-in.yml")


def test_scale_in_says_first_what_would_go(cluster: Cluster) -> None:
    before = cluster.processes(cluster.two)
    run = refused(cluster.play("scale-in"), "Goes for good, with its data: ")
    asked = ",".join(sorted(f"{cluster.two.address}:{u.rpartition('-')[2]}" for u in SCALED))
    assert f"-e tidb_tiup_confirm={asked}." in "".join(run.output.split()).replace(
        "-etidb", "-e tidb"
    )
    assert cluster.processes(cluster.two) == before


def test_scale_in_takes_out_what_was_confirmed(cluster: Cluster) -> None:
    confirmed = ",".join(sorted(f"{cluster.two.address}:{u.rpartition('-')[2]}" for u in SCALED))
    succeeded(cluster.play("scale-in", tidb_tiup_confirm=confirmed))
    assert set(nodes(cluster)) == {f"{cluster.one.address}:{u.rpartition('-')[2]}" for u in UNITS}
    assert cluster.two.run("ls /opt/tidb/deploy /opt/tidb/data").split() == [
        "/opt/tidb/data:",
        "/opt/tidb/deploy:",
    ]
    before = cluster.processes()
    # With one host the parts are on loopback again, Kafka among them.
    succeeded(cluster.play("site", *WHOLE))
    # TiKV is alone again, which can wait for another restart.
    assert cluster.processes() == before
    assert cluster.reached_by(cluster.two) == set(), "a stranger again"
