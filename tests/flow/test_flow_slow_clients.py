"""Slow clients (slowloris) are nginx's to bear: whoever else wants to log in does not notice."""

import contextlib
import json
import resource
import socket
import time
from typing import Final
from urllib.parse import urlsplit

import pytest
from machine import Machine, wait_for
from slow import SlowClients

HEADERS: Final = 400
BODIES: Final = 300
LOGINS: Final = 10
SECONDS: Final = 5.0
# Connections that the firewall lets one address have, for each request that nginx does.
FOR_EACH_REQUEST: Final = 8
MORE: Final = 40
# On the VM itself: the slow ones' address is short of room, as it should be.
OTHER: Final = r"""
import http.client, json, sys, time
given = json.load(sys.stdin)
took, statuses = [], []
for _ in range(given["logins"]):
    link = http.client.HTTPConnection(*given["place"], timeout=30)
    begun = time.monotonic()
    headers = {"Content-Type": "application/json", "User-Agent": given["agent"]}
    link.request("POST", "/login", json.dumps(given["credentials"]), headers)
    answer = link.getresponse()
    answer.read()
    statuses.append(answer.status)
    took.append(time.monotonic() - begun)
print(json.dumps({"took": took, "statuses": statuses}))
"""


@pytest.mark.usefixtures("http")  # it takes the logins away
def test_others_log_in_beside_hundreds_of_slow_clients(
    client_machine: Machine, url: str, lab_account: dict[str, str], run_id: str
) -> None:
    page = urlsplit(url)
    if page.scheme != "http":
        pytest.skip("these clients are too slow for a handshake: try it without TLS")
    assert page.hostname is not None
    assert page.port is not None
    given = {
        "place": (page.hostname, page.port),
        "logins": LOGINS,
        "agent": f"helfy-tests/{run_id}",
        "credentials": {
            "usernameOrEmail": lab_account["username"],
            "password": lab_account["password"],
        },
    }
    patience = int(client_machine.vars["nginx_client_timeout_seconds"])
    most = int(client_machine.vars["nginx_address_connections"])
    assert most < BODIES
    with SlowClients(page.hostname, page.port, HEADERS, BODIES) as slow:
        begun = time.monotonic()
        # One address may have so many requests going on, and is told so beyond.
        wait_for(lambda: slow.turned_away[429] == BODIES - most, "429 for the rest", 20)
        head, _, body = slow.answer.partition(b"\r\n\r\n")
        assert json.loads(body).keys() == {"message", "requestId"}
        assert b"Retry-After: 1" in head.split(b"\r\n")
        other = client_machine.python(OTHER, given, seconds=120)
        assert other["statuses"] == [200] * LOGINS
        assert sorted(other["took"])[LOGINS // 2] < SECONDS, other
        assert slow.held("body") == most, "they were there all the time"
        # Headers have to be there in time, and who drips them is let go.
        wait_for(lambda: slow.held("headers") == 0, "an end of slow headers", 4 * patience)
        assert slow.closed["headers"] == HEADERS
        assert time.monotonic() - begun < 60


def test_one_address_has_so_many_connections_and_no_more(client_machine: Machine, url: str) -> None:
    """nginx counts those alone whose headers are there: the firewall counts all."""
    most = FOR_EACH_REQUEST * int(client_machine.vars["nginx_address_connections"])
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    port = urlsplit(url).port
    refused = 0
    try:
        with contextlib.ExitStack() as held:
            for _ in range(most + MORE):
                try:
                    held.enter_context(
                        socket.create_connection((client_machine.address, port), timeout=10)
                    )
                except ConnectionRefusedError:
                    refused += 1
            assert refused >= MORE
            # Another address, the VM's own, is let in.
            client_machine.run(f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'")
        assert refused < most
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


# Bodies that are no JSON, so no password is hashed; from an address that no other test has.
FLOOD: Final = r"""
import http.client, json, sys
from concurrent.futures import ThreadPoolExecutor
given = json.load(sys.stdin)
def post(source):
    link = http.client.HTTPConnection(*given["place"], timeout=30, source_address=(source, 0))
    link.request("POST", "/login", "no JSON", {"Content-Type": "application/json"})
    answer = link.getresponse()
    body = answer.read().decode()
    return answer.status, answer.headers["Content-Type"], answer.headers["Retry-After"], body
with ThreadPoolExecutor(given["requests"]) as pool:
    flood = list(pool.map(post, ["127.0.9.1"] * given["requests"]))
print(json.dumps({"flood": flood, "other": post("127.0.9.2")}))
"""


def test_logins_of_one_address_are_limited(client_machine: Machine, url: str) -> None:
    page = urlsplit(url)
    if page.scheme != "http":
        pytest.skip("tried without TLS")
    burst = int(client_machine.vars["nginx_address_logins_burst"])
    given = {"place": (page.hostname, page.port), "requests": 2 * burst}
    found = client_machine.python(FLOOD, given, seconds=120)
    assert found["other"][0] == 400
    rejected = [answer for answer in found["flood"] if answer[0] == 429]
    assert len(rejected) > burst // 2
    assert {answer[0] for answer in found["flood"]} == {400, 429}
    for _, kind, later, body in rejected:
        assert (kind.split(";")[0], later) == ("application/json", "1")
        assert json.loads(body).keys() == {"message", "requestId"}
