"""Functions of Python that DuckDB calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
from duckdb.func import FunctionNullHandling, PythonUDFType


def add_function(
    duck: duckdb.DuckDBPyConnection,
    name: str,
    function: Callable[..., Any],
    parameters: list[str],
    returns: str,
    *,
    arrow: bool = False,
    volatile: bool = False,
) -> None:
    """Have DuckDB know a function, which is called with nulls too.

    Parameters
    ----------
    arrow
        Whether it takes and gives batches in Arrow.
    volatile
        Whether it is called for each row, also one that repeats.
    """
    duck.create_function(
        name,
        function,
        parameters,  # type: ignore[arg-type]
        returns,
        type=PythonUDFType.ARROW if arrow else PythonUDFType.NATIVE,
        null_handling=FunctionNullHandling.SPECIAL,
        side_effects=volatile,
    )
