"""Gaps of the record and the state of change capture: listed, acknowledged, in the status."""

from collections.abc import Callable
from typing import Any

import pytest
from api_support import Log, MakeApp, assert_error, token_of
from flask.testing import FlaskClient
from mariadb_server import MariaDB

from helfy import gaps


@pytest.fixture
def announce(database: MariaDB) -> Callable[..., int]:
    """Add a gap by SQL, as the guard on the database's host does; give its id."""

    def add(source_id: str = "snapshot:b.1:4", **columns: Any) -> int:
        row = {"cause": "snapshot", "source_id": source_id, "detail": "d"} | columns
        row = {"starts_at": "2026-11-23 19:00:00", "ends_at": "2026-11-23 19:05:00.5"} | row
        names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
        sql = f"INSERT INTO record_gaps ({names}) VALUES ({marks})"
        database.execute(sql, *row.values(), database="helfy")
        query = "SELECT id FROM record_gaps WHERE source_id = %s"
        [(found,)] = database.execute(query, source_id, database="helfy")
        return int(str(found))

    return add


def report(database: MariaDB, age: int = 0, **columns: Any) -> None:
    row = {"source": "helfy-changes", "state": "failed", "cause": "binlog_purged"} | columns
    marks = ", ".join(["%s"] * len(row))
    database.execute(
        f"REPLACE INTO capture_state ({', '.join(row)}, since, reported_at) VALUES ({marks},"
        f" '2026-11-23 19:00:00', NOW(6) - INTERVAL {age} SECOND)",
        *row.values(),
        database="helfy",
    )


def ask(client: FlaskClient, token: str, path: str = "/gaps", method: str = "GET") -> Any:
    return client.open(path, method=method, headers={"x-auth-token": token})


def test_gaps_are_listed_newest_first_by_pages(
    client: FlaskClient, announce: Callable[..., int]
) -> None:
    ids = [announce(f"id-{number}") for number in range(3)]
    token = token_of(client, "root")
    page = ask(client, token, "/gaps?limit=2").json
    assert [gap["id"] for gap in page["items"]] == [ids[2], ids[1]]
    assert page["next"] == ids[1]
    last = ask(client, token, f"/gaps?limit=2&after={page['next']}").json
    assert ([gap["id"] for gap in last["items"]], last["next"]) == ([ids[0]], None)
    assert {**last["items"][0], "detectedAt": ""} == {
        "id": ids[0],
        "cause": "snapshot",
        "reason": gaps.CAUSES["snapshot"],
        "sourceId": "id-0",
        "startsAt": "2026-11-23T19:00:00Z",
        "endsAt": "2026-11-23T19:05:00.500000Z",
        "detail": "d",
        "detectedAt": "",
        "acknowledgedAt": None,
        "acknowledgedBy": None,
    }


def test_gap_acknowledged_by_an_admin_is_open_no_more(
    client: FlaskClient, announce: Callable[..., int], log: Log
) -> None:
    gap, other = announce("a"), announce("b", cause="new_kind")
    token = token_of(client, "root")
    done = ask(client, token, f"/gaps/{gap}/acknowledge", "POST")
    assert (done.status_code, done.json["acknowledgedBy"]) == (200, "root")
    assert done.json["acknowledgedAt"] >= done.json["detectedAt"]
    [left] = ask(client, token, "/gaps?open=true").json["items"]
    assert (left["id"], left["reason"]) == (other, "new_kind")
    again = ask(client, token, f"/gaps/{gap}/acknowledge", "POST")
    assert_error(again, 409, f"gap {gap} was already acknowledged by root")
    assert_error(
        ask(client, token, "/gaps/999999/acknowledge", "POST"), 404, "there is no such gap"
    )
    [line] = log.lines("gap_acknowledged")
    assert (line["gapId"], line["userId"], line["outcome"]) == (gap, 3, "ok")
    assert line["actor"] == {"via": "api", "userId": 3, "username": "root"}


@pytest.mark.parametrize(
    ("path", "method"),
    [("/gaps", "GET"), ("/gaps/1/acknowledge", "POST"), ("/status", "GET")],
)
def test_gaps_are_for_admins(client: FlaskClient, path: str, method: str) -> None:
    assert client.open(path, method=method).status_code == 401
    token = token_of(client, "alice")
    assert_error(ask(client, token, path, method), 403, "this needs the role admin")


def test_who_acknowledges_is_not_the_requests_to_say(
    client: FlaskClient, announce: Callable[..., int]
) -> None:
    gap = announce()
    done = client.post(
        f"/gaps/{gap}/acknowledge?acknowledgedBy=alice",
        json={"acknowledgedBy": "alice", "by": "alice"},
        headers={"x-auth-token": token_of(client, "root"), "X-Username": "alice"},
    )
    assert done.json["acknowledgedBy"] == "root"


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "after=0", "after=x", "open=maybe"])
def test_gap_query_out_of_bounds_is_rejected(client: FlaskClient, query: str) -> None:
    assert ask(client, token_of(client, "root"), f"/gaps?{query}").status_code == 400


def test_status_has_a_bounded_number_of_open_gaps(
    client: FlaskClient, announce: Callable[..., int]
) -> None:
    token = token_of(client, "root")
    assert (ask(client, token, "/status").json["gaps"]) == []
    ids = [announce(f"id-{number}") for number in range(22)]
    ask(client, token, f"/gaps/{ids[21]}/acknowledge", "POST")
    status = ask(client, token, "/status").json
    assert [gap["id"] for gap in status["gaps"]] == ids[20:0:-1]
    assert status["gapsOpen"] == 21


def capture(client: FlaskClient) -> list[dict[str, Any]]:
    parts = ask(client, token_of(client, "root"), "/status").json["parts"]
    return [part for part in parts if part["name"] == "capture"]


def test_status_says_why_capture_failed(client: FlaskClient, database: MariaDB) -> None:
    [before] = capture(client)
    assert (before["instance"], before["cause"], before["remedy"]) == (None, None, None)
    report(database, message="the binlog is gone", remedy="Take a snapshot.", position="b.7:4")
    [part] = capture(client)
    assert (part["instance"], part["state"]) == ("helfy-changes", "down")
    assert part["said"].endswith(
        "; the binlog is gone, position b.7:4, since 2026-11-23T19:00:00Z. Take a snapshot."
    )
    told = (part["cause"], part["position"], part["remedy"])
    assert told == ("binlog_purged", "b.7:4", "Take a snapshot.")


def test_report_that_is_old_is_unknown(client: FlaskClient, database: MariaDB) -> None:
    report(database, age=59)
    assert [part["state"] for part in capture(client)] == ["down"]
    report(database, age=75)
    [part] = capture(client)
    assert part["state"] == "unknown"
    assert "unknown since 20" in part["said"]
    # A connector that was renamed leaves a report behind.
    report(database, source="renamed", state="running", cause=None)
    assert [part["instance"] for part in capture(client)] == ["renamed"]


def test_metrics_count_open_gaps_and_name_the_state(
    make_app: MakeApp, database: MariaDB, announce: Callable[..., int]
) -> None:
    announce()
    report(database, cause="x" * 60)
    report(database, source="two", state="running", cause=None)
    text = make_app().test_client().get("/metrics").text
    assert "\nhelfy_record_gaps_open 1.0\n" in text
    for labels in (
        'cause="other",source="helfy-changes",state="failed"',
        'cause="",source="two",state="running"',
    ):
        assert f"helfy_capture_state{{{labels}}} 1.0\n" in text


def test_metrics_without_a_database_lack_what_it_tells(
    make_app: MakeApp, database: MariaDB
) -> None:
    app = make_app()
    with database.stopped():
        text = app.test_client().get("/metrics").text
    assert "helfy_record_gaps_open" not in text
    assert "helfy_api_database_up 0.0" in text


def test_gaps_without_a_database_are_unavailable(
    client: FlaskClient, database: MariaDB, announce: Callable[..., int]
) -> None:
    gap, token = announce(), token_of(client, "root")
    with database.stopped():
        for path, method in (("/gaps", "GET"), (f"/gaps/{gap}/acknowledge", "POST")):
            answer = ask(client, token, path, method)
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
    assert ask(client, token, "/gaps?open=true").json["items"][0]["id"] == gap
