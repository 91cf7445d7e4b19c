"""A deployment leaves alone what somebody made of the seeded account."""

import pytest
from machine import Machine
from plays import play

pytestmark = pytest.mark.long

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
