"""Functions of Snowflake that DuckDB has not, or has with other answers, as macros of DuckDB.

A macro with typed parameters is chosen by the types of the arguments; one without types takes the
rest. Macros live in the database ``memory``, where sessions of every database find them.
"""

from __future__ import annotations

import duckdb

from snowflake_double.sql.macros import numbers, texts, times

MACROS = {**times.MACROS, **texts.MACROS, **numbers.MACROS}
"""By name: parameters and body, of each overload."""

FUNCTIONS = frozenset(name for name in MACROS if name.isupper())
"""Those that statements call by their name."""

PREFIX = "memory.main.sf_"


def in_duckdb(name: str) -> str:
    """Return the name of a macro in DuckDB.

    Examples
    --------
    >>> in_duckdb("NVL2")
    'memory.main.sf_nvl2'
    """
    return f"{PREFIX}{name.lower()}"


FIRST = ("float_text", "text", "naive", "nonzero")
"""Macros that others call, in this order."""


def order(name: str) -> tuple[int, bool]:
    """Return when a macro is made: those that others call come first."""
    return FIRST.index(name) if name in FIRST else len(FIRST), name.isupper()


def install(duck: duckdb.DuckDBPyConnection) -> None:
    """Have DuckDB know the macros."""
    for name in sorted(MACROS, key=order):
        overloads = MACROS[name]
        bodies = ", ".join(f"({parameters}) AS {body}" for parameters, body in overloads)
        duck.execute(f"CREATE OR REPLACE MACRO {in_duckdb(name)}{bodies}")
