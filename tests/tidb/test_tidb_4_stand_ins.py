"""The course asked nothing that would have been answered by chance."""

from tidb_course import Cluster


def test_nothing_was_asked_of_a_stand_in_that_it_does_not_know(cluster: Cluster) -> None:
    asked = "grep -h 'not stood in for' /opt/tidb/deploy/*/log/*_stderr.log || true"
    assert cluster.one.run(asked) == ""
