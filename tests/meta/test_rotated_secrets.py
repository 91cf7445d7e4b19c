"""Secrets that are rotated on the control machine: each step, and runs cut off in between."""

from __future__ import annotations

import time
from pathlib import Path

import filter_paths
import module_paths
import pytest

rotated = module_paths.module("rotated_secrets")
passwords = filter_paths.plugin("passwords")

OLD = "old-password-of-somebody-1234567"


@pytest.fixture
def secret(tmp_path: Path) -> object:
    (tmp_path / "kafka_feed").write_text(f"{OLD}\n")
    return rotated.Secret(tmp_path, "kafka_feed")


def now(folder: Path, name: str = "kafka_feed") -> str:
    return (folder / name).read_text().strip()


def test_a_password_is_replaced_and_the_old_one_kept_until_it_is_forgotten(
    tmp_path: Path, secret: object
) -> None:
    assert secret.replace() == "kafka_feed: a new one"  # type: ignore[attr-defined]
    new = now(tmp_path)
    assert new != OLD
    assert len(new) == 32
    assert now(tmp_path, "kafka_feed.before") == OLD
    assert secret.forget() == "kafka_feed: the old one is forgotten"  # type: ignore[attr-defined]
    assert [path.name for path in tmp_path.iterdir()] == ["kafka_feed"]
    assert now(tmp_path) == new
    assert secret.forget() == ""  # type: ignore[attr-defined]


def test_a_run_that_was_cut_off_goes_on_with_the_password_it_made(
    tmp_path: Path, secret: object
) -> None:
    secret.replace()  # type: ignore[attr-defined]
    new = now(tmp_path)
    assert secret.replace() == "", "it may be in use"  # type: ignore[attr-defined]
    assert (now(tmp_path), now(tmp_path, "kafka_feed.before")) == (new, OLD)


def test_a_run_cut_off_between_the_two_files_makes_another(tmp_path: Path, secret: object) -> None:
    rotated.write(tmp_path / "kafka_feed.before", OLD)
    assert secret.replace() == "kafka_feed: a new one"  # type: ignore[attr-defined]
    assert now(tmp_path) != OLD


NAMES = ["database_api", "database_capture"]


def accounts(folder: Path) -> tuple[dict[str, str], list[str], list[str]]:
    """Return which accounts are in use, which retire, and which are idle."""
    given = (str(folder), NAMES)
    return (
        passwords.accounts_in_use(*given),
        passwords.accounts_retiring(*given),
        passwords.accounts_idle(*given),
    )


def test_accounts_of_a_pair_take_turns(tmp_path: Path) -> None:
    (tmp_path / "database_api").write_text(f"{OLD}\n")
    pair = rotated.Secret(tmp_path, "database_api")
    capture = "helfy_capture"
    idle = f"{capture}_2"
    first = {"database_api": "helfy_api", "database_capture": capture}
    second = first | {"database_api": "helfy_api_2"}
    assert accounts(tmp_path) == (first, [], ["helfy_api_2", idle])
    assert pair.switch() == "database_api: helfy_api_2 takes over from helfy_api"
    assert accounts(tmp_path) == (second, ["helfy_api"], [idle])
    assert now(tmp_path, "database_api") == OLD, "it is in use until it is locked"
    assert pair.retire() == "database_api: helfy_api is locked"
    assert accounts(tmp_path) == (second, [], ["helfy_api", idle])
    made = now(tmp_path, "database_api_2")
    assert len(made) == 32
    assert pair.switch() == "database_api: helfy_api takes over from helfy_api_2"
    assert pair.retire() == "database_api: helfy_api_2 is locked"
    assert accounts(tmp_path) == (first, [], ["helfy_api_2", idle])
    assert now(tmp_path, "database_api") not in {OLD, made}
    assert now(tmp_path, "database_api_2") == made


def test_switch_that_was_cut_off_goes_on_with_the_account_it_took(tmp_path: Path) -> None:
    (tmp_path / "database_api").write_text(f"{OLD}\n")
    pair = rotated.Secret(tmp_path, "database_api")
    pair.switch()
    made = now(tmp_path, "database_api_2")
    assert pair.switch() == "", "its clients may have moved to it"
    assert now(tmp_path, "database_api_2") == made
    # Cut off before the account was noted: nobody knows the password that was made.
    (tmp_path / "database_accounts.json").unlink()
    assert pair.switch() != ""
    assert now(tmp_path, "database_api_2") != made


def test_retire_forgets_the_password_that_an_earlier_release_kept(tmp_path: Path) -> None:
    (tmp_path / "database_api").write_text(f"{OLD}\n")
    (tmp_path / "database_api.before").write_text("before\n")
    assert rotated.Secret(tmp_path, "database_api").retire() == ""
    assert [path.name for path in tmp_path.iterdir()] == ["database_api"]


def keys(folder: Path) -> list[str]:
    return list(passwords.keys_with_others(now(folder, "token_key"), str(folder), "token_key"))


def test_a_key_is_accepted_then_signs_and_is_dropped_when_nothing_valid_has_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "token_key").write_text("first-key\n")
    key = rotated.Secret(tmp_path, "token_key")
    assert keys(tmp_path) == ["first-key"]
    assert key.promote() == "", "there is no next one"
    assert key.announce(60) == "token_key: a new one is accepted"
    second = now(tmp_path, "token_key.next")
    assert keys(tmp_path) == ["first-key", second]
    assert key.announce(60) == "", "cut off, and run again"
    assert key.promote() == "token_key: the new one is in use"
    assert keys(tmp_path) == [second, "first-key"]
    assert len(second) == 64
    key.announce(60)
    key.promote()
    third = now(tmp_path, "token_key")
    assert keys(tmp_path) == [third, second, "first-key"], "newest first"
    # A minute and more later the first one is of no use.
    ceased = int(time.time()) - 61
    rotated.write(tmp_path / "token_key.before", f"{ceased + 60} {second}\n{ceased} first-key")
    assert key.announce(60) == "token_key: 1 dropped, a new one is accepted"
    assert keys(tmp_path) == [third, now(tmp_path, "token_key.next"), second]


def test_a_promotion_cut_off_between_the_two_files_is_finished(tmp_path: Path) -> None:
    (tmp_path / "token_key").write_text("first-key\n")
    key = rotated.Secret(tmp_path, "token_key")
    key.announce(60)
    second = now(tmp_path, "token_key.next")
    rotated.write(tmp_path / "token_key.before", f"{int(time.time())} first-key")
    assert keys(tmp_path) == ["first-key", second], "none stands twice"
    key.promote()
    assert keys(tmp_path) == [second, "first-key"]


def test_what_is_written_is_its_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "token_key").write_text("first-key\n")
    key = rotated.Secret(tmp_path, "token_key")
    key.announce(60)
    key.promote()
    rotated.Secret(tmp_path, "database_api").switch()
    names = ["database_accounts.json", "database_api_2", "token_key", "token_key.before"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
