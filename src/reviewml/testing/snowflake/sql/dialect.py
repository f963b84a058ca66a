"""Snowflake's SQL, parsed so that functions which the double has of its own stay as written."""

from __future__ import annotations

from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.snowflake import Snowflake
from sqlglot.errors import ParseError
from sqlglot.parsers.snowflake import SnowflakeParser

from reviewml.testing.snowflake.statements import Refused, not_understood

OWN = frozenset(
    [
        "ARRAY_APPEND",
        "ARRAY_CAT",
        "ARRAY_COMPACT",
        "ARRAY_CONSTRUCT",
        "ARRAY_CONSTRUCT_COMPACT",
        "ARRAY_CONTAINS",
        "ARRAY_DISTINCT",
        "ARRAY_EXCEPT",
        "ARRAY_INTERSECTION",
        "ARRAY_MAX",
        "ARRAY_MIN",
        "ARRAY_POSITION",
        "ARRAY_PREPEND",
        "ARRAY_REMOVE",
        "ARRAY_REVERSE",
        "ARRAY_SIZE",
        "ARRAY_SLICE",
        "ARRAY_SORT",
        "ARRAY_TO_STRING",
        "ARRAYS_OVERLAP",
        "GET",
        "IS_ARRAY",
        "IS_OBJECT",
        "BASE64_DECODE_STRING",
        "BASE64_ENCODE",
        "OBJECT_CONSTRUCT",
        "OBJECT_DELETE",
        "OBJECT_INSERT",
        "OBJECT_KEYS",
        "OBJECT_PICK",
        "STRIP_NULL_VALUE",
        "TYPEOF",
        "OCTET_LENGTH",
        "REGEXP_COUNT",
        "TO_TIMESTAMP_LTZ",
        "TO_TIMESTAMP_TZ",
        "TRY_TO_TIMESTAMP",
        "TRY_TO_TIMESTAMP_NTZ",
        "TRY_TO_TIMESTAMP_LTZ",
        "TRY_TO_TIMESTAMP_TZ",
    ]
)


class SnowflakeAsWritten(Snowflake):
    """The dialect."""

    class Parser(SnowflakeParser):
        """Its parser."""

        FUNCTIONS = {
            name: build for name, build in SnowflakeParser.FUNCTIONS.items() if name not in OWN
        }


def parse(sql: str) -> exp.Expr:
    """Return the tree of one statement.

    Raises
    ------
    Refused
        When it cannot be parsed, or is of a kind that the double does not know.
    """
    try:
        trees: list[Any] = sqlglot.parse(sql, dialect=SnowflakeAsWritten)
    except ParseError as error:
        told = str(error).replace("\x1b[4m", "").replace("\x1b[0m", "")
        raise not_understood(f"SQL compilation error:\nsyntax error: {told}") from error
    if len(trees) != 1:
        raise Refused(8, f"Actual statement count {len(trees)} did not match the desired 1.")
    if isinstance(trees[0], exp.Command):
        raise not_understood(f"the statement {sql[:200]!r} is not known.")
    return trees[0]  # type: ignore[no-any-return]
