"""Names, texts and options, read from SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlglot
from sqlglot.tokenizer_core import Token, TokenType

from snowflake_double.statements import Call, Refused

PART = r'(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*)'
NAME = rf"(?:{PART}(?:\.{PART}){{0,2}})"
"""Pattern of the name of an object."""

TEXT = r"(?:'(?:[^'\\]|\\.|'')*')"
"""Pattern of a text within quotes."""


def tokens(sql: str) -> list[Token]:
    """Return the tokens of a piece of SQL."""
    return list(sqlglot.tokenize(sql, read="snowflake"))


def read_text(sql: str) -> str:
    r"""Return the text that stands in quotes, or the word that stands without.

    Examples
    --------
    >>> read_text(r"'it\'s'")
    "it's"
    """
    if not sql.startswith(("'", "$$")):
        return sql
    return tokens(sql)[0].text


def identifier(call: Call) -> str:
    """Return the name in a statement, which can be bound or a text: ``IDENTIFIER(…)``."""
    name = str(call.match["name"])
    if not name.upper().startswith("IDENTIFIER("):
        return name
    inner = name[len("IDENTIFIER(") : -1]
    return str(call.binds.pop(0)) if inner == "?" else read_text(inner)


def read_value(token: Token) -> Any:
    if token.token_type in (TokenType.STRING, TokenType.RAW_STRING):
        return token.text
    word = token.text.upper()
    if token.token_type is TokenType.NUMBER:
        return int(token.text) if token.text.isdigit() else token.text
    return {"TRUE": True, "FALSE": False, "NULL": None}.get(word, word)


def options(sql: str) -> dict[str, Any]:
    """Return the options of a statement: ``KEY = VALUE``, where a value can be a list of options.

    Examples
    --------
    >>> options("FILE_FORMAT = (TYPE = csv SKIP_HEADER = 1) OVERWRITE = TRUE")
    {'FILE_FORMAT': {'TYPE': 'CSV', 'SKIP_HEADER': 1}, 'OVERWRITE': True}
    """
    found, rest = read_options(tokens(sql))
    if rest:
        raise Refused(1003, f"SQL compilation error: syntax error at {rest[0].text!r} in {sql!r}")
    return found


def read_options(given: Sequence[Token]) -> tuple[dict[str, Any], Sequence[Token]]:
    found: dict[str, Any] = {}
    while given and given[0].token_type is not TokenType.R_PAREN:
        if given[0].token_type is TokenType.COMMA:
            given = given[1:]
            continue
        if len(given) < 3 or given[1].token_type not in (TokenType.EQ, TokenType.FARROW):
            return found, given
        key, given = given[0].text.upper(), given[2:]
        found[key], given = read_option(given)
    return found, given


def read_single(given: Sequence[Token]) -> tuple[Any, Sequence[Token]]:
    """Return a value that can be a name of several parts."""
    value, given = read_value(given[0]), given[1:]
    while len(given) > 1 and given[0].token_type is TokenType.DOT:
        value, given = f"{value}.{given[1].text}", given[2:]
    return value, given


def read_option(given: Sequence[Token]) -> tuple[Any, Sequence[Token]]:
    if given[0].token_type is not TokenType.L_PAREN:
        return read_single(given)
    if len(given) > 2 and given[2].token_type in (TokenType.EQ, TokenType.FARROW):
        inner, given = read_options(given[1:])
        return inner, given[1:]
    end = next(i for i, token in enumerate(given) if token.token_type is TokenType.R_PAREN)
    listed = [read_value(t) for t in given[1:end] if t.token_type is not TokenType.COMMA]
    return listed, given[end + 1 :]


def enclosed(sql: str, start: int) -> int:
    """Return where what stands in parentheses ends, given where it starts."""
    depth = 0
    for token in tokens(sql[start:]):
        depth += token.token_type is TokenType.L_PAREN
        depth -= token.token_type is TokenType.R_PAREN
        if not depth:
            return start + token.end + 1
    raise Refused(1003, f"SQL compilation error: unbalanced parentheses in {sql[start:][:100]!r}")


def placeholders(sql: str) -> int:
    """Return how many ``?`` a piece of SQL has."""
    return sum(token.token_type is TokenType.PLACEHOLDER for token in tokens(sql))
