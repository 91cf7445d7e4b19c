"""Which passwords are accepted: long enough, hard to guess, not the account's own name.

For new passwords alone: a password that is in use already is never rejected at login.
"""

import threading
from typing import Final

from zxcvbn import zxcvbn  # type: ignore[import-untyped]  # zxcvbn ships no types

from helfy.accounts import normalise
from helfy.passwords import PasswordTooLongError, encode

SHORTEST: Final = 8
"""Characters (Unicode code points), whatever they are."""
MIN_GUESSES: Final = 10**6
"""zxcvbn's estimate of tries, from where it calls a password more than "very guessable"."""

# zxcvbn keeps the words of one call in a global.
_estimating: Final = threading.Lock()


def password_problem(password: str, username: str, email: str) -> str | None:
    """Return what is wrong with a new password of the account with these (normalised) names."""
    try:
        encode(password)
    except PasswordTooLongError as error:
        return str(error)
    if len(password) < SHORTEST:
        return f"must have at least {SHORTEST} characters"
    # White space and case make no other password of it here, as they make no other name.
    folded = normalise(password)
    local = email.partition("@")[0]
    if folded in (username, email, local):
        return "must not be the username or the email address"
    with _estimating:
        guesses = min(
            zxcvbn(form, user_inputs=[username, email, local, "helfy"])["guesses"]
            for form in {password, folded}
        )
    if guesses < MIN_GUESSES:
        return "is too easy to guess; a few unrelated words make a good one"
    return None
