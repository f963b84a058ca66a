"""Snowflake's SQL, parsed so that functions which the double has of its own stay as written."""

from __future__ import annotations

from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.snowflake import Snowflake
from sqlglot.errors import ParseError
from sqlglot.parsers.snowflake import SnowflakeParser

from snowflake_double.statements import Refused, not_understood

NAMES = """
    ABS AI_CLASSIFY ANY_VALUE ARRAY_AGG ARRAYAGG ATAN ATAN2 AVG BOOLAND_AGG BOOLOR_AGG
    CBRT CEIL CEILING COALESCE CORR COS COSH COT COUNT COUNT_IF COVAR_POP COVAR_SAMP CUME_DIST
    CURRENT_ACCOUNT CURRENT_ACCOUNT_NAME CURRENT_CLIENT CURRENT_DATABASE CURRENT_DATE
    CURRENT_ORGANIZATION_NAME CURRENT_REGION CURRENT_ROLE CURRENT_SCHEMA CURRENT_SECONDARY_ROLES
    CURRENT_SESSION CURRENT_TIMESTAMP CURRENT_USER CURRENT_VERSION CURRENT_WAREHOUSE DEGREES
    DENSE_RANK FIRST_VALUE FLATTEN FLOOR GENERATOR GREATEST IDENTIFIER IFF IFNULL LAG
    LAST_VALUE LEAD LEAST LOCALTIMESTAMP MAX MEDIAN MIN NTH_VALUE NTILE NULLIF NVL OBJECT_AGG
    PERCENTILE_CONT PERCENTILE_DISC PERCENT_RANK PI RADIANS RANDOM RANK ROUND
    ROW_NUMBER SEQ1 SEQ2 SEQ4 SEQ8 SIN SINH STDDEV STDDEV_POP STDDEV_SAMP SUM TABLE TAN TANH
    TO_DECIMAL TO_JSON TO_NUMBER TO_NUMERIC TO_VARIANT TRUNC TRUNCATE TRY_TO_DECIMAL
    TRY_TO_NUMBER TRY_TO_NUMERIC VARIANCE VARIANCE_POP VARIANCE_SAMP VAR_POP VAR_SAMP
"""
PARSED = frozenset(NAMES.split())
"""Functions that sqlglot and fakesnow write for DuckDB so that they mean what they mean in
Snowflake. All others stay as they are written, and are those of this package or refused."""

NAMES_WITH_SYNTAX = """
    CAST TRY_CAST CEIL DECODE EXTRACT FLOOR LISTAGG MAX_BY MIN_BY OBJECT_CONSTRUCT_KEEP_NULL
    POSITION
"""
WITH_SYNTAX = frozenset(NAMES_WITH_SYNTAX.split())
"""Functions whose arguments sqlglot reads in a way of their own."""


class SnowflakeAsWritten(Snowflake):
    """The dialect."""

    class Parser(SnowflakeParser):
        """Its parser."""

        FUNCTIONS = {
            name: build for name, build in SnowflakeParser.FUNCTIONS.items() if name in PARSED
        }
        FUNCTION_PARSERS = {
            name: read
            for name, read in SnowflakeParser.FUNCTION_PARSERS.items()
            if name in WITH_SYNTAX
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
