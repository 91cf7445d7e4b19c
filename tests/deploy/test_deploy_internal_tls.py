"""TLS between the parts is switched on and off by one variable, and nobody gets by it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
import requests
from cryptography import x509
from kafka_login import kafka_login
from machine import Machine, MachineError
from plays import Play, play
from release import copy_release
from stream import Stream

ON: Final = ("-e", '{"internal_tls_enabled": true}')
NEAR: Final = '{"__internal_tls_renew_days": 400, "internal_tls_days": 500}'
# Whoever listens for another part, or asks one; the long tests deploy all.
PARTS: Final = ("--tags", "internal_tls,mariadb,kafka,debezium,helfy_api,helfy_consumer")
EXPECTED: Final = {"mariadb : Configure MariaDB", "kafka : Configure Kafka"}
PLACE: Final = "/etc/helfy-tls"
# A handshake with whatever listens there, by the authority's certificate alone.
HANDSHAKE: Final = """
import json, socket, ssl, sys
given = json.load(sys.stdin)
trusting = ssl.create_default_context(cafile=given["ca_file"])
with socket.create_connection((given["host"], given["port"]), timeout=10) as link:
    with trusting.wrap_socket(link, server_hostname=given["host"]) as tls:
        print(json.dumps(tls.version()))
"""
# Logs in to Kafka and asks for the topics.
KAFKA: Final = """
import json, sys
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
given = json.load(sys.stdin)
try:
    admin = KafkaAdminClient(bootstrap_timeout_ms=5000, **given)
except KafkaError as error:
    print(json.dumps(type(error).__name__))
else:
    print(json.dumps(sorted(admin.list_topics())))
    admin.close()
"""


def run(*arguments: str, playbook: str = "site") -> Play:
    """Deploy it all, or what another playbook does."""
    done = play(playbook, "--diff", *arguments)
    assert done.code == 0, done.output[-6000:]
    return done


@pytest.fixture(name="off", scope="module")
def _off(machine: Machine) -> Iterator[Machine]:
    """A machine without it; without it again afterwards."""
    if machine.vars["tls_ca_file"]:
        pytest.skip("this inventory has it anyway")
    yield machine
    if machine.attempt(f"test -e {PLACE}").returncode == 0:
        run()


def kafka_says(machine: Machine, settings: dict[str, str]) -> object:
    """Give the topics, or the name of the error."""
    servers = machine.vars["kafka_bootstrap_servers"]
    return machine.python(KAFKA, {"bootstrap_servers": servers, **settings})


def database_says(machine: Machine, options: str) -> str:
    """Ask the database as the API, by TCP; give its answer or its words of refusal."""
    host, port = machine.vars["database_host"], machine.vars["database_port"]
    done = machine.attempt(
        "mariadb --defaults-extra-file=/etc/helfy/credentials/database_api "
        f"--protocol=tcp -h {host} -P {port} {options} --batch -N "
        "-e \"SHOW STATUS LIKE 'Ssl_cipher'\""
    )
    return done.stdout + done.stderr


@pytest.fixture(name="stream")
def _stream(consumer_machine: Machine, database_machine: Machine, run_id: str) -> Stream:
    return Stream(consumer_machine, database_machine, run_id)


@pytest.fixture
def check_that_changes_arrive(
    stream: Stream, http: requests.Session, url: str, lab_account: dict[str, str]
) -> Callable[[], None]:
    """Check that a login through the page has its session, and its line."""

    def check() -> None:
        stream.forget()
        body = {"usernameOrEmail": lab_account["username"], "password": lab_account["password"]}
        answer = http.post(f"{url}/login", json=body, timeout=30)
        headers = {"x-auth-token": answer.json()["token"]}
        assert http.get(f"{url}/profile", headers=headers, timeout=30).status_code == 200
        found = [(line["change"]["type"], line["change"]["table"]) for line in stream.settled(60)]
        assert ("INSERT", "sessions") in found

    return check


def test_one_variable_switches_it_on_and_off(
    off: Machine, check_that_changes_arrive: Callable[[], None]
) -> None:
    done = run("-vvv", *PARTS, *ON)
    assert done.changed >= EXPECTED
    check_that_nobody_gets_by_it(off)
    check_that_keys_stay_secret(off, done)
    check_that_changes_arrive()
    health = play("health", "-v", *ON)
    assert health.code == 0
    assert "between the parts; the certificate is good until" in health.output

    assert run(*PARTS).changed >= EXPECTED
    assert off.attempt(f"test -e {PLACE}").returncode == 1, "no key is left behind"
    assert "tidb_changes" in str(kafka_says(off, kafka_login(off)))
    check_that_changes_arrive()


@pytest.mark.long
def test_it_is_foretold_done_once_and_done_again_near_the_end(off: Machine) -> None:
    rehearsed = run("--check", *ON)
    assert rehearsed.changed >= EXPECTED
    run(*ON)
    assert run(*ON).changed == set()
    assert run("--check", *ON).changed == set()
    first = off.run(f"openssl x509 -in {PLACE}/host.pem")
    # As if its end were nearer than that.
    renewed = run(*ON, "-e", NEAR)
    assert {"mariadb : Restart MariaDB", "kafka : Restart Kafka"} <= renewed.changed
    assert off.run(f"openssl x509 -in {PLACE}/host.pem") != first
    check_that_nobody_gets_by_it(off)
    run()
    assert run().changed == set()


@pytest.mark.long
def test_secrets_and_releases_are_renewed_with_it(
    off: Machine, check_that_changes_arrive: Callable[[], None], tmp_path: Path
) -> None:
    run(*ON)
    other = ("-e", f"helfy_release_project={copy_release(tmp_path, '0.1.6666')}")
    for playbook, *more in (("rotate-secrets",), ("deploy", *other), ("rollback",)):
        run(*ON, *more, playbook=playbook)
        check_that_nobody_gets_by_it(off)
        check_that_changes_arrive()
    assert run(*ON).changed == set()


def check_that_nobody_gets_by_it(machine: Machine) -> None:
    """Kafka speaks TLS alone, and the database's accounts are good for nothing else."""
    ca_file = f"{PLACE}/ca.pem"
    for port in (machine.vars["kafka_port"], machine.vars["kafka_controller_port"]):
        given = {"host": machine.vars["kafka_listen_address"], "port": port, "ca_file": ca_file}
        assert machine.python(HANDSHAKE, given) == "TLSv1.3"
        with pytest.raises(MachineError, match="CERTIFICATE_VERIFY_FAILED"):
            machine.python(HANDSHAKE, given | {"ca_file": "/etc/ssl/certs/ca-certificates.crt"})
    plain = kafka_login(machine)
    assert "tidb_changes" not in str(kafka_says(machine, plain))
    with_tls = plain | {"security_protocol": "SASL_SSL", "ssl_cafile": ca_file}
    assert "tidb_changes" in str(kafka_says(machine, with_tls))
    assert "Access denied" in database_says(machine, "--skip-ssl")
    assert "TLS_" in database_says(machine, f"--ssl-ca={ca_file} --ssl-verify-server-cert")
    for account in ("api", "migrate", "capture"):
        rows = machine.sql(f"SELECT ssl_type FROM mysql.user WHERE user = 'helfy_{account}'")
        assert rows
        assert all(row == ["ANY"] for row in rows)


def check_that_keys_stay_secret(machine: Machine, done: Play) -> None:
    """Root alone reads the key, and a run shows it to nobody, whatever it is asked to show."""
    assert machine.run(f"stat -c '%a %U' {PLACE}/host.pem").split() == ["600", "root"]
    assert machine.run(f"stat -c '%a' {PLACE}/ca.pem").split() == ["644"]
    body = machine.run(f"sed -n 2p {PLACE}/host.pem").strip()
    assert len(body) > 40
    assert body not in done.output
    pem = machine.run(f"openssl x509 -in {PLACE}/host.pem")
    found = x509.load_pem_x509_certificate(pem.encode())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(each) for each in names.get_values_for_type(x509.IPAddress)}
    assert {machine.address, "127.0.0.1"} <= addresses
    assert machine.name in names.get_values_for_type(x509.DNSName)
