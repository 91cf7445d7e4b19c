"""Tell which literals in the definition of a table cannot be the value of a redacted column.

So that the record of ``CREATE TABLE users (… password_hash VARCHAR(255), role VARCHAR(16)
DEFAULT 'user' …)`` still says what the role is by default. Only what is known to be harmless
is: the literal stands in the definition of another column, as its DEFAULT, its COMMENT or a
value of its ENUM or SET, and the statement defines columns and does nothing else.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

_BEFORE_TABLE: Final = frozenset({"OR", "REPLACE", "TEMPORARY", "ONLINE", "OFFLINE", "IGNORE"})
# With any of these, a value of one column can stand far from its name, or under another one.
_NOT_PLAIN: Final = frozenset(
    {"SELECT", "VALUES", "VALUE", "WITH", "PARTITION", "SUBPARTITION", "CHANGE", "RENAME"}
)
_LITERAL_FOLLOWS: Final = frozenset({"DEFAULT", "COMMENT"})
_LISTS: Final = frozenset({"ENUM", "SET"})
# The character set that a literal names for itself: TiDB writes DEFAULT _UTF8MB4'x'.
_INTRODUCER: Final = re.compile(r"_[A-Z0-9]+|N")


def harmless_literals(
    parts: Sequence[re.Match[str]], secret: re.Pattern[str], keywords: Collection[str]
) -> frozenset[int] | None:
    """Give where the literals start that may stay; None for what is no plain definition.

    ``parts`` is the whole statement, with every quote closed. ``secret`` finds what makes a
    definition one of a redacted column, ``keywords`` (in lower case) what sets a password.
    """
    tokens = [part for part in parts if not part["comment"]]
    words = [(part["word"] or part["mark"] or "").upper() for part in tokens]
    if not _defines_table(words) or _NOT_PLAIN.intersection(words) or ";" in words:
        return None
    if any(word.lower() in keywords for word in words):
        return None
    # In CREATE TABLE the columns stand within parentheses, in ALTER TABLE outside of any.
    clauses = _clauses(words, 1 if words[0] == "CREATE" else 0)
    return frozenset(
        start
        for clause in clauses
        if not secret.search(tokens[0].string, tokens[clause[0]].start(), tokens[clause[-1]].end())
        for start in _harmless(tokens, words, clause)
    )


def _clauses(words: Sequence[str], outer: int) -> Iterator[range]:
    """Split at the commas that stand within ``outer`` parentheses at most."""
    begin = depth = 0
    for index, word in enumerate(words):
        depth += (word == "(") - (word == ")")
        if word == "," and depth <= outer:
            yield range(begin, index + 1)
            begin = index + 1
    if begin < len(words):
        yield range(begin, len(words))


def _harmless(
    tokens: Sequence[re.Match[str]], words: Sequence[str], clause: range
) -> Iterator[int]:
    openers: list[str] = []  # the word before each parenthesis that the clause opened
    for index in clause:
        before = words[index - 1] if index else ""
        if words[index] == "(":
            openers.append(before)
        elif words[index] == ")" and openers:
            openers.pop()
        elif tokens[index]["quoted"] and tokens[index]["quote"] != "`":
            if _INTRODUCER.fullmatch(before) and index > 1:
                before = words[index - 2]
            in_list = bool(openers) and openers[-1] in _LISTS and before in {"(", ","}
            option = before == "=" and words[index - 2] == "COMMENT"
            if in_list or option or before in _LITERAL_FOLLOWS:
                yield tokens[index].start()


def _defines_table(words: Sequence[str]) -> bool:
    if not words or words[0] not in {"CREATE", "ALTER"} or "TABLE" not in words:
        return False
    return _BEFORE_TABLE.issuperset(words[1 : words.index("TABLE")])
