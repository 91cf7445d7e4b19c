"""TLS is switched on and off by one variable, and each time the machine is what it says."""

import json
import re
import socket
import ssl
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from machine import Machine
from plays import Play, play
from reach import reached

TAGS: Final = ("--tags", "nginx,firewall", "--diff")
SELF_SIGNED: Final = ("-e", "nginx_tls=self_signed")
FOLDER: Final = "/etc/nginx/tls"
OLD: Final = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
Headers = dict[str, str]


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def run(*arguments: str) -> Play:
    """Deploy nginx and the firewall."""
    done = play("site", *TAGS, *arguments)
    assert done.code == 0, done.output[-4000:]
    return done


def ask(
    url: str, method: str = "GET", headers: Headers | None = None, trusted: str | None = None
) -> tuple[int, Headers, str]:
    """Ask without following; give status, headers in small letters, body."""
    context = ssl.create_default_context(cadata=trusted)
    if trusted is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(_Stay, urllib.request.HTTPSHandler(context=context))
    request = urllib.request.Request(url, method=method, headers=headers or {})
    if method == "POST":
        request.data = b'{"usernameOrEmail": "nobody", "password": "a secret in clear"}'
    try:
        answer = opener.open(request, timeout=10)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        found = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, found, answer.read().decode()


def served(machine: Machine, port: int) -> str:
    """Give the certificate that is served, in PEM form."""
    return ssl.get_server_certificate((machine.address, port), timeout=10)


def handshake(address: str, port: int, version: ssl.TLSVersion) -> str:
    """Give the cipher that a client of this version alone comes to; OSError where there is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    # Python warns of the old ones.
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection((address, port), timeout=10) as link,
        context.wrap_socket(link) as tls,
    ):
        cipher = tls.cipher()
    return cipher[0] if cipher else ""


@pytest.fixture(name="page", scope="module")
def _page(client_machine: Machine) -> Iterator[Machine]:
    if client_machine.vars["nginx_tls"] != "none":
        pytest.skip("this inventory has TLS of its own")
    yield client_machine
    if reached(client_machine.address, client_machine.vars["nginx_tls_port"]):
        run()


def check_http_only_redirects(page: Machine) -> None:
    """HTTP keeps path and query and nothing secret, on the port of HTTP and on that of HTTPS."""
    plain, port = page.vars["nginx_port"], page.vars["nginx_tls_port"]
    target = f"https://{page.address}:{port}"
    for place in (f"http://{page.address}:{plain}", f"http://{page.address}:{port}"):
        for path in ("/", "/profile?a=1&b=%20c", "/docs", "/no/such?x"):
            status, headers, _ = ask(place + path)
            assert (status, headers["location"]) == (308, target + path)
            assert "strict-transport-security" not in headers
        # What has a secret in it is not helped on its way: that it came in clear must be noticed.
        for method, secret in (
            ("POST", {}),
            ("GET", {"X-Auth-Token": "secret"}),
            ("GET", {"Authorization": "Bearer secret"}),
        ):
            status, headers, body = ask(f"{place}/login", method, secret)
            assert (status, "location" in headers) == (403, False)
            assert json.loads(body).keys() == {"message", "requestId"}
    # Who was told of HSTS and asks for the old port.
    assert ask(f"https://{page.address}:{plain}/a?b")[:2][1]["location"] == f"{target}/a?b"


def check_ciphers(page: Machine) -> None:
    """Only with forward secrecy and AEAD, from TLS 1.2 on."""
    port = page.vars["nginx_tls_port"]
    assert handshake(page.address, port, ssl.TLSVersion.TLSv1_3).startswith("TLS_")
    assert re.match("ECDHE-.*(GCM|CHACHA20)", handshake(page.address, port, ssl.TLSVersion.TLSv1_2))
    for old in OLD:
        with pytest.raises(OSError):  # noqa: PT011  # an alert, or a connection that is closed
            handshake(page.address, port, old)


def test_one_variable_switches_it_on_and_off(page: Machine) -> None:
    port = page.vars["nginx_tls_port"]
    assert run(*SELF_SIGNED).changed >= {"nginx : Configure nginx", "firewall : Write the rules"}
    first = served(page, port)
    url = f"https://{page.address}:{port}"
    # Good for the very address, and vouched for by itself.
    status, headers, _ = ask(f"{url}/health/ready", trusted=first)
    assert (status, "strict-transport-security" in headers) == (200, False)
    names = x509.load_pem_x509_certificate(first.encode()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == [page.name]
    assert page.run(f"stat -c '%a %U' {FOLDER}/self-signed.key").split() == ["600", "root"]
    check_http_only_redirects(page)
    check_ciphers(page)
    off = run()
    assert {"nginx : Configure nginx", "firewall : Write the rules"} <= off.changed
    assert not reached(page.address, port)
    assert ask(f"http://{page.address}:{page.vars['nginx_port']}/health/ready")[0] == 200


@pytest.mark.long
def test_a_certificate_is_made_once_and_anew_near_its_end(page: Machine) -> None:
    port = page.vars["nginx_tls_port"]
    rehearsed = play("site", *TAGS, "--check", *SELF_SIGNED)
    assert rehearsed.code == 0, rehearsed.output[-4000:]
    assert "nginx : Configure nginx" in rehearsed.changed
    run(*SELF_SIGNED)
    first = served(page, port)
    assert play("site", *TAGS, "--check", *SELF_SIGNED).changed == set()
    assert run(*SELF_SIGNED).changed == set()
    assert served(page, port) == first
    # As if its end were nearer than that.
    renewed = run(*SELF_SIGNED, "-e", "__nginx_tls_renew_days=400")
    assert renewed.changed == {"nginx : Make the certificate", "nginx : Reload nginx"}
    second = served(page, port)
    assert second != first
    keys = [x509.load_pem_x509_certificate(pem.encode()).public_key() for pem in (first, second)]
    assert len({key.public_bytes(*PUBLIC) for key in keys}) == 1, "the key stays"
    # Another name is another certificate.
    named = run(*SELF_SIGNED, "-e", json.dumps({"nginx_tls_names": ["login.example.com"]}))
    assert named.changed == {"nginx : Make the certificate", "nginx : Reload nginx"}


PUBLIC: Final = (
    serialization.Encoding.PEM,
    serialization.PublicFormat.SubjectPublicKeyInfo,
)


def pair(folder: Path, address: str) -> tuple[str, str]:
    """Make a certificate of one's own for an address, and its key.

    Give the certificate of who vouches for it, and the key, as text.
    """
    authority = trustme.CA()
    made = authority.issue_cert(address)
    for blob in made.cert_chain_pems:
        blob.write_to_path(folder / "own.pem")
    (folder / "own.key").touch(mode=0o600)
    made.private_key_pem.write_to_path(folder / "own.key")
    return authority.cert_pem.bytes().decode(), made.private_key_pem.bytes().decode()


@pytest.mark.long
def test_ones_own_certificate(page: Machine, tmp_path: Path) -> None:
    vouching, secret = pair(tmp_path, page.address)
    files = {f"nginx_tls_{kind}": str(tmp_path / f"own.{end}") for kind, end in FILES.items()}
    own = ("-e", json.dumps({"nginx_tls": "own", **files}))
    url = f"https://{page.address}:{page.vars['nginx_tls_port']}"
    first = run("-vvv", *own)
    body = secret.splitlines()[1]
    assert body not in first.output, "the key is on nobody's screen"
    status, headers, _ = ask(f"{url}/health/ready", trusted=vouching)
    assert status == 200
    assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert "strict-transport-security" in ask(f"{url}/no-such-page", trusted=vouching)[1]
    check_http_only_redirects(page)
    assert page.run(f"stat -c '%a %U' {FOLDER}/own.key").split() == ["600", "root"]
    assert run(*own).changed == set()
    # Another one is taken up by the workers at once.
    other, _ = pair(tmp_path, page.address)
    assert "nginx : Reload nginx" in run(*own).changed
    assert ask(f"{url}/", trusted=other)[0] == 200
    run()
    assert page.attempt(f"test -e {FOLDER}/own.key").returncode == 1, "it is not left behind"


FILES: Final = {"certificate": "pem", "key": "key"}
