"""Services are sandboxed: what a program in their place can write and reach."""

import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any, Final

import pytest
from machine import Machine, control_address
from sandbox import run_in_sandbox

# Of our own services, and of the others by group.
EXPOSURE: Final = 1.5
OTHERS_EXPOSURE: Final = 3.0
OWN: Final = {
    "debezium": "kafka-connect-watchdog.service",
    "mariadb": "helfy-binlog-guard.service",
}
OTHERS: Final = {
    "client": "nginx.service",
    "debezium": "kafka-connect.service",
    "kafka": "kafka.service",
    "mariadb": "mariadb.service",
}

# Tries each folder and each address; prints what became of it: "done" or the error's name.
PROBE: Final = r"""
import errno, json, os, socket, sys
given = json.loads(sys.argv[1])
ends = {}
for folder in given["folders"]:
    path = os.path.join(folder, ".helfy-probe")
    try:
        with open(path, "w") as file:
            file.write("x")
        os.unlink(path)
        ends[folder] = "done"
    except OSError as error:
        ends[folder] = errno.errorcode[error.errno]
for host, port in given["addresses"]:
    try:
        socket.create_connection((host, port), 5).close()
        ends[f"{host}:{port}"] = "done"
    except OSError as error:
        ends[f"{host}:{port}"] = errno.errorcode.get(error.errno, type(error).__name__)
print(json.dumps(ends))
"""
# Of others, and the machine's own.
FOLDERS: Final = (
    *("/etc", "/etc/helfy", "/opt/helfy", "/opt/helfy/current", "/usr/local/bin", "/root", "/home"),
    *("/var/lib", "/var/lib/mysql", "/var/lib/kafka", "/var/log", "/run", "/sys/fs/cgroup"),
)
STATE: Final = "/var/lib/helfy-probe"


@contextlib.contextmanager
def listening(address: str) -> Iterator[int]:
    """Listen on this machine at an address, and give the port."""
    with socket.create_server((address, 0)) as server:
        server.settimeout(0.2)
        ended = threading.Event()

        def accept() -> None:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    server.accept()[0].close()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def units_of(machine: Machine) -> list[str]:
    """Give the units that are to be closed off."""
    api = machine.api_units if "api" in machine.groups else []
    return [*api, *(["helfy-consumer.service"] if "consumer" in machine.groups else [])]


def test_exposure_of_each_service_is_low(machine: Machine) -> None:
    limits = dict.fromkeys(units_of(machine), EXPOSURE)
    for units, limit in ((OWN, EXPOSURE), (OTHERS, OTHERS_EXPOSURE)):
        limits |= {unit: limit for group, unit in units.items() if group in machine.groups}
    for unit, limit in limits.items():
        said = machine.run(f"systemd-analyze security --no-pager '{unit}'")
        level = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
        assert level is not None, said[-300:]
        assert float(level[1]) <= limit, f"{unit}: {level[1]}"


def test_they_write_and_reach_nothing_that_is_not_theirs(machine: Machine) -> None:
    units = units_of(machine)
    if not units:
        pytest.skip("neither the API nor the consumer is here")
    here = control_address(machine)
    broker, _, port = machine.vars["kafka_bootstrap_servers"][0].rpartition(":")
    # On loopback they reach what listens there; not what asks for no password.
    connect = ("127.0.0.1", machine.vars["debezium_rest_port"])
    with listening(here) as foreign:
        given: dict[str, Any] = {
            "folders": [STATE, *FOLDERS],
            "addresses": [(broker, int(port)), (here, foreign), (machine.address, 22), connect],
        }
        stranger, ssh = f"{here}:{foreign}", f"{machine.address}:22"
        # Else what follows would prove nothing.
        machine.run(f"mkdir {STATE}")
        try:
            free = machine.python(
                f"import sys; sys.argv[1:] = [{json.dumps(json.dumps(given))}]\n{PROBE}"
            )
        finally:
            machine.run(f"rmdir {STATE}")
        writable = {folder for folder in FOLDERS if free[folder] == "done"}
        assert writable >= {"/etc", "/opt/helfy", "/root", "/var/lib", "/var/lib/kafka", "/run"}
        assert (free[stranger], free[ssh]) == ("done", "done")
        assert ("debezium" not in machine.groups) or free["{}:{}".format(*connect)] == "done"
        for unit in {units[0], units[-1]}:
            ends = run_in_sandbox(machine, unit, PROBE, given)
            assert ends[STATE] == "done", f"{unit}: {ends}"
            refused = {ends[folder] for folder in FOLDERS}
            assert refused <= {"EROFS", "EACCES", "ENOENT", "EPERM"}, f"{unit}: {ends}"
            assert ends[f"{broker}:{port}"] == "done", f"{unit}: {ends}"
            assert ends["{}:{}".format(*connect)] == "ECONNREFUSED", f"{unit}: {ends}"
            # With several machines the API may talk to its own, where its health is asked for.
            alone = machine.vars["helfy_api_listen_address"].startswith("127.")
            for address in (stranger, ssh) if alone else (stranger,):
                assert ends[address] in ("EPERM", "TimeoutError", "ETIMEDOUT"), f"{unit}: {ends}"
