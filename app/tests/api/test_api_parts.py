"""The small parts: the client's address, names, password hashes."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from api_support import PROXY_KEY
from hypothesis import given
from hypothesis import strategies as st
from mariadb_server import PACKAGE, MariaDB
from pydantic import SecretStr

from helfy import jsonlog
from helfy.accounts import email_problem, normalise, username_problem
from helfy.api.proxy import ClientAddress
from helfy.api.server import _Named
from helfy.passwords import Hasher, PasswordTooLongError, cost_of


@pytest.mark.parametrize(
    ("peer", "key", "forwarded", "client"),
    [
        ("127.0.0.1", PROXY_KEY, "203.0.113.9", "203.0.113.9"),
        ("10.0.0.7", PROXY_KEY, " 2001:db8::1 ", "2001:db8::1"),
        ("127.0.0.1", PROXY_KEY, "::ffff:203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", PROXY_KEY, "", "127.0.0.1"),
        ("127.0.0.1", PROXY_KEY, "unknown", "127.0.0.1"),
        ("127.0.0.1", PROXY_KEY, "203.0.113.9, 203.0.113.8", "127.0.0.1"),
        # A process of nginx's own VM has its address, and not its key.
        ("127.0.0.1", None, "203.0.113.9", "127.0.0.1"),
        ("127.0.0.1", "", "203.0.113.9", "127.0.0.1"),
        ("127.0.0.1", PROXY_KEY[:-1], "203.0.113.9", "127.0.0.1"),
        ("127.0.0.1", "\xe9" * 32, "203.0.113.9", "127.0.0.1"),
        ("::ffff:127.0.0.1", None, "203.0.113.9", "127.0.0.1"),
    ],
)
def test_client_address_is_believed_with_a_valid_key(
    peer: str, key: str | None, forwarded: str, client: str
) -> None:
    seen: dict[str, Any] = {}

    def application(environ: Any, _start: Any) -> list[bytes]:
        seen.update(environ)
        return []

    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    environ |= {} if key is None else {"HTTP_X_PROXY_KEY": key}
    keys = [SecretStr("o" * 32), SecretStr(PROXY_KEY)]
    ClientAddress(application, keys)(environ, lambda *_: print)

    assert seen == {"REMOTE_ADDR": client}


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("Alice", "alice"), (" bob\t", "bob"), ("STRASSE", "strasse"), ("Straße", "strasse"),
     ("E\u0301va", "\u00e9va"), ("\u0130x", "i\u0307x"), ("A@B.C", "a@b.c"), ("", "")],
)  # fmt: skip
def test_names_are_normalised(typed: str, kept: str) -> None:
    assert normalise(typed) == kept


@given(st.text())
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert once == once.lower()


@pytest.mark.parametrize("name", ["a", "alice", "a.b-c_d", "x1", "éva", "名前"])
def test_good_usernames(name: str) -> None:
    assert username_problem(name) is None


@pytest.mark.parametrize("name", ["", "a b", ".a", "a.", "a@b", "a/b", "a\n", "-", "x" * 65, "🙂"])
def test_bad_usernames(name: str) -> None:
    assert username_problem(name)


@pytest.mark.parametrize(
    "email", ["", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a\n@b", "a@b\u200b", "x" * 253 + "@b"]
)
def test_bad_emails(email: str) -> None:
    assert email_problem(email)
    assert email_problem("a@b.example") is None


def test_passwords() -> None:
    hasher = Hasher(4)
    stored = hasher.hash("é" * 36)

    assert hasher.matches("é" * 36, stored)
    assert not hasher.matches("é" * 35, stored)
    assert not hasher.matches("a\x00b", hasher.hash("a\x00c")), "not cut at a NUL"
    assert hasher.matches("", hasher.hash(""))
    assert not hasher.is_outdated(stored)
    assert Hasher(5).is_outdated(stored)
    assert "$2b$" not in repr(hasher)
    for call in (hasher.hash, lambda password: hasher.matches(password, stored)):
        with pytest.raises(PasswordTooLongError, match="at most 72 bytes"):
            call("x" * 73)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain",
        "$2b$31$" + "a" * 53,
        "$2b$03$" + "a" * 53,
        "$1$" + "a" * 57,
        "$2b$04$" + "!" * 53,
    ],
)
def test_an_unusable_hash_matches_nothing(stored: str) -> None:
    assert cost_of(stored) is None
    assert not Hasher(4).matches("x", stored)


@given(st.text("./AZaz09", min_size=53, max_size=53), st.text(max_size=17))
def test_no_stored_text_breaks_the_check(rest: str, password: str) -> None:
    assert not Hasher_4.matches(password, "$2b$04$" + rest)


Hasher_4 = Hasher(4)


def test_waitress_logs_names_like_everybody_else() -> None:
    record = logging.LogRecord("waitress", logging.WARNING, "", 0, "Depth is %d", (5,), None)

    assert _Named().filter(record)

    line = json.loads(jsonlog.Formatter().format(record))
    assert (line["action"], line["message"]) == ("waitress", "Depth is 5")


def test_a_missing_mariadb_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)

    with pytest.raises(pytest.fail.Exception, match=PACKAGE):
        MariaDB(Path())
