"""Functions of numbers and truth values, and of whether there is a value."""

from __future__ import annotations

from snowflake_double.sql.macros.texts import once

Overloads = list[tuple[str, str]]

SF = "memory.main.sf_"
T = f"{SF}text"
ZERO = "error('100051: Division by zero')"
TRUE = "('true', 't', 'yes', 'y', 'on', '1')"
FALSE = "('false', 'f', 'no', 'n', 'off', '0')"


def of_truth(otherwise: str) -> str:
    """Return a text or number as a truth value."""
    return once(
        "CASE WHEN typeof(a) = 'BOOLEAN' THEN TRY_CAST(a AS BOOLEAN) "
        "WHEN typeof(a) = 'VARCHAR' OR typeof(a) = 'JSON' THEN "
        f"CASE WHEN {T}(a) IS NULL THEN NULL WHEN lower({T}(a)) IN {TRUE} THEN TRUE "
        f"WHEN lower({T}(a)) IN {FALSE} THEN FALSE ELSE {otherwise} END "
        "ELSE CAST(a AS BOOLEAN) END"
    )


def of_domain(outside: str, value: str) -> str:
    """Return a function that fails on what it is not defined for."""
    error = "error('100170: Invalid floating point operation')"
    return f"CASE WHEN {outside} THEN {error} ELSE {value} END"


def of_whole(function: str, places: int) -> Overloads:
    """Return an aggregate that gives a NUMBER of whole numbers, and else a FLOAT."""
    return [
        ("a HUGEINT", f"CAST({function}(a) AS DECIMAL(38, {places}))"),
        ("a", f"{function}(a)"),
    ]


MACROS: dict[str, Overloads] = {
    # Rounds halves away from zero, also of floating point, where DuckDB rounds to even numbers.
    "whole": [
        (
            "a",
            once(
                "CASE WHEN typeof(a) IN ('DOUBLE', 'FLOAT') "
                "THEN CAST(round(CAST(CAST(a AS VARCHAR) AS DOUBLE)) AS BIGINT) "
                f"WHEN typeof(a) = 'JSON' THEN CAST(CAST({T}(a) AS DECIMAL(38, 12)) AS BIGINT) "
                "WHEN typeof(a) = 'VARCHAR' AND NOT coalesce(regexp_full_match(trim(CAST(a AS "
                "VARCHAR)), '[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?'), true) THEN "
                "error('Numeric value ''' || CAST(a AS VARCHAR) || ''' is not recognized') "
                "ELSE CAST(a AS BIGINT) END"
            ),
        )
    ],
    "TO_BOOLEAN": [("a", of_truth("error('100037: Boolean value is not recognized')"))],
    "TRY_TO_BOOLEAN": [("a", of_truth("NULL"))],
    "nonzero": [("a", once(f"CASE WHEN a = 0 THEN {ZERO} ELSE a END"))],
    "MOD": [("a, b", f"a % {SF}nonzero(b)")],
    "DIV0": [
        ("a, b", f"CASE WHEN b = 0 AND a IS NOT NULL THEN 0 ELSE {SF}quotient(a, nullif(b, 0)) END")
    ],
    "DIV0NULL": [
        (
            "a, b",
            "CASE WHEN (b = 0 OR b IS NULL) AND a IS NOT NULL THEN 0 "
            f"ELSE {SF}quotient(a, nullif(b, 0)) END",
        )
    ],
    # Whole numbers give a NUMBER with six places, halves rounded away from zero.
    "quotient": [
        (
            "a HUGEINT, b HUGEINT",
            "list_transform([struct_pack(a := a, b := b)], lambda v: CAST(CAST(CASE WHEN v.b = 0 "
            "THEN error('100051: Division by zero') ELSE "
            "(2000000 * abs(v.a) + abs(v.b)) // (2 * abs(v.b)) * sign(v.a) * sign(v.b) END "
            "AS DECIMAL(38, 0))"
            " * CAST(0.000001 AS DECIMAL(6, 6)) AS DECIMAL(38, 6)))[1]",
        ),
        ("a, b", f"a / {SF}nonzero(b)"),
    ],
    "SQRT": [("a", of_domain("a < 0", "sqrt(CAST(a AS DOUBLE))"))],
    "LN": [("a", of_domain("a <= 0", "ln(CAST(a AS DOUBLE))"))],
    "ACOS": [("a", of_domain("abs(a) > 1", "acos(CAST(a AS DOUBLE))"))],
    "ASIN": [("a", of_domain("abs(a) > 1", "asin(CAST(a AS DOUBLE))"))],
    "EXP": [("a", "exp(CAST(a AS DOUBLE))")],
    "AVG": of_whole("avg", 6),
    "MEDIAN": of_whole("median", 3),
    "VARIANCE": of_whole("var_samp", 6),
    "VAR_POP": of_whole("var_pop", 6),
    "NVL2": [("a, b, c", "CASE WHEN a IS NOT NULL THEN b ELSE c END")],
    "ZEROIFNULL": [("a", "coalesce(a, 0)")],
    "NULLIFZERO": [("a", "nullif(a, 0)")],
    "EQUAL_NULL": [("a, b", "a IS NOT DISTINCT FROM b")],
    "SQUARE": [("a", "CAST(a AS DOUBLE) * CAST(a AS DOUBLE)")],
    "BITAND": [("a, b", "CAST(a AS BIGINT) & CAST(b AS BIGINT)")],
    "BITOR": [("a, b", "CAST(a AS BIGINT) | CAST(b AS BIGINT)")],
    "BITXOR": [("a, b", "xor(CAST(a AS BIGINT), CAST(b AS BIGINT))")],
    "BOOLAND": [("a, b", "CAST(a AS BOOLEAN) AND CAST(b AS BOOLEAN)")],
    "BOOLOR": [("a, b", "CAST(a AS BOOLEAN) OR CAST(b AS BOOLEAN)")],
    "LOG": [("b, a", "ln(CAST(a AS DOUBLE)) / ln(CAST(b AS DOUBLE))")],
    "POWER": [("a, b", "pow(CAST(a AS DOUBLE), CAST(b AS DOUBLE))")],
    "SIGN": [("a", "CAST(sign(a) AS BIGINT)")],
    "TO_DOUBLE": [
        (
            "a",
            once(
                f"CASE WHEN typeof(a) IN ('JSON', 'VARCHAR') THEN CAST({T}(a) AS DOUBLE) "
                "ELSE CAST(a AS DOUBLE) END"
            ),
        )
    ],
    "TRY_TO_DOUBLE": [("a", f"TRY_CAST({T}(a) AS DOUBLE)")],
    "UUID_STRING": [("", "CAST(uuid() AS VARCHAR)")],
    "APPROX_COUNT_DISTINCT": [("a", "count(DISTINCT a)")],
}
"""By name: parameters and body, of each overload."""

MACROS |= {
    "POW": MACROS["POWER"],
    "HLL": MACROS["APPROX_COUNT_DISTINCT"],
}
