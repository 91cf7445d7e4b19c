"""Accounts: the seeded one stays what somebody made of it, the database's are those in use."""

import pytest
from machine import Machine
from machines import names
from plays import play

pytestmark = pytest.mark.long

DROPPED = "mariadb : Demand TLS, drop accounts for other addresses and lock the idle ones"
FORMER = "192.0.2.77"
CHANGED = "$2b$04$" + "HelfyTestHash" + "." * 40


def test_a_changed_password_and_a_deleted_account_stay_so(
    api_machine: Machine, database_machine: Machine, lab_account: dict[str, str]
) -> None:
    name = lab_account["username"]
    [[before]] = database_machine.sql(f"SELECT password_hash FROM users WHERE username = '{name}'")
    change = f"UPDATE users SET password_hash = '%s' WHERE username = '{name}'"
    try:
        database_machine.sql(change % CHANGED)
        done = play("site", "--tags", "helfy_api")
        assert (done.code, done.changed) == (0, set()), done.output[-4000:]
        rows = database_machine.sql(f"SELECT password_hash FROM users WHERE username = '{name}'")
        assert rows == [[CHANGED]]
        # Renamed, it is as good as deleted: nobody is to get in by the known password.
        database_machine.sql(f"UPDATE users SET username = 'kept-{name}' WHERE username = '{name}'")
        done = play("site", "--tags", "helfy_api")
        assert (done.code, done.changed) == (0, set()), done.output[-4000:]
        assert database_machine.sql(f"SELECT 1 FROM users WHERE username = '{name}'") == []
    finally:
        back = f"UPDATE users SET username = '{name}' WHERE username = 'kept-{name}'"
        database_machine.sql(f"{back}; {change % before}")
    assert api_machine.run("systemctl is-active helfy-api.target").strip() == "active"


def test_the_databases_accounts_for_former_addresses_go(database_machine: Machine) -> None:
    if database_machine.name not in names("mariadb"):
        pytest.skip("TiDB's accounts are another role's")
    query = "SELECT user, host FROM mysql.user WHERE user LIKE 'helfy%' ORDER BY user, host"
    before = database_machine.sql(query)
    database_machine.sql(f"SET sql_log_bin = 0; CREATE USER helfy_api@'{FORMER}'")
    rehearsed = play("site", "--tags", "mariadb", "--check")
    assert (rehearsed.code, rehearsed.changed) == (0, {DROPPED}), rehearsed.output[-4000:]
    assert len(database_machine.sql(query)) == len(before) + 1
    done = play("site", "--tags", "mariadb")
    assert (done.code, done.changed) == (0, {DROPPED}), done.output[-4000:]
    assert database_machine.sql(query) == before
