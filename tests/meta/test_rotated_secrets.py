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
    (tmp_path / "database_api").write_text(f"{OLD}\n")
    return rotated.Secret(tmp_path, "database_api")


def now(folder: Path, name: str = "database_api") -> str:
    return (folder / name).read_text().strip()


def before(folder: Path) -> dict[str, str]:
    return dict(passwords.passwords_before(str(folder), ["database_api", "database_migrate"]))


def test_a_password_is_replaced_and_the_old_one_kept_until_it_is_forgotten(
    tmp_path: Path, secret: object
) -> None:
    assert before(tmp_path) == {}
    assert secret.replace() == "database_api: a new one"  # type: ignore[attr-defined]
    new = now(tmp_path)
    assert new != OLD
    assert len(new) == 32
    assert before(tmp_path) == {"database_api": OLD}
    assert secret.forget() == "database_api: the old one is forgotten"  # type: ignore[attr-defined]
    assert before(tmp_path) == {}
    assert now(tmp_path) == new
    assert secret.forget() == ""  # type: ignore[attr-defined]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir() if "api" in path.name} <= {
        0o600,
        0o644,
    }


def test_a_run_that_was_cut_off_goes_on_with_the_password_it_made(
    tmp_path: Path, secret: object
) -> None:
    secret.replace()  # type: ignore[attr-defined]
    new = now(tmp_path)
    assert secret.replace() == "", "it may be in use"  # type: ignore[attr-defined]
    assert (now(tmp_path), before(tmp_path)) == (new, {"database_api": OLD})


def test_a_run_cut_off_between_the_two_files_makes_another(tmp_path: Path, secret: object) -> None:
    rotated.write(tmp_path / "database_api.before", OLD)
    assert before(tmp_path) == {"database_api": OLD}
    assert secret.replace() == "database_api: a new one"  # type: ignore[attr-defined]
    assert now(tmp_path) != OLD


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
    assert key.promote() == "token_key: the new one signs"
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
    written = [tmp_path / "token_key", tmp_path / "token_key.before"]
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["token_key", "token_key.before"]
