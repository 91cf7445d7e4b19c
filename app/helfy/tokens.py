"""Session tokens: a signature with a time over a random session id.

A token is ``SESSION_ID.TIME.SIGNATURE`` in URL-safe characters, made by itsdangerous. The
database keeps only the SHA-256 of the session id: who reads the database, a backup or the
change stream cannot make a token of it, and who guesses ids is turned away by the signature
before the database is asked.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from itsdangerous import BadData, URLSafeTimedSerializer
from pydantic import SecretStr

_SALT = "helfy.session"
_ID_BYTES = 32
_LONGEST_TOKEN = 512
# The signature's time has whole seconds, and the clocks of two API servers never agree
# entirely: a token may seem to come from this much in the future.
_CLOCK_SKEW = timedelta(seconds=60)


class InvalidTokenError(Exception):
    """The token is not one of ours, was changed, or is too old."""


def fingerprint(session_id: str) -> str:
    """Return the SHA-256 of ``session_id`` in hexadecimal: what the database keeps of it."""
    return hashlib.sha256(session_id.encode()).hexdigest()


def new_session_id() -> str:
    """Return a random session id of 256 bits."""
    return secrets.token_urlsafe(_ID_BYTES)


class Tokens:
    """Signs with the first of ``keys`` (newest first) and takes tokens signed by any.

    ``lifetime`` is the age at which a signature is worth nothing, whatever the database says.
    """

    def __init__(self, keys: Sequence[SecretStr], lifetime: timedelta) -> None:
        self._lifetime = lifetime
        # itsdangerous signs with the last key of its list.
        oldest_first = [key.get_secret_value() for key in reversed(keys)]
        self._serializer = URLSafeTimedSerializer(
            oldest_first,
            salt=_SALT,
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def sign(self, session_id: str) -> str:
        """Return the token for ``session_id``."""
        token = self._serializer.dumps(session_id)
        return token if isinstance(token, str) else token.decode("ascii")

    def read(self, token: str) -> str:
        """Return the session id in ``token``; raise :class:`InvalidTokenError` otherwise."""
        if len(token) > _LONGEST_TOKEN or not token.isascii():
            raise InvalidTokenError
        try:
            session_id, signed_at = self._serializer.loads(token, return_timestamp=True)
        except BadData:
            raise InvalidTokenError from None
        age = datetime.now(UTC) - signed_at
        if not isinstance(session_id, str) or not -_CLOCK_SKEW <= age <= self._lifetime:
            raise InvalidTokenError
        return session_id
