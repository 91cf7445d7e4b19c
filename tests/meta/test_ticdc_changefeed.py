"""The changefeed's module: what it decides, from real answers, and what it does, at a stand-in."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cluster_certificates
import module_paths
import pytest
from ansible.module_utils.testing import patch_module_args  # type: ignore[import-untyped]
from ticdc_stand_in import StandIn, ahead, running, sample

from helfy.schema import capture_state

ticdc_changefeed = module_paths.module("ticdc_changefeed")
changefeed = module_paths.module_utils("changefeed")

REMEDY_LENGTH: int = capture_state.c.remedy.type.length  # type: ignore[attr-defined]
WANTED = sample("update_changefeed_request")
SHOWN = sample("changefeed_after_update")


def test_what_was_asked_for_is_what_a_real_ticdc_shows() -> None:
    assert changefeed.differences(SHOWN, WANTED) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"memory_quota": 1}, ["memory_quota is 536870912, wanted is 1"]),
        ({"check_gc_safe_point": True}, ["check_gc_safe_point is False, wanted is True"]),
        ({"filter": {"rules": ["helfy.*", "!helfy.seen", "!helfy.throttle"]}}, ["[1]", "[2]"]),
        ({"filter": {"rules": ["helfy.*"]}}, ["filter.rules is ['helfy.*', "]),
        ({"sink": {"column_selectors": []}}, ["sink.column_selectors is [{"]),
        ({"sink": {"kafka_config": {"output_raw_change_event": False}}}, ["raw_change_event"]),
        ({"sink": {"dispatchers": [{"partition": "ts"}]}}, ["dispatchers[0].partition is index-v"]),
        ({"scheduler": {"enable_table_across_nodes": False}}, []),
        ({"bdr_mode": False}, []),
        ({"bdr_mode": True}, ["bdr_mode is None, wanted is True"]),
    ],
)
def test_a_setting_that_differs_is_named(change: dict[str, Any], said: list[str]) -> None:
    differs = changefeed.differences(SHOWN, {**WANTED, "replica_config": change})
    assert len(differs) == len(said)
    assert all(part in line for part, line in zip(said, differs, strict=True))


@pytest.mark.parametrize(
    ("shown", "wanted", "said"),
    [
        ("kafka://a:9092/t?b=2&a=1", "kafka://a:9092/t?a=1&b=2", []),
        ("kafka://a:9092/t?a=x%2Fy", "kafka://a:9092/t?a=x/y", []),
        ("kafka://a:9092/t?a=1", "kafka://a:9092/t?a=2", ["a of sink_uri is 1, wanted is 2"]),
        ("kafka://a:9092/t", "kafka://a:9092/t?a=2", ["a of sink_uri is None, wanted is 2"]),
        ("kafka://a:9092/t?a=1", "kafka://a:9092/t", ["a of sink_uri is 1, wanted is None"]),
        (
            "kafka://a:9092/t",
            "kafka://b:9092/t",
            ["brokers of sink_uri is a:9092, wanted is b:9092"],
        ),
        ("kafka://a:9092/t", "kafka://a:9092/u", ["topic of sink_uri is t, wanted is u"]),
        ("mysql://a:9092/t", "kafka://a:9092/t", ["scheme of sink_uri is mysql, wanted is kafka"]),
        ("kafka://a/t?sasl-password=xxxxx", "kafka://a/t?sasl-password=s3cr3t", []),
        (
            "kafka://a/t",
            "kafka://a/t?sasl-password=s3cr3t",
            ["sasl-password of sink_uri is another one than wanted (not shown)"],
        ),
        (
            "kafka://a/t?sasl-password=xxxxx",
            "kafka://a/t",
            ["sasl-password of sink_uri is another one than wanted (not shown)"],
        ),
    ],
)
def test_uris_differ_by_what_they_say(shown: str, wanted: str, said: list[str]) -> None:
    assert (
        changefeed.differences({"sink_uri": shown}, {"sink_uri": wanted, "replica_config": {}})
        == said
    )


@pytest.mark.parametrize(
    ("state", "differs", "forced", "planned"),
    [
        (None, False, False, ["create"]),
        (None, True, True, ["create"]),
        ("normal", False, False, []),
        ("warning", False, False, []),
        ("pending", False, False, []),
        ("stopped", False, False, ["resume"]),
        ("failed", False, False, []),
        ("normal", True, False, ["pause", "update", "resume"]),
        ("warning", True, False, ["pause", "update", "resume"]),
        ("stopped", True, False, ["update", "resume"]),
        ("failed", True, False, ["update", "resume"]),
        ("failed", False, True, ["update", "resume"]),
        ("normal", False, True, ["pause", "update", "resume"]),
    ],
)
def test_what_is_done(state: str | None, differs: bool, forced: bool, planned: list[str]) -> None:
    shown = None if state is None else {**SHOWN, "state": state}
    wanted = {**WANTED, "replica_config": {"memory_quota": 1}} if differs else WANTED
    assert changefeed.steps(shown, wanted, forced=forced) == planned


@pytest.mark.parametrize("state", ["finished", "removed"])
def test_what_ended_is_not_begun_again(state: str) -> None:
    with pytest.raises(ValueError, match=f"it is {state}"):
        changefeed.steps({**SHOWN, "state": state}, WANTED, forced=True)


Run = Callable[..., dict[str, Any]]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Give the address at which a folder's files are served, as TiDB's status port would."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def ticdc() -> Iterator[StandIn]:
    with running() as stand_in:
        yield stand_in


@pytest.fixture
def run(ticdc: StandIn, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the module as Ansible would, and give its result."""

    def module(check: bool = False, **given: Any) -> dict[str, Any]:
        values = {"servers": [ticdc.address], "id": "helfy-changes", "wait_seconds": 1, **WANTED}
        with (
            patch_module_args(values | given | {"_ansible_check_mode": check}),
            pytest.raises(SystemExit),
        ):
            ticdc_changefeed.main()
        return dict(json.loads(capsys.readouterr().out))

    return module


def test_with_tls_it_is_asked_by_a_certificate_and_in_no_other_way(
    run: Run, tmp_path: Path
) -> None:
    ours = cluster_certificates.make(tmp_path / "tls")
    others = cluster_certificates.make(tmp_path / "others")

    def files(authority: Path, own: Path) -> dict[str, str]:
        client = {"client_cert": str(own / "cdc.crt"), "client_key": str(own / "cdc.pem")}
        return {"ca_path": str(authority / "ca.crt"), **client}

    with running(cluster_certificates.demanding(ours)) as ticdc:
        given = {"servers": [ticdc.address], "wait_seconds": 0}
        assert run(**given, **files(ours, ours))["steps"] == ["create"]
        assert run(**given, **files(ours, ours), ensure="healthy")["said"].startswith("normal")
        # In clear, by another authority's certificate, or to one that another vouches for.
        for wrong in ({}, files(ours, others), files(others, ours)):
            assert run(**given, **wrong)["msg"].startswith("no TiCDC server can be asked: ")
    missing = run(**given, **files(ours, tmp_path))
    assert "cannot be read" in missing["msg"]
    assert "tidb_tiup_cluster_tls is true" in missing["msg"]


def config(ticdc: StandIn) -> dict[str, Any]:
    assert ticdc.feed is not None
    return dict(ticdc.feed["config"])


def test_it_is_made_once(ticdc: StandIn, run: Run) -> None:
    assert run(check=True)["steps"] == ["create"]
    assert ticdc.feed is None
    made = run()
    assert (made["changed"], made["steps"]) == (True, ["create"])
    assert run(ensure="healthy")["said"] == "normal, 0.4 s behind"
    again = run()
    assert (again["changed"], again["steps"], again["said"]) == (False, [], "as wanted")
    assert ticdc.asked == ["POST changefeeds"]


def test_what_differs_is_updated_and_it_goes_on(ticdc: StandIn, run: Run) -> None:
    run()
    ticdc.slow_pause = 3
    other = {**WANTED["replica_config"], "memory_quota": 99}
    planned = run(check=True, replica_config=other)
    assert planned["steps"] == ["pause", "update", "resume"]
    assert planned["differences"] == ["memory_quota is 536870912, wanted is 99"]
    assert ticdc.asked == ["POST changefeeds"]
    assert run(replica_config=other)["steps"] == planned["steps"]
    feed = "changefeeds/helfy-changes"
    assert ticdc.asked[1:] == [f"POST {feed}/pause", f"PUT {feed}", f"POST {feed}/resume"]
    assert config(ticdc)["memory_quota"] == 99
    assert not run(replica_config=other)["changed"]
    assert run(ensure="healthy")["said"].startswith("normal")


def test_a_run_that_was_cut_off_after_the_pause_is_made_good(ticdc: StandIn, run: Run) -> None:
    run()
    assert ticdc.feed is not None
    ticdc.feed["state"] = "stopped"
    assert run()["steps"] == ["resume"]
    assert ticdc.feed["state"] == "normal"


def test_an_update_that_is_refused_leaves_it_running(ticdc: StandIn, run: Run) -> None:
    run()
    ticdc.refuses_updates = True
    failed = run(update=True)
    assert failed["failed"]
    assert failed["msg"].startswith("[CDC:ErrChangefeedUpdateRefused]something is wrong with it")
    assert failed["msg"].endswith(" (it goes on with its old settings)")
    assert ticdc.feed is not None
    assert ticdc.feed["state"] == "normal"


def test_a_pause_that_does_not_come_is_taken_back(ticdc: StandIn, run: Run) -> None:
    run()
    ticdc.slow_pause = 10_000
    assert "does not come to rest (it goes on" in run(update=True)["msg"]
    assert ticdc.asked[-1] == "POST changefeeds/helfy-changes/resume"


def test_kafka_away_at_create_is_told_in_ticdcs_words(ticdc: StandIn, run: Run) -> None:
    ticdc.kafka = False
    assert "connect: connection refused" in run()["msg"]
    assert ticdc.feed is None


def test_tls_files_that_are_incomplete_are_rejected(ticdc: StandIn, run: Run) -> None:
    alone = WANTED["sink_uri"] + "&enable-tls=true&ca=%2Fca.pem"
    assert "ca, cert and key files should all be supplied" in run(sink_uri=alone)["msg"]
    assert ticdc.feed is None
    run()
    changed = run(sink_uri=alone)["msg"]
    assert "ca, cert and key files should all be supplied" in changed
    assert changed.endswith(" (it goes on with its old settings)")
    assert run(sink_uri=f"{alone}&cert=%2Fhost.pem&key=%2Fhost.pem")["changed"]


def test_a_password_is_never_shown(run: Run) -> None:
    secret = {"sink_uri": WANTED["sink_uri"] + "&sasl-password=s3cr3t-enough"}
    run()
    changed = run(**secret)
    assert changed["differences"] == [
        "sasl-password of sink_uri is another one than wanted (not shown)"
    ]
    assert "s3cr3t" not in json.dumps(changed)
    assert not run(**secret)["changed"]


def test_the_first_server_that_answers_is_asked(ticdc: StandIn, run: Run) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = f"127.0.0.1:{nobody.getsockname()[1]}"
        assert run(servers=[away, ticdc.address])["steps"] == ["create"]
        failed = run(servers=[away], wait_seconds=0)
    assert failed["msg"].startswith(f"no TiCDC server can be asked: {away} does not answer (")
    ticdc.leader = False
    assert "[CDC:ErrOwnerNotFound]owner not found" in run(wait_seconds=0)["msg"]


def test_health_says_what_is_wrong_and_what_to_do(ticdc: StandIn, run: Run) -> None:
    assert "CDC:ErrChangeFeedNotExists" in run(ensure="healthy")["msg"]
    run()
    assert ticdc.feed is not None
    ticdc.feed["state"] = "warning"
    warned = run(ensure="healthy", wait_seconds=0)["msg"]
    assert warned.startswith("the changefeed helfy-changes is warning at 4")
    assert "): broker_unavailable: [CDC:ErrKafkaNewProducer]" in warned
    assert "tries again by itself" in warned
    ticdc.feed["state"] = "normal"
    ticdc.behind_seconds = 300
    assert "): behind: 300 s behind. See make logs" in run(ensure="healthy", wait_seconds=0)["msg"]
    assert run(ensure="healthy", behind_seconds=400)["said"] == "normal, 300.0 s behind"


NOW = changefeed.tso(time.time())
SWAP = "RENAME TABLE a TO c, b TO a, c TO b"
RENAME = "RENAME TABLE z.t TO helfy.users"


def fail_at(ticdc: StandIn, statement: dict[str, Any]) -> None:
    """Let it come to a statement that it cannot apply."""
    assert ticdc.feed is not None
    ticdc.feed |= {"ahead": statement, "checkpoint_ts": NOW - changefeed.tso(60)}
    ticdc.meet()
    assert ticdc.feed["state"] == "failed"


@pytest.mark.slow
def test_a_failed_changefeed_names_cause_position_and_remedy(ticdc: StandIn, run: Run) -> None:
    run()
    fail_at(ticdc, ahead(SWAP, NOW - 2, NOW - 1))
    begun = time.monotonic()
    failed = run(ensure="healthy", wait_seconds=60)["msg"]
    assert time.monotonic() - begun < 30, "it waits for what does not come"
    assert f" is failed at {NOW - changefeed.tso(60)} (" in failed
    assert "): unsupported_ddl: [CDC:ErrHandleDDLFailed]handle ddl failed, query: RENAME " in failed
    assert "playbooks/changefeed-skip.yml" in failed
    # An update cannot help: the statement stays ahead.
    assert run(update=True)["steps"] == ["update", "resume"]
    assert "unsupported_ddl" in run(ensure="healthy")["msg"]


def test_an_update_that_changes_nothing_is_no_failure(ticdc: StandIn, run: Run) -> None:
    run()
    run(update=True)
    assert ticdc.feed is not None
    ticdc.feed["state"] = "failed"
    assert run(update=True)["steps"] == ["update", "resume"]
    assert ticdc.feed["state"] == "normal"


def test_a_rename_is_passed_by_rules_that_name_the_old_table(ticdc: StandIn, run: Run) -> None:
    run()
    fail_at(ticdc, ahead(RENAME, NOW - 2, NOW - 1, old="z.t"))
    told = run(ensure="skip_planned", captured={"helfy.users": ["id", "role"], "helfy.s": ["id"]})
    assert (told["position"], told["extra_columns"]) == (0, {"z.t": ["id", "role"]})
    assert NOW - 1 < told["past"] <= changefeed.tso(time.time() + 1)
    checkpoint = NOW - changefeed.tso(60)
    assert told["gap"] == {
        "cause": "skipped_ddl",
        "source_id": f"helfy-changes:{checkpoint}",
        "starts": changefeed.time_text(checkpoint),
        "ends": changefeed.time_text(told["past"]),
        "detail": (f"{RENAME}: applied. Rows that the table held before have no line of their own"),
    }
    rules = WANTED["replica_config"]["filter"]["rules"]
    wider = {**WANTED["replica_config"], "filter": {"rules": [*rules, "z.t"]}}
    run(replica_config=wider, update=True)
    assert run(ensure="healthy", position=NOW - 1)["said"].startswith("normal")
    assert run()["steps"] == ["pause", "update", "resume"], "back to the rules that are wanted"


def test_a_position_past_the_statement_is_resumed_at(
    ticdc: StandIn, run: Run, tmp_path: Path
) -> None:
    run()
    begin, end = NOW - changefeed.tso(2), NOW - changefeed.tso(1)
    fail_at(ticdc, ahead(SWAP, begin, end))
    jobs = [{"start_ts": begin - 1, "binlog": {"FinishedTS": 1}}]
    jobs += [{"start_ts": begin, "binlog": {"FinishedTS": end}}]
    (tmp_path / "ddl").mkdir()
    (tmp_path / "ddl/history").write_text(json.dumps(jobs))
    with served(tmp_path) as tidb:
        asked = {"ensure": "skip_planned", "tidb_status_servers": ["127.0.0.1:9", tidb]}
        told = run(**asked)
        (tmp_path / "ddl/history").write_text(json.dumps(jobs[:1]))
        unknown = run(**asked)["msg"]
    assert (told["position"], told["past"], told["extra_columns"]) == (end, end, {})
    assert told["gap"]["ends"] == changefeed.time_text(end)
    assert f"query: {SWAP}, startTs: {begin}" in told["gap"]["detail"]
    assert "ticdc_changefeed_skip_to is '': it does not lead past" in unknown
    assert "-e ticdc_changefeed_skip_to=now" in unknown
    run(update=True, position=end)
    assert ticdc.feed is not None
    assert ticdc.feed["state"] == "normal"
    assert run(ensure="healthy")["said"].startswith("normal")


@pytest.mark.parametrize(
    ("skip_to", "position"),
    [
        (str(NOW), NOW),
        (changefeed.time_text(NOW), changefeed.tso(changefeed.seconds_of(NOW))),
        ("2026-01-01T00:00:00Z", None),
        ("soon", None),
    ],
)
def test_a_position_to_skip_to_is_a_tso_or_a_time(
    ticdc: StandIn, run: Run, skip_to: str, position: int | None
) -> None:
    run()
    lost = {"code": "CDC:ErrGCTTLExceeded", "message": "[CDC:ErrGCTTLExceeded]gone"}
    fail_at(ticdc, {"end": NOW - 1, "old": "", "error": lost})
    told = run(ensure="skip_planned", skip_to=skip_to)
    if position is None:
        assert f"ticdc_changefeed_skip_to is '{skip_to}': it " in told["msg"]
        return
    assert told["position"] == told["past"] == position
    assert told["gap"]["cause"] == "stream_restarted"
    assert "position_lost: [CDC:ErrGCTTLExceeded]gone" in told["gap"]["detail"]


def test_now_to_skip_to_is_the_hosts_clock(ticdc: StandIn, run: Run) -> None:
    run()
    fail_at(ticdc, ahead(SWAP, NOW - 2, NOW - 1))
    told = run(ensure="skip_planned", skip_to="now")
    assert NOW <= told["position"] <= changefeed.tso(time.time())


def test_a_healthy_changefeed_has_nothing_to_skip(ticdc: StandIn, run: Run) -> None:
    run()
    told = run(ensure="skip_planned")
    assert "is normal at 4" in told["msg"]
    assert "there is nothing to continue past. No action is needed." in told["msg"]
    assert ticdc.feed is not None
    ticdc.feed["state"] = "warning"
    assert "TiCDC tries again by itself" in run(ensure="skip_planned", skip_to="now")["msg"]


def test_a_changefeed_that_tries_in_vain_can_be_moved_on(ticdc: StandIn, run: Run) -> None:
    run()
    vain = {"code": "CDC:ErrNew", "message": "[CDC:ErrNew]handle ddl failed"}
    fail_at(ticdc, {"end": NOW - 1, "old": "", "error": vain})
    assert ticdc.feed is not None
    ticdc.feed["state"] = "warning"
    assert "there is nothing to continue past" in run(ensure="skip_planned")["msg"]
    assert run(ensure="skip_planned", skip_to="now")["position"] >= NOW


@pytest.mark.parametrize(
    ("renamed", "extra"),
    [
        ({"z.t": "helfy.users"}, {"z.t": ["id"]}),
        ({"z.T": "HELFY.Users"}, {"z.T": ["id"]}),
        ({"t": "users"}, {"*.t": ["id"]}),
        ({"a b.t`x": "helfy.users"}, {"`a b`.`t``x`": ["id"]}),
        ({"users": "old", "new": "users"}, {"*.new": ["id"]}),
        ({"z.t": "helfy.other"}, {}),
        ({"z.t": "z.users"}, {}),
        ({"helfy.users": "helfy.Users"}, {}),
    ],
)
def test_a_table_renamed_to_a_captured_one_gets_its_columns(
    renamed: dict[str, str], extra: dict[str, list[str]]
) -> None:
    captured = {"helfy.users": ["id"], "helfy.sessions": ["id", "ip"]}
    assert changefeed.extra_columns(renamed, captured, "helfy") == extra


@pytest.mark.parametrize(
    ("code", "state", "cause", "shown"),
    [
        ("CDC:ErrSyncRenameTableFailed", "failed", "rename_from_uncaptured", "failed"),
        ("CDC:ErrHandleDDLFailed", "warning", "unsupported_ddl", "failed"),
        ("CDC:ErrGCTTLExceeded", "failed", "position_lost", "failed"),
        ("CDC:ErrStartTsBeforeGC", "failed", "position_lost", "failed"),
        ("CDC:ErrSnapshotLostByGC", "failed", "position_lost", "failed"),
        ("CDC:ErrMessageTooLarge", "warning", "record_too_large", "failed"),
        ("CDC:ErrColumnSelectorFailed", "failed", "key_not_captured", "failed"),
        ("CDC:ErrKafkaNewProducer", "warning", "broker_unavailable", "waiting"),
        ("CDC:ErrKafkaInvalidConfig", "failed", "changefeed_failed", "failed"),
        ("CDC:ErrOwnerUnknown", "warning", "changefeed_failed", "waiting"),
        ("CDC:ErrOwnerUnknown", "failed", "changefeed_failed", "failed"),
        ("", "stopped", "paused", "waiting"),
        ("", "finished", "changefeed_ended", "failed"),
        ("", "normal", "behind", "waiting"),
    ],
)
def test_condition_of_an_error_names_its_cause(
    code: str, state: str, cause: str, shown: str
) -> None:
    told = {"last_error": {"code": code, "message": f"[{code}]words"}} if code else {}
    how = changefeed.condition({"state": state, "checkpoint_ts": NOW, **told}, NOW + 600, 60)
    assert (how.state, how.cause) == (shown, cause)
    assert how.message
    assert how.remedy
    assert len(how.remedy) <= REMEDY_LENGTH
    wrapped = {"code": "CDC:ErrChangefeedUnretryable", "message": f"[CDC:ErrX]wrapped: [{code}]"}
    if code:
        status = {"state": state, "checkpoint_ts": NOW, "last_error": wrapped}
        assert changefeed.condition(status, NOW, 60).cause == cause


def test_condition_of_a_healthy_changefeed_has_no_message() -> None:
    how = changefeed.condition(
        {"state": "normal", "checkpoint_ts": NOW}, changefeed.seconds_of(NOW), 60
    )
    assert vars(how) == {
        "state": "running",
        "cause": None,
        "message": None,
        "remedy": None,
        "position": f"{NOW} ({changefeed.time_text(NOW)})",
    }


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("ALTER TABLE users ADD a TEXT DEFAULT 's3cr3t'", "ALTER TABLE users ADD a TEXT DEFAULT ?"),
        (
            "ALTER TABLE u ADD a INT DEFAULT 4711 COMMENT 'it''s'",
            "ALTER TABLE u ADD a INT DEFAULT ? COMMENT ?",
        ),
        (
            "ALTER TABLE `a'b` ADD c2 TEXT DEFAULT _utf8mb4 's'",
            "ALTER TABLE `a'b` ADD c2 TEXT DEFAULT ?",
        ),
        (
            "CREATE VIEW v AS SELECT x'41', 0x41, N's', \"s\" /* s3 */ -- s4",
            "CREATE VIEW v AS SELECT ?, ?, ?, ?",
        ),
        ("CREATE TABLE t (a TEXT DEFAULT 'no end", "CREATE TABLE t (a TEXT DEFAULT ?"),
        (
            r"CREATE TABLE t (a TEXT DEFAULT 'a\', b TEXT DEFAULT ' s3cr3t ')",
            "CREATE TABLE t (a TEXT DEFAULT …",
        ),
    ],
)
@pytest.mark.parametrize("old", ["", "z.t"])
def test_a_message_has_no_literal_of_its_statement(sql: str, shown: str, old: str) -> None:
    message = ahead(sql, 470669269490991110, 2, old)["error"]["message"]
    written = changefeed.redacted(message)
    assert written == message.replace(sql, shown)
    if not old:
        assert changefeed.start_ts(written) == 470669269490991110


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("RENAME TABLE z.t TO helfy.users", {"z.t": "helfy.users"}),
        (
            "rename table `z`.`t x`  to\nhelfy . users, b to sessions",
            {"z.t x": "helfy.users", "b": "sessions"},
        ),
        ("ALTER TABLE z.t RENAME TO helfy.users", {"z.t": "helfy.users"}),
        ("alter table t comment 'x', rename as users", {"t": "users"}),
        ("ALTER TABLE t RENAME users", {"t": "users"}),
        ("ALTER TABLE t RENAME COLUMN a TO b, RENAME INDEX c TO d", {}),
        ("CREATE TABLE users LIKE t", {}),
    ],
)
def test_renames_of_a_statement_are_found(sql: str, told: dict[str, str]) -> None:
    assert changefeed.renames(ahead(sql, 1, 2, "z.t")["error"]["message"]) == told


def test_health_waits_for_a_warning_to_pass(ticdc: StandIn, run: Run) -> None:
    run()
    assert ticdc.feed is not None
    ticdc.feed["state"] = "warning"
    feed = ticdc.feed
    looks = []

    def answer(method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path.endswith("/status"):
            looks.append(path)
            if len(looks) == 3:
                feed["state"] = "normal"
        return StandIn.answer(ticdc, method, path, body)

    ticdc.answer = answer  # type: ignore[method-assign]
    assert run(ensure="healthy", wait_seconds=60)["said"].startswith("normal")
    assert len(looks) == 3


def test_what_is_no_json_is_said_so(ticdc: StandIn, run: Run) -> None:
    ticdc.answer = lambda *_: (502, "bad gateway")  # type: ignore[method-assign]
    assert run(wait_seconds=0)["msg"].endswith('TiCDC answers with HTTP 502 "bad gateway"')
