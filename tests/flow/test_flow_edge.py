"""What nginx says where the API is gone, or takes too long."""

import time

import requests
from machine import Machine, wait_for


def check_put_off(answer: requests.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].split(";")[0] == "application/json"
    assert answer.json().keys() == {"message", "requestId"}
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_an_api_that_is_gone_is_a_503(
    http: requests.Session, url: str, api_machine: Machine
) -> None:
    body = {"usernameOrEmail": "nobody", "password": "in vain"}
    api_machine.run("systemctl stop helfy-api.target 'helfy-api@*'")
    try:
        begun = time.monotonic()
        answer = http.post(f"{url}/login", json=body, timeout=30)
        assert time.monotonic() - begun < 10
        check_put_off(answer, 503)
        assert answer.headers["Retry-After"] == "2"
        assert http.get(f"{url}/", timeout=10).status_code == 200, "the page needs no API"
    finally:
        api_machine.run("systemctl start helfy-api.target", seconds=120)
    wait_for(lambda: http.get(f"{url}/health/ready", timeout=10).status_code == 200, "health", 60)


def test_an_api_that_hangs_is_a_504(http: requests.Session, url: str, api_machine: Machine) -> None:
    patience = int(api_machine.vars["nginx_api_timeout_seconds"])
    units = " ".join(api_machine.api_units)
    api_machine.run(f"systemctl kill --signal=STOP {units}")
    try:
        begun = time.monotonic()
        answer = http.get(f"{url}/health/live", timeout=60)
        took = time.monotonic() - begun
        check_put_off(answer, 504)
        assert patience - 1 < took < patience + 10
    finally:
        api_machine.run(f"systemctl kill --signal=CONT {units}")
    wait_for(lambda: http.get(f"{url}/health/ready", timeout=30).status_code == 200, "health", 90)
