"""Which passwords are taken: long enough, not among the common ones, not the account's own name.

For new passwords alone: a password that is in use already is never refused at login.
"""

import gc
import importlib
import sys
from functools import cache

from helfy.accounts import normalise
from helfy.passwords import PasswordTooLongError, encode

SHORTEST = 8
"""Characters (Unicode code points), whatever they are."""


@cache
def common_passwords() -> frozenset[str]:
    """Return the common passwords of 8 characters and more, in small letters.

    They are zxcvbn's 30,000 most frequent passwords of published breaches. The package's other
    lists (names, words, films) are let go again: they are ten times the memory.
    """
    lists = importlib.import_module("zxcvbn.frequency_lists")
    found = frozenset(
        word.lower() for word in lists.FREQUENCY_LISTS["passwords"] if len(word) >= SHORTEST
    )
    for name in [name for name in sys.modules if name.partition(".")[0] == "zxcvbn"]:
        del sys.modules[name]
    gc.collect()  # modules hold each other
    return found


def password_problem(password: str, username: str, email: str) -> str | None:
    """Say what is wrong with a new password of the account with these (normalised) names."""
    try:
        encode(password)
    except PasswordTooLongError as error:
        return str(error)
    if len(password) < SHORTEST:
        return f"must have at least {SHORTEST} characters"
    # White space and case make no other password of it here, as they make no other name.
    folded = normalise(password)
    if folded in (username, email, email.partition("@")[0]):
        return "must not be the username or the email address"
    if folded in common_passwords() or password.lower() in common_passwords():
        return "is among the most common passwords"
    return None
