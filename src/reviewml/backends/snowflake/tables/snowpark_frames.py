"""Snowpark data frames as queries."""

from __future__ import annotations

from collections.abc import Sequence

from snowflake.snowpark import DataFrame

from reviewml.errors import CapabilityError


def get_query(frame: DataFrame) -> str:
    """Return the query of a Snowpark data frame.

    Raises
    ------
    CapabilityError
        When the frame takes several statements.
    """
    queries: Sequence[str] = frame.queries["queries"]
    if len(queries) != 1:
        raise CapabilityError(
            "this data frame takes several statements: call its cache_result() first, or write it "
            "to a table and give the table's name."
        )
    return queries[0]
