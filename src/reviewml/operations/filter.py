"""Filter: the rows for which an expression is true."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import ParameterError, SchemaError, suggest_names
from reviewml.operations.operation import BatchOperation
from reviewml.rows.bookkeeping import make_empty_batch
from reviewml.rows.roles import visible

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Filter(BatchOperation):
    """Keep the rows for which an Arrow expression is true, not false or null.

    Raises
    ------
    ParameterError
        When `keep` is no Arrow expression.
    """

    keep: pc.Expression

    def __post_init__(self) -> None:
        if not isinstance(self.keep, pc.Expression):
            raise ParameterError(
                f"filter: expected an Arrow expression, such as pyarrow.compute.field('price') > "
                f"50, and got a {type(self.keep).__name__}."
            )

    def schema(self, schema: pa.Schema) -> pa.Schema:
        check_expression(self.keep, schema, "filter")
        return schema

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return decide_rows("filter", lambda: batch.filter(self.keep))


def decide_rows(method: str, decide: Callable[[], T]) -> T:
    """Evaluate a condition, and raise an error that quotes no cells when Arrow cannot.

    Parameters
    ----------
    method
        What messages call the method that the user called.
    decide
        Evaluates the condition.
    """
    with contextlib.suppress(pa.ArrowException):
        return decide()
    # Not while Arrow's error is handled, which tracebacks would show with this one.
    raise SchemaError(
        f"{method}: the condition cannot be decided for some row: it casts a value that cannot "
        "be cast, divides by zero, has a pattern that is none, or is no condition on single "
        "rows. Leave such rows out first, or change the condition."
    )


def check_expression(condition: pc.Expression, schema: pa.Schema, method: str) -> None:
    """Raise `SchemaError` unless an expression is a condition on rows of a schema.

    Parameters
    ----------
    condition
        Names columns.
    schema
        Of the rows.
    method
        What messages call the method that the user called.
    """
    failure = None
    try:
        make_empty_batch(schema).filter(condition)
    except pa.ArrowException as error:
        failure = str(error)
    if failure is None:
        return
    unknown = re.match(r"No match for FieldRef\.Name\((.*)\) in", failure)
    if unknown is None:
        raise SchemaError(f"{method}: {failure.splitlines()[0]}.")
    near = suggest_names(unknown[1], visible(schema.names))
    raise SchemaError(f"{method}: no column {unknown[1]!r}. {near}")
