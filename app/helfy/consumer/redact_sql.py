"""Replace what may be a secret in the text of a DDL.

A statement is suspect from the first word on that sets a password (IDENTIFIED, PASSWORD, …) or
names a redacted column (whose DEFAULT would be a secret). From there every string literal and
hexadecimal number is replaced and comments are emptied, which may take too much (names of
accounts, values of an ENUM) but not too little. Where it is unclear where a literal ends (a
backslash, which sql_mode decides about, or a comment that is executed), all from the first
quote on goes.
"""

import re
from collections.abc import Iterable
from typing import Final

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
)
_PARTS: Final = re.compile(
    r"""
    (?P<name>`[^`]*`)
    | (?P<literal>'(?:[^']|'')*(?:'|$) | "(?:[^"]|"")*(?:"|$) | \b0x[0-9a-f]+)
    | (?P<comment>/\*.*?(?:\*/|$) | (?:--\s|\#)[^\n]*)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_QUOTE: Final = re.compile("['\"]")
_UNCLEAR: Final = ("\\", "/*!", "/*M!")


class SqlRedactor:
    """Redacts statements for a set of columns."""

    def __init__(self, columns: Iterable[str]) -> None:
        words = sorted({*_WORDS, *(name.casefold() for name in columns)})
        # "_" and "$" are part of a name: password_changed_at is no password.
        joined = "|".join(re.escape(word) for word in words)
        self._suspect = re.compile(rf"(?<![\w$])(?:{joined})(?![\w$])", re.IGNORECASE)

    def redact(self, sql: str) -> str:
        """Give the statement without what may be a secret."""
        suspect = self._suspect.search(sql)
        if suspect is None:
            return sql
        quote = _QUOTE.search(sql)
        if quote is not None and any(mark in sql for mark in _UNCLEAR):
            return f"{sql[: quote.start()]}{REPLACEMENT} …"
        start = suspect.start()
        return _PARTS.sub(lambda part: _replacement(part) if part.end() > start else part[0], sql)


def _replacement(part: re.Match[str]) -> str:
    if part["name"]:
        return part[0]
    return REPLACEMENT if part["literal"] else "/* … */"
