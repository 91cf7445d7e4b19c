"""TLS within the cluster is switched off again, and what was cut off in that is ended."""

from pathlib import Path

import pytest
import yaml
from tidb_course import META, UNITS, WHOLE, Cluster, succeeded

# Minutes; the way there is in the course that CI runs.
pytestmark = pytest.mark.long


def test_a_switch_that_fails_half_way_says_why(cluster: Cluster) -> None:
    cluster.spoil("cdc-8300")
    run = cluster.play("site", *WHOLE, internal_tls_enabled=False, tidb_tiup_wait_seconds=30)
    assert run.code != 0
    assert "TiUP could not disable-tls the cluster helfy: " in " ".join(run.output.split())
    # TiUP takes it for done; the note beside its records does not.
    meta = yaml.safe_load(cluster.one.run(f"cat {META}"))
    assert "enable_tls" not in meta["topology"]["global"]
    assert '"tls": "begun"' in cluster.one.run("cat /home/tiup/helfy.applied.json")
    cluster.mend("cdc-8300")


def test_the_run_after_it_ends_it(cluster: Cluster) -> None:
    run = succeeded(cluster.play("site", *WHOLE))
    assert "tidb_tiup : Let TiUP do it: disable-tls" in run.changed
    assert cluster.versions() == {cluster.version}
    feed = cluster.ask("8300/api/v2/changefeeds/helfy-changes")
    assert feed["state"] == "normal"
    assert "helfy-tls" not in feed["sink_uri"]
    members = cluster.one.run("curl -sf http://127.0.0.1:12380/members")
    assert "https" not in members
    left = f"find /opt/tidb/deploy {Path(META).parent} -name tls; find /etc -name helfy-tls"
    assert cluster.one.run(left) == ""


def test_a_second_run_without_tls_changes_nothing(cluster: Cluster) -> None:
    before = cluster.processes()
    assert succeeded(cluster.play("site", *WHOLE)).changed == set()
    assert cluster.processes() == before
    assert len(before) == len(UNITS)
