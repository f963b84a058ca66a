"""What a database is asked about a row, in SQL, and what that costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from reviewml.errors import SchemaError, suggest_names
from reviewml.operations.protocols import SqlStep

Range = tuple[float, float]
"""The least and the most that something is expected to be."""


@dataclasses.dataclass(frozen=True)
class Price:
    """What one call is charged for, in tokens.

    Parameters
    ----------
    function
        Name in the table of prices.
    text
        SQL expression of the text that is sent.
    counted
        SQL expression of the tokens sent, where the database can count them before it is asked.
    prompt
        Tokens that are sent with each text: labels, and the function's own words.
    answer
        Tokens that come back, apart from those in proportion to the text.
    echo
        Tokens that come back for each token of the text.
    """

    function: str
    text: str
    counted: str
    prompt: Range
    answer: Range = (0, 0)
    echo: Range = (0, 0)


@dataclasses.dataclass(frozen=True)
class CallEstimate:
    """What it would take to ask about some rows.

    Parameters
    ----------
    rows
        Different rows that would be asked about.
    stored
        Different rows whose answers are in the store; None where none are kept.
    tokens
        Charged, from the least to the most.
    credits
        Likewise.
    """

    rows: int
    stored: int | None
    tokens: Range
    credits: Range


ANSWER = '"__answer__"'
"""What SQL calls the answer of a `Call` where values are read from it."""


@dataclasses.dataclass(frozen=True)
class Call:
    """What to ask a database about one row, and how to read its answer.

    Parameters
    ----------
    answer
        SQL expression, evaluated once for each distinct row.
    values
        Column that is added → SQL expression of its value, made of the column `ANSWER`.
    error
        SQL expression of what went wrong, null when nothing did, made of the same. It must not
        quote the row.
    price
        What the answer costs; None when nothing.
    """

    answer: str
    values: Mapping[str, str]
    error: str = "NULL"
    price: Price | None = None


class Expressions(dict[str, str]):
    """SQL expressions of what an enricher needs, which say what is wrong when it asks for more."""

    stage = ""

    def __missing__(self, name: str) -> str:
        raise SchemaError(
            f"step {self.stage!r}: sql() asks for the column {name!r}, which `needs` does not "
            f"declare. {suggest_names(name, self)}"
        )


def ask_for_call(enricher: SqlStep, columns: Mapping[str, str], stage: str) -> Call | None:
    """Ask an enricher for its call; None when it has none.

    Parameters
    ----------
    enricher
        What has a method `sql`.
    columns
        SQL expressions of what it needs.
    stage
        Name of the step.

    Raises
    ------
    SchemaError
        When that is no `Call`, or its columns are not those that it needs and adds.
    """
    expressions = Expressions(columns)
    expressions.stage = stage
    call = enricher.sql(expressions)
    if call is None:
        return None
    if not isinstance(call, Call):
        raise SchemaError(
            f"step {stage!r}: sql() returned a {type(call).__name__}: return a Call, such as "
            "Call(answer=..., values={'column': ANSWER})."
        )
    if {*call.values} != {*enricher.adds}:
        raise SchemaError(
            f"step {stage!r}: sql() has values for {sorted(call.values)}, and `adds` declares "
            f"{sorted(enricher.adds)}: make them the same."
        )
    return call
