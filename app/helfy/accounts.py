"""What a username and an email address look like in the database.

Both are kept normalised: Unicode NFKC, without white space around, case-folded. The same is
done to what is typed at login, so ``ALICE`` is ``alice`` while ``andré`` is not ``andre``.
Passwords are never normalised: their UTF-8 bytes are hashed as they come.
"""

import re
import unicodedata
from collections.abc import Mapping

from helfy.schema import EMAIL_LENGTH, USERNAME_LENGTH

# Letters, digits, and ``.``, ``_``, ``-`` inside: what a URL, a log and a shell can carry.
_USERNAME = re.compile(r"[^\W_](?:[\w.-]*[^\W_])?")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


class AccountError(Exception):
    """What was asked of an account cannot be done; the text says why, without any value."""


class UnknownUserError(AccountError):
    """There is no such user."""

    def __init__(self) -> None:
        super().__init__("there is no such user")


class FieldsError(AccountError):
    """``fields`` says by field (named as in HTTP) what is wrong with it."""

    def __init__(self, message: str, fields: Mapping[str, str]) -> None:
        super().__init__(message)
        self.fields = dict(fields)


class InvalidError(FieldsError):
    """A field is bad."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("the request is not valid", fields)


class TakenError(FieldsError):
    """A username or an email address belongs to another account."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("already taken", fields)


class LastAdminError(FieldsError):
    """No admin would be left who is known to be able to log in."""

    def __init__(self, field: str | None = None) -> None:
        text = "the last active admin who has logged in must stay"
        super().__init__(text, {field: text} if field else {})


def normalise(name: str) -> str:
    """Return ``name`` as the database keeps usernames and email addresses."""
    # Folding can undo the composition (and lower() the folding), hence again and last.
    folded = unicodedata.normalize("NFKC", name).strip().casefold()
    return unicodedata.normalize("NFKC", folded).lower()


def username_problem(username: str) -> str | None:
    """Say what is wrong with a normalised username, or None."""
    if len(username) > USERNAME_LENGTH:
        return f"must have at most {USERNAME_LENGTH} characters"
    if not _USERNAME.fullmatch(username):
        return "must be letters and digits, with '.', '_' or '-' between them"
    return None


def email_problem(email: str) -> str | None:
    """Say what is wrong with a normalised email address, or None."""
    if len(email) > EMAIL_LENGTH:
        return f"must have at most {EMAIL_LENGTH} characters"
    if not _EMAIL.fullmatch(email) or not email.isprintable():
        return "must be an email address"
    return None
