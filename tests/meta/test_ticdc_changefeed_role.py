"""The role ticdc_changefeed on two hosts of a cluster, against a stand-in for TiCDC."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import cluster_certificates
import pytest
import role_docs
import yaml
from ticdc_stand_in import StandIn, ahead, running

pytestmark = pytest.mark.slow

ROOT = role_docs.ROOT
WIRING = yaml.safe_load((ROOT / "playbooks/group_vars/all/wiring.yml").read_text())
CAPTURE = yaml.safe_load((ROOT / "playbooks/group_vars/all/capture.yml").read_text())
GIVEN = {
    "ansible_connection": "local",
    "kafka_bootstrap_servers": ["192.168.56.11:9092", "192.168.56.12:9092"],
    "kafka_topic_replication": 3,
    "changes_topic": WIRING["changes_topic"],
    "database_name": WIRING["database_name"],
    "capture_columns": CAPTURE["captured_columns"],
    "secret_columns": CAPTURE["secret_columns"],
    "preflight_units": ["cdc-8300.service"],
    "secret_kafka_capture": "password/of=capture&more",
    "tls_ca_file": "/etc/helfy-tls/ca.pem",
    "ticdc_tls_certificate": "/run/credentials/cdc-8300.service/tls_certificate",
    "ticdc_tls_folder": "",
    "tidb_status_servers": ["127.0.0.1:9"],
    "ticdc_changefeed_wait_seconds": 1,
}


# What of the role asks TiCDC; the rest installs something on the hosts (tests/tidb).
FEED = ("configure", "health")


@pytest.fixture
def ticdc() -> Iterator[StandIn]:
    with running() as stand_in:
        yield stand_in


def play(
    folder: Path, ticdc: StandIn, *arguments: str, parts: tuple[str, ...] = FEED, **given: Any
) -> tuple[int, int, str]:
    """Run parts of the role; give the exit status, how much changed and what was said."""
    playbook = folder / "play.yml"
    if "--check" in arguments:
        parts = tuple(part for part in parts if part != "health")
    tasks = [{"import_role": {"name": "ticdc_changefeed", "tasks_from": part}} for part in parts]
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    variables = folder / "vars.json"
    variables.write_text(json.dumps(GIVEN | {"ticdc_servers": [ticdc.address]} | given))
    program = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [program, "-i", "cdc-1,cdc-2,", "-e", f"@{variables}", *arguments, playbook],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ
        | {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        },
    )
    said = done.stdout + done.stderr
    assert "{" in done.stdout, said
    told = json.JSONDecoder().raw_decode(done.stdout[done.stdout.find("{") :])[0]
    return done.returncode, sum(host["changed"] for host in told["stats"].values()), said


def test_it_is_made_once_for_all_hosts_with_what_is_captured(
    tmp_path: Path, ticdc: StandIn
) -> None:
    code, changed, said = play(tmp_path, ticdc, "--check")
    assert (code, changed, ticdc.asked) == (0, 1, []), said
    code, changed, said = play(tmp_path, ticdc)
    assert (code, changed, ticdc.asked) == (0, 1, ["POST changefeeds"]), said
    assert ticdc.feed is not None
    uri = urlsplit(ticdc.feed["sink_uri"])
    assert (uri.scheme, uri.netloc) == ("kafka", "192.168.56.11:9092,192.168.56.12:9092")
    assert uri.path == "/tidb_changes"
    assert parse_qs(uri.query) == {
        "protocol": ["canal-json"],
        "enable-tidb-extension": ["true"],
        "auto-create-topic": ["false"],
        "max-message-bytes": ["16777216"],
        "replication-factor": ["3"],
        "sasl-mechanism": ["SCRAM-SHA-512"],
        "sasl-user": ["helfy_capture"],
        "sasl-password": [GIVEN["secret_kafka_capture"]],
        "enable-tls": ["true"],
        "ca": [GIVEN["tls_ca_file"]],
        "cert": [GIVEN["ticdc_tls_certificate"]],
        "key": [GIVEN["ticdc_tls_certificate"]],
    }
    config = ticdc.feed["config"]
    assert config["ignore_ineligible_table"] is True
    assert config["check_gc_safe_point"] is True
    assert config["memory_quota"] == 256 * 1024**2
    assert config["filter"]["rules"] == [f"helfy.{table}" for table in CAPTURE["captured_columns"]]
    assert config["sink"]["dispatchers"] == [{"matcher": ["*.*"], "partition": "index-value"}]
    assert config["sink"]["column_selectors"] == [
        {"matcher": [f"helfy.{table}"], "columns": columns}
        for table, columns in CAPTURE["captured_columns"].items()
    ]
    assert config["sink"]["kafka_config"] == {
        "output_raw_change_event": True,
        "large_message_handle": {
            "large_message_handle_option": "handle-key-only",
            "large_message_handle_compression": "none",
        },
    }
    code, changed, said = play(tmp_path, ticdc)
    assert (code, changed, ticdc.asked) == (0, 0, ["POST changefeeds"]), said


def test_with_tls_within_the_cluster_ticdc_is_asked_by_its_own_certificate(tmp_path: Path) -> None:
    folder = cluster_certificates.make(tmp_path / "tls")
    with running(cluster_certificates.demanding(folder)) as ticdc:
        code, changed, said = play(tmp_path, ticdc, ticdc_tls_folder=str(folder))
        assert (code, changed, ticdc.asked) == (0, 1, ["POST changefeeds"]), said


def test_one_without_a_login_gets_it_and_goes_on_from_where_it_was(
    tmp_path: Path, ticdc: StandIn
) -> None:
    assert play(tmp_path, ticdc)[0] == 0
    assert ticdc.feed is not None
    uri = ticdc.feed["sink_uri"]
    bare = {k: v[0] for k, v in parse_qs(urlsplit(uri).query).items() if "sasl" not in k}
    ticdc.feed["sink_uri"] = f"{uri.partition('?')[0]}?{urlencode(bare)}"
    code, changed, said = play(tmp_path, ticdc)
    assert (code, changed) == (0, 1), said
    assert [each.split()[0] for each in ticdc.asked] == ["POST", "POST", "PUT", "POST"]
    assert parse_qs(urlsplit(ticdc.feed["sink_uri"]).query)["sasl-user"] == ["helfy_capture"]
    assert GIVEN["secret_kafka_capture"] not in said
    assert quote(str(GIVEN["secret_kafka_capture"]), safe="") not in said
    assert play(tmp_path, ticdc)[:2] == (0, 0)


def test_before_there_is_a_ticdc_a_rehearsal_says_what_would_be_made(
    tmp_path: Path, ticdc: StandIn
) -> None:
    ticdc.leader = False
    code, changed, said = play(tmp_path, ticdc, "--check", preflight_units=["kafka.service"])
    assert (code, changed, ticdc.asked) == (0, 1, []), said
    assert "helfy-changes would be made" in said


def test_extra_columns_are_captured_beside_those_of_the_database(
    tmp_path: Path, ticdc: StandIn
) -> None:
    extra = {"z.t": ["id"], "helfy.users": ["nickname"]}
    assert play(tmp_path, ticdc, ticdc_changefeed_extra_columns=extra)[0] == 0
    assert ticdc.feed is not None
    rules = ticdc.feed["config"]["filter"]["rules"]
    assert rules == [*(f"helfy.{table}" for table in CAPTURE["captured_columns"]), "z.t"]
    selectors = ticdc.feed["config"]["sink"]["column_selectors"]
    assert {"matcher": ["z.t"], "columns": ["id"]} in selectors
    users = [*CAPTURE["captured_columns"]["users"], "nickname"]
    assert selectors[0] == {"matcher": ["helfy.users"], "columns": users}


def test_a_failed_one_ends_the_run_with_its_reason_and_goes_on_when_told(
    tmp_path: Path, ticdc: StandIn
) -> None:
    assert play(tmp_path, ticdc)[0] == 0
    assert ticdc.feed is not None
    ticdc.feed["state"] = "failed"
    code, changed, said = play(tmp_path, ticdc)
    assert (code, changed) == (2, 0), said
    assert "changefeed_failed: [CDC:ErrKafkaNewProducer]" in said
    code, changed, said = play(tmp_path, ticdc, "-e", "ticdc_changefeed_update=true")
    assert (code, changed) == (0, 1), said
    assert ticdc.feed["state"] == "normal"


NOW = int(time.time() * 1000) << 18
SKIP = ("skip_plan", "skip")


def stopped_by(ticdc: StandIn, statement: dict[str, Any]) -> list[str]:
    """Let the changefeed fail at a statement, a minute after its position; give its rules."""
    assert ticdc.feed is not None
    ticdc.feed |= {"ahead": statement, "checkpoint_ts": NOW - (60_000 << 18)}
    ticdc.meet()
    assert ticdc.feed["state"] == "failed"
    ticdc.asked.clear()
    return list(ticdc.feed["config"]["filter"]["rules"])


def test_a_rename_of_an_uncaptured_table_is_passed_and_the_rules_restored(
    tmp_path: Path, ticdc: StandIn
) -> None:
    assert play(tmp_path, ticdc)[0] == 0
    rename = ahead("RENAME TABLE z.t TO helfy.users", NOW - 2, NOW - 1, old="z.t")
    rules = stopped_by(ticdc, rename)
    code, changed, said = play(tmp_path, ticdc, "--check", parts=SKIP)
    assert (code, changed, ticdc.asked) == (0, 1, []), said
    code, changed, said = play(tmp_path, ticdc, parts=SKIP)
    assert (code, changed) == (0, 2), said
    assert ticdc.feed is not None
    assert ticdc.feed["state"] == "normal"
    assert [each.split()[0] for each in ticdc.asked] == ["PUT", "POST", "POST", "PUT", "POST"]
    # While it was passed, the table was captured as the one that it became.
    passing = ticdc.updates[0]["replica_config"]
    assert passing["filter"]["rules"] == [*rules, "z.t"]
    columns = CAPTURE["captured_columns"]["users"]
    assert passing["sink"]["column_selectors"][-1] == {"matcher": ["z.t"], "columns": columns}
    assert ticdc.feed["config"]["filter"]["rules"] == rules
    assert "RENAME TABLE z.t TO helfy.users: applied" in said
    assert play(tmp_path, ticdc)[:2] == (0, 0)


def test_the_rules_are_restored_where_another_statement_stops_it(
    tmp_path: Path, ticdc: StandIn
) -> None:
    assert play(tmp_path, ticdc)[0] == 0
    rename = ahead("RENAME TABLE z.t TO helfy.users", NOW - 2, NOW - 1, old="z.t")
    rules = stopped_by(ticdc, rename | {"next": ahead("RENAME TABLE a TO c, c TO b", 1, NOW)})
    code, _, said = play(tmp_path, ticdc, parts=SKIP)
    assert code == 2, said
    assert "unsupported_ddl: " in said
    assert ticdc.feed is not None
    assert ticdc.feed["config"]["filter"]["rules"] == rules


def test_another_statement_is_passed_at_a_later_position(tmp_path: Path, ticdc: StandIn) -> None:
    assert play(tmp_path, ticdc)[0] == 0
    swap = ahead("RENAME TABLE a TO c, b TO a, c TO b", NOW - 2, NOW - (1000 << 18))
    rules = stopped_by(ticdc, swap)
    code, _, said = play(tmp_path, ticdc, parts=SKIP)
    assert (code, ticdc.asked) == (2, []), said
    assert "does not lead past" in said
    code, changed, said = play(tmp_path, ticdc, "-e", f"ticdc_changefeed_skip_to={NOW}", parts=SKIP)
    assert (code, changed) == (0, 1), said
    assert ticdc.feed is not None
    assert ticdc.feed["state"] == "normal"
    assert ticdc.feed["config"]["filter"]["rules"] == rules
