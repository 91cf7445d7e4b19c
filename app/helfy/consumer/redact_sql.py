"""Replace what may be a secret in the text of a DDL.

A statement is suspect from the first word on that sets a password (IDENTIFIED, PASSWORD, …),
names a redacted column (whose DEFAULT would be a secret) or looks like the name of one without
being a captured column. Every string literal and hexadecimal number is replaced and comments are
emptied, in a statement about accounts from that word on, which may take too much but not too
little; what is spared in the definition of a table, ``redact_table`` says. The same goes for each
statement on a table that is not captured. In one that is not suspect only what is opaque is
replaced: a hash or a token is one long run of letters and digits.

Where it is unclear what is a literal, all goes from the first of them on: with a backslash
(sql_mode decides what it means), a comment that is executed, a quote without its partner, and
where a suspect word stands within quotes without being all that they hold, as it does when they
were paired wrongly.
"""

import re
from collections.abc import Iterable
from typing import Final

from helfy.consumer.redact_table import harmless_literals

REPLACEMENT: Final = "'[redacted]'"
_WORDS: Final = (
    "identified",
    "password",
    "master_password",
    "source_password",
    "encryption_password",
    "secret",
    "auth_string",
    "authentication_string",
    "connection",  # of a FEDERATED table: a URL with its password
)
# Names of columns that nobody has listed and that may hold a secret.
_SUSPECT_NAME: Final = (
    r"[\w$]*(?:hash|token|secret|passw|pwd|salt|credential|api_?key)[\w$]*|pw|pass|otp|pin"
)
_OPAQUE: Final = re.compile(r"[\w$./+=-]{20}")
_PARTS: Final = re.compile(
    r"""
    (?P<quoted>(?P<quote>['"`]) (?:(?!(?P=quote)).|(?P=quote){2})*+ (?:(?P=quote)|(?P<open>\Z)))
    | (?P<number>\b0[xb][0-9a-f]+)
    | (?P<comment>/\*.*?(?:\*/|\Z) | (?:--\s|\#)[^\n]*)
    | (?P<word>[\w$]+)
    | (?P<mark>\S)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
# Where a secret can begin, in a statement whose literals cannot be told.
_CUT: Final = re.compile(r"['\"#]|--\s|/\*(?!M?!)|\b0[xb]", re.IGNORECASE)
# Of these the names of accounts, which come before the password, are told.
_ACCOUNTS: Final = re.compile(
    r"\s*(?:(?:CREATE|ALTER)\s+(?:OR\s+REPLACE\s+)?USER|GRANT|SET)\b", re.IGNORECASE
)
_UNCLEAR: Final = ("\\", "/*!", "/*M!")


class SqlRedactor:
    """Redacts statements: ``columns`` hold secrets, ``captured`` do not, whatever their names."""

    def __init__(self, columns: Iterable[str], captured: Iterable[str] = ()) -> None:
        secret = {name.casefold() for name in columns}
        # "_" and "$" are part of a name: password_changed_at is no password.
        words = _joined({*_WORDS, *secret})
        harmless = _joined({name.casefold() for name in captured} - secret - {*_WORDS}) or "(?!)"
        self._suspect = re.compile(
            rf"(?<![\w$])(?!(?:{harmless})(?![\w$]))(?:{words}|{_SUSPECT_NAME})(?![\w$])",
            re.IGNORECASE,
        )

    def redact(self, sql: str, *, captured: bool = True) -> str:
        """Give the statement without what may be a secret; ``captured``: whether its table is."""
        suspect = self._suspect.search(sql)
        accounts = _ACCOUNTS.match(sql)
        if suspect is None and accounts:
            return sql
        parts = list(_PARTS.finditer(sql))
        kept = frozenset(part.start() for part in parts) if captured else frozenset()
        unclear = any(mark in sql for mark in _UNCLEAR) or any(
            part["open"] is not None for part in parts
        )
        if suspect is not None and not unclear:
            harmless = harmless_literals(parts, self._suspect, _WORDS) if captured else None
            kept = harmless or frozenset()
            unclear = harmless is None and any(self._astray(part) for part in parts)
        cut = _CUT.search(sql) if unclear else None
        if cut is not None:
            return f"{sql[: cut.start()]}{REPLACEMENT} …"
        start = suspect.start() if suspect is not None and accounts else 0
        return _PARTS.sub(
            lambda part: (
                part[0]
                if part.end() <= start or (part.start() in kept and not _OPAQUE.search(part[0]))
                else _replacement(part)
            ),
            sql,
        )

    def _astray(self, part: re.Match[str]) -> bool:
        """Say whether a suspect word stands where no keyword and no name can."""
        inside = part["quoted"][1:-1] if part["quoted"] else ""
        return bool(self._suspect.search(inside)) and not self._suspect.fullmatch(inside)


def _joined(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words))


def _replacement(part: re.Match[str]) -> str:
    if part["comment"]:
        return "/* … */"
    is_literal = part["number"] or (part["quoted"] and part["quote"] != "`")
    return REPLACEMENT if is_literal else part[0]
