"""Secrets: who may read the files, and that they are nowhere else."""

from pathlib import Path

import pytest
from kept_secrets import kept_secrets
from machine import Machine

# Everything that Helfy or its deployment writes to; the kernel's own, and /usr, have no such.
PLACES = "/etc /home /opt /root /run /srv /tmp /usr/local /var"
SHORTEST = 16


def secrets_of(machine: Machine) -> dict[str, str]:
    """The secrets that the control machine made, by name."""
    found = kept_secrets(machine)
    assert all(len(secret) >= SHORTEST for secret in found.values()), "too short to search for"
    return found


def patterns(machine: Machine) -> str:
    return "".join(f"{secret}\n" for secret in secrets_of(machine).values())


def names_in(machine: Machine, text: str) -> list[str]:
    return [name for name, secret in secrets_of(machine).items() if secret in text]


def test_the_control_machine_keeps_them_to_itself(machine: Machine) -> None:
    folder = Path(machine.vars["secrets_dir"])
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.rglob("*"):
        # Certificates are for everybody, but the folder that they are in is not.
        wanted = 0o700 if path.is_dir() else 0o644 if path.suffix == ".pem" else 0o600
        assert path.stat().st_mode & 0o777 == wanted, path.name


def test_configuration_is_not_for_everybody(machine: Machine) -> None:
    listing = machine.run(
        "for d in /etc/helfy /etc/kafka-connect /etc/kafka; do [ ! -d $d ] || find $d -perm /o=rwx;"
        " done"
    )
    # Which profile is deployed may be known.
    assert [path for path in listing.split() if path != "/etc/helfy/profile"] == []


def test_credentials_are_roots_alone(machine: Machine) -> None:
    listing = machine.run(
        "find /etc/helfy/credentials /etc/kafka/credentials /etc/kafka-connect/*_password"
        " /etc/kafka-connect/*_login -type f"
        " -printf '%m %u %g %p\\n' 2>/dev/null || true"
    )
    if not listing:
        pytest.skip("no service with a secret is here")
    assert {line.rsplit(" ", 1)[0] for line in listing.splitlines()} == {"600 root root"}


def test_a_stranger_on_the_machine_finds_no_secret(machine: Machine) -> None:
    """Asked as a user without any right: what he can open, and what he sees of processes."""
    script = (
        "d=$(mktemp -d) && trap 'rm -r $d' EXIT && cat >$d/patterns && chmod 755 $d && "
        "chmod 644 $d/patterns && runuser -u nobody -- sh -c "
        f"'grep -rlsF -D skip --exclude=patterns -f '$d'/patterns {PLACES}; "
        "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null "
        "| grep -aqF -f '$d'/patterns && echo processes; true'"
    )
    assert machine.run(script, patterns(machine), seconds=90).split() == []


def test_no_command_line_has_a_secret(machine: Machine) -> None:
    assert names_in(machine, machine.run("cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'")) == []


# How many lines have one of the patterns; within a pipe, standard input is the pipe's.
IN_JOURNAL = (
    "p=$(mktemp) && cat >$p && "
    "{ journalctl --namespace='*' -q -a -o cat --no-pager | grep -cF -f $p || true; }; rm $p"
)


def test_the_journal_has_no_secret(machine: Machine) -> None:
    # The deployment's own modules log there as well.
    assert machine.run(IN_JOURNAL, patterns(machine)).strip() == "0"


def test_the_journal_has_no_password_hash(database_machine: Machine) -> None:
    hashes = database_machine.sql("SELECT password_hash FROM users")
    tokens = database_machine.sql("SELECT token_hash FROM sessions")
    known = "".join(f"{row[0]}\n" for row in [*hashes, *tokens])
    assert hashes
    assert database_machine.run(IN_JOURNAL, known).strip() == "0"
