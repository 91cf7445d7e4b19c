"""The database's accounts: each at the addresses that its errand is asked from."""

from typing import Any, Final

from filter_paths import plugin

passwords: Any = plugin("passwords")

ACCOUNTS: Final = [
    {
        "name": "helfy_api",
        "secret": "api",
        "password": "new",
        "addresses": ["10.0.0.1", "10.0.0.2"],
    },
    {"name": "helfy_capture", "secret": "capture", "password": "p", "addresses": ["10.0.0.3"]},
]


def test_each_is_at_its_own_addresses() -> None:
    assert passwords.accounts_at(ACCOUNTS) == [
        "helfy_api\t10.0.0.1",
        "helfy_api\t10.0.0.2",
        "helfy_capture\t10.0.0.3",
    ]


def test_the_former_password_is_accepted_at_each_of_them() -> None:
    found = passwords.with_passwords(ACCOUNTS, {"api": "old"})
    assert [(each["host"], each["passwords"]) for each in found] == [
        ("10.0.0.1", ["new", "old"]),
        ("10.0.0.2", ["new", "old"]),
        ("10.0.0.3", ["p"]),
    ]
