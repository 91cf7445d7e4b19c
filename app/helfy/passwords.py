"""Password hashes: bcrypt, with the cost as a setting.

bcrypt sees 72 bytes. Longer passwords are refused with a clear error, never cut: a cut
password would let in everything that begins alike. A NUL byte is a byte like any other.
"""

import contextlib
import re
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import bcrypt

LONGEST_BYTES = 72
LOWEST_COST = 4
HIGHEST_COST = 15

_HASH = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")


class PasswordTooLongError(ValueError):
    """The password has more than 72 bytes in UTF-8."""


def encode(password: str) -> bytes:
    """Return the password's bytes; raise :class:`PasswordTooLongError` beyond 72 of them."""
    encoded = password.encode()
    if len(encoded) > LONGEST_BYTES:
        raise PasswordTooLongError(f"must have at most {LONGEST_BYTES} bytes in UTF-8")
    return encoded


def cost_of(stored: str) -> int | None:
    """Return the cost of a stored hash, or None where it is no usable bcrypt hash.

    A cost above the highest that may be set is not usable either: one such row, written by
    SQL, would keep a thread busy for hours.
    """
    match = _HASH.fullmatch(stored)
    cost = int(match.group(1)) if match else 0
    return cost if LOWEST_COST <= cost <= HIGHEST_COST else None


@dataclass(frozen=True)
class Hasher:
    """Makes and checks hashes; ``cost`` is the power of two of bcrypt's rounds (4 to 15).

    ``slot`` is entered around each hash: what bounds how many are made at once.
    """

    cost: int
    slot: Callable[[], AbstractContextManager[None]] = nullcontext
    _dummy: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the hash that stands in for accounts that do not exist."""
        object.__setattr__(self, "_dummy", self.hash(secrets.token_urlsafe(32)))

    def hash(self, password: str) -> str:
        """Return a new hash of 60 characters at this cost."""
        encoded = encode(password)
        with self.slot():
            return bcrypt.hashpw(encoded, bcrypt.gensalt(self.cost)).decode("ascii")

    def matches(self, password: str, stored: str | None) -> bool:
        """Tell whether ``password`` is the one behind ``stored``.

        A no takes as much work as one check at the cost in force, also where there is no usable
        hash (None: no such account) and where the hash is of a lower cost.
        """
        encoded = encode(password)
        with self.slot():
            cost = cost_of(stored) if stored is not None else None
            if stored is not None and cost is not None:
                with contextlib.suppress(ValueError):  # a salt that only looks like one
                    if bcrypt.checkpw(encoded, stored.encode("ascii")):
                        return True
                    # 2^c + 2^c + 2^(c+1) + … + 2^(cost-1) rounds are 2^cost.
                    for more in range(cost, self.cost):
                        bcrypt.checkpw(encoded, self._dummy_at(more))
                    return False
            bcrypt.checkpw(encoded, self._dummy_at(self.cost))
            return False

    def is_outdated(self, stored: str) -> bool:
        """Tell whether ``stored`` was made at another cost than the one in force."""
        return cost_of(stored) != self.cost

    def _dummy_at(self, cost: int) -> bytes:
        # That it is another password's hash does not matter: nothing is expected to match it.
        return f"{self._dummy[:4]}{cost:02d}{self._dummy[6:]}".encode("ascii")
