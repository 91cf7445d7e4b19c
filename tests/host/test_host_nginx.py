"""nginx: headers on everything, its own refusals in the API's words, and honest addresses."""

import json
import socket
import ssl
import time
from typing import Final
from urllib.parse import urlsplit

import pytest
import requests
from machine import Machine, wait_for

STRICT_POLICY = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "connect-src": ["'self'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
}
TOO_LARGE = "x" * 17_000


def own_address(url: str) -> str:
    """The address that the machine sees us come from."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=5) as link:
        return str(link.getsockname()[0])


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/health/ready", 200), ("/profile", 401), ("/no-such-page", 404)],
)
def test_security_headers_are_on_every_answer(url: str, path: str, status: int) -> None:
    answer = requests.get(url + path, timeout=10)
    assert answer.status_code == status
    headers = answer.headers
    policy = {
        words[0]: words[1:]
        for part in headers["Content-Security-Policy"].split(";")
        if (words := part.split())
    }
    assert {name: policy.get(name) for name in STRICT_POLICY} == STRICT_POLICY
    assert not any("unsafe" in word for words in policy.values() for word in words)
    # Said twice, a browser may take neither.
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert not [name for name in headers if name.lower().startswith("access-control-")]
    assert "/" not in headers.get("Server", ""), "the version is nobody's business"


def test_answers_of_the_api_are_not_kept(url: str) -> None:
    assert requests.get(f"{url}/profile", timeout=10).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/", 405),
        ("PUT", "/index.html", 405),
        ("DELETE", "/login", 405),
        ("GET", "/login", 405),
        # No other site may ask, whatever it asks first.
        ("OPTIONS", "/login", 405),
        ("OPTIONS", "/", 405),
        ("GET", "/js/", 403),
        ("GET", "/no-such-page", 404),
        ("GET", "/profile/no-such-thing", 404),
        ("GET", "/.git/config", 404),
        ("GET", "/metrics", 404),
    ],
)
def test_refusals_are_json(url: str, method: str, path: str, status: int) -> None:
    answer = requests.request(method, url + path, timeout=10)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].split(";")[0] == "application/json"
    body = answer.json()
    assert body.keys() == {"message", "requestId"}
    assert body["message"]
    assert body["requestId"]
    if status == 405:
        assert answer.headers.get("Allow"), "which methods there are must be said (RFC 9110)"


def test_a_large_body_is_refused_in_json(url: str) -> None:
    answer = requests.post(f"{url}/login", json={"usernameOrEmail": TOO_LARGE}, timeout=10)
    assert answer.status_code == 413
    assert answer.headers["Content-Type"].split(";")[0] == "application/json"
    assert answer.json().keys() == {"message", "requestId"}


@pytest.mark.parametrize(
    ("request_line", "more", "status"),
    [
        ("GET /" + "a" * 9_000 + " HTTP/1.1", "", 414),
        ("GET / HTTP/1.1", "X-Large: " + "a" * 9_000, 431),
        ("GET /login HTTP/1.1", "\r\n".join(f"X-{n}: {'a' * 4_000}" for n in range(9)), 431),
        ("GET / HTTP/9.9", "", 505),
        ("GARBAGE", "", 400),
        ("GET / HTTP/1.1", "Host: twice", 400),
        ("GET /%00 HTTP/1.1", "", 400),
        ("POST /login HTTP/1.1", "Transfer-Encoding: gzip", 501),
        ("POST /login HTTP/1.1", "Content-Length: -1", 400),
        ("POST /login HTTP/1.1", "Content-Length: 17000", 413),
        ("POST /login HTTP/1.1", "Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        ("TRACE / HTTP/1.1", "", 405),
        ("GET / HTTP/1.1", "Range: bytes=99999999-", 416),
        ("GET / HTTP/1.1", 'If-Match: "another"', 412),
    ],
)
def test_what_nginx_refuses_before_it_has_read_it_all_is_json_too(
    url: str, request_line: str, more: str, status: int
) -> None:
    """Sent as they are: no library would send most of these."""
    head = "\r\n".join(filter(None, (request_line, "Host: helfy", more, "Connection: close")))
    said = exchange(url, head.encode() + b"\r\n\r\n")
    first, _, rest = said.partition(b"\r\n")
    assert first.split()[1] == str(status).encode(), said[:300]
    headers, _, body = rest.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in headers.lower()
    assert b"content-security-policy:" in headers.lower()
    assert json.loads(body).keys() == {"message", "requestId"}


def exchange(url: str, sent: bytes) -> bytes:
    """Send bytes and give all that comes back."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 80)
    link = socket.create_connection(address, timeout=10)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        link = context.wrap_socket(link)
    with link:
        link.sendall(sent)
        pieces = []
        while piece := link.recv(65_536):
            pieces.append(piece)
    return b"".join(pieces)


def test_a_clients_word_on_its_address_is_not_believed(
    url: str, http: requests.Session, api_machine: Machine
) -> None:
    lies = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Real-IP": "203.0.113.9",
        "Forwarded": "for=1.1",
        "X-Proxy-Key": "k" * 32,
    }
    body = {"usernameOrEmail": "nobody-of-this-name", "password": "x"}
    answer = http.post(f"{url}/login", json=body, headers=lies, timeout=10)
    assert logged_addresses(api_machine, answer.json()["requestId"]) == {own_address(url)}


FORGE: Final = """
import http.client, json, sys
given = json.load(sys.stdin)
link = http.client.HTTPConnection(given["server"], timeout=10)
body = json.dumps({"usernameOrEmail": "nobody", "password": "x"})
link.request("POST", "/login", body, given["headers"])
print(json.dumps(json.loads(link.getresponse().read())["requestId"]))
"""


def test_process_of_the_same_vm_cannot_forge_an_address(api_machine: Machine) -> None:
    address = api_machine.vars["helfy_api_listen_address"]
    server = f"{address}:{api_machine.vars['helfy_api_first_port']}"
    lies = {"Content-Type": "application/json", "X-Forwarded-For": "203.0.113.9"}
    for headers in (lies, lies | {"X-Proxy-Key": "k" * 64}):
        request_id = api_machine.python(FORGE, {"server": server, "headers": headers})
        assert logged_addresses(api_machine, request_id) == {address}


def logged_addresses(api_machine: Machine, request_id: str) -> set[str]:
    """Give the clients' addresses in the API's log lines of a request."""

    def logged() -> list[str] | None:
        command = "journalctl --namespace='*' -q -a -o cat --no-pager --since=-60s -u 'helfy-api@*'"
        said = api_machine.run(f"{command} | grep -F '{request_id}' || true")
        return said.splitlines() or None

    lines = [json.loads(line) for line in wait_for(logged, "the log line of the login", 10)]
    return {line["ip"] for line in lines}


def test_a_clients_request_id_cannot_forge_a_log_line(url: str) -> None:
    given = 'abcdefgh","level":"critical'
    answer = requests.get(f"{url}/profile", headers={"X-Request-ID": given}, timeout=10)
    assert answer.json()["requestId"] != given
    assert answer.headers["X-Request-ID"] == answer.json()["requestId"]


FORGED = b'{"action":"forged"}'


@pytest.mark.parametrize(
    ("line", "header"),
    [
        (b"/x%0a{%22action%22:%22forged%22}%0a", b""),
        (b"/js/x%0d%0a{%22action%22:%22forged%22}", b""),
        (b"/users/%0a{%22action%22:%22forged%22}", b""),
        (b"/x%1b[31m%7f%c2%9b%e2%80%ae", b""),
        (b"/x\xc2\x9b31m\xff", b""),
        (b"/changes?text=\xc2\x9b31m", b""),
        (b"/x", b"Referer: \xc2\x9b31m" + FORGED),
        (b"/x", b"Host: \xe2\x80\xaeevil"),
    ],
)
def test_request_with_unprintable_text_leaves_none_in_the_log(
    url: str, client_machine: Machine, line: bytes, header: bytes
) -> None:
    begun = int(time.time())
    host = b"" if header.startswith(b"Host") else b"Host: helfy"
    head = b"\r\n".join(filter(None, (b"GET " + line + b" HTTP/1.1", host, header)))
    said = exchange(url, head + b"\r\nConnection: close\r\n\r\n")
    assert said.split()[1] in {b"404", b"400"}
    assert json.loads(said.partition(b"\r\n\r\n")[2]).keys() == {"message", "requestId"}

    def logged() -> str:
        return client_machine.run(
            f"journalctl -q -a -o cat --namespace='*' -u nginx --since=@{begun}"
        )

    wait_for(lambda: '"action":"http"' in logged(), "the request's line in nginx's log", 10)
    for each in logged().splitlines():
        assert each.isascii()
        assert each.isprintable()
        assert not each.startswith('{"action":"forged"')
