"""Targets: what a model learns to predict, read from a column of rows."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import TargetError
from reviewml.privacy.personal_data import count_personal
from reviewml.steps.trainer import UNKNOWN_CLASS, Target, Task

MOST_INTEGER_CLASSES = 20
"""Whole numbers with more values than this are taken for quantities, not classes."""


MOST_CLASSES = 100
"""A target with more values, hardly any of them twice, is taken for an id or a text."""


LARGEST = 1e150
"""Of a quantity that is learned: squares of larger ones, and of its inverse, are not floats."""


def read_target(column: pa.ChunkedArray, task: Task | None, name: str) -> Target:
    """Read the target and, where it is not given, infer what kind of prediction it is.

    Text, booleans and two values are classes; whole numbers are classes when there are at most
    20 of them; other numbers are quantities.

    Raises
    ------
    TargetError
        When no row has a target, or all have the same.
    """
    check_plain(column.type, name)
    column = with_one_zero(column)
    distinct = column.unique().drop_null()
    if len(distinct) < 2:
        finding = "no row has a value" if len(distinct) == 0 else "every row has the same value"
        raise TargetError(
            f"target {name!r}: {finding}, so there is nothing to learn: two classes, or "
            "quantities, "
            "are needed."
        )
    task = task or _infer_task(distinct)
    if task == "multiclass" and len(distinct) > max(len(column) / 2, MOST_CLASSES):
        raise TargetError(
            f"target {name!r} is {distinct.type} and has {len(distinct):,} different values in "
            f"{len(column):,} rows, as an id or a text would: what should be predicted?"
        )
    if task == "regression":
        if not _is_number(distinct.type):
            raise TargetError(f"target {name!r} is {distinct.type}, which regression cannot learn.")
        _check_spread(distinct, name)
        return Target(read_quantities(column, name), "regression")
    return _read_classes(column, distinct, task, name)


def check_plain(kind: pa.DataType, name: str) -> None:
    """Raise `TargetError` unless a target of a type has one plain value in each row."""
    if pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType):
        raise TargetError(
            f"target {name!r} is {kind}: predict a number, a truth value, a text or a date."
        )


def with_one_zero(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the same numbers, with -0.0, which equals 0.0 and has other bits, as 0.0."""
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    if pa.types.is_float32(column.type) or pa.types.is_float64(column.type):
        return pc.add(column, pa.scalar(0, column.type))
    return column


def read_quantities(column: pa.ChunkedArray, name: str) -> npt.NDArray[np.float64]:
    """Return a target as numbers, NaN where it is null.

    Raises
    ------
    TargetError
        When whole numbers in it are beyond 2⁵³, where not all can be told apart, or values are
        infinite or too large to be squared.
    """
    try:
        numbers = column.cast(pa.float64())
    except pa.ArrowInvalid:
        # Arrow's own message quotes a value.
        raise TargetError(
            f"target {name!r} is {column.type} and has whole numbers beyond 2**53, which 64-bit "
            "floats do not tell apart: subtract what they have in common, or predict another "
            "column."
        ) from None
    values = np.asarray(numbers.fill_null(float("nan")))
    largest = float(np.nanmax(np.abs(values), initial=0.0))
    if math.isinf(largest):
        raise TargetError(f"target {name!r} is infinite in some rows: leave them out.")
    if largest > LARGEST:
        raise TargetError(
            f"target {name!r} has values up to {largest:.0e}, whose squares 64-bit floats do not "
            "hold: give it in a larger unit, or predict its logarithm."
        )
    return values


def _check_spread(distinct: pa.Array, name: str) -> None:
    """Raise when a target has different values that are one in 64-bit floats, or nearly."""
    values = np.unique(read_quantities(pa.chunked_array([distinct]), name))
    if len(values) < len(distinct):
        raise TargetError(
            f"target {name!r} is {distinct.type} and has values that 64-bit floats do not tell "
            "apart: subtract what they have in common, or predict another column."
        )
    if values[-1] - values[0] < 1 / LARGEST:
        raise TargetError(
            f"target {name!r} has values within {values[-1] - values[0]:.0e}, the squares of which "
            "64-bit floats do not hold: give it in a smaller unit."
        )


def _read_classes(column: pa.ChunkedArray, distinct: pa.Array, task: Task, name: str) -> Target:
    classes = tuple(sorted(distinct.to_pylist()))
    if task == "binary" and len(classes) != 2:
        raise TargetError(f"target {name!r} has {len(classes)} values, and task='binary' two.")
    if personal := count_personal(classes):
        raise TargetError(
            f"target {name!r}: {personal:,} of {len(classes):,} classes look like personal data, "
            "such as e-mail addresses or telephone numbers, and a model file would hold them: "
            "predict another column, or replace them by codes."
        )
    codes = pc.index_in(column, pa.array(classes, column.type))
    kind: Task = "binary" if len(classes) == 2 else "multiclass"
    return Target(np.asarray(codes).astype(np.float64), kind, classes)


def _infer_task(distinct: pa.Array) -> Task:
    if len(distinct) == 2:
        return "binary"
    if not _is_number(distinct.type):
        return "multiclass"
    whole = all(
        isinstance(v, numbers.Real) and float(v).is_integer() for v in distinct.to_pylist()[:1000]
    )
    return "multiclass" if whole and len(distinct) <= MOST_INTEGER_CLASSES else "regression"


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def encode_classes(column: pa.Array, classes: tuple[Any, ...]) -> npt.NDArray[np.float64]:
    """Return the position of each value among the classes; NaN for null, -1 for an unknown value.

    Values are compared, not types: the class 1 is also 1.0 and True, and never the text "1".
    """
    encoded = column.dictionary_encode()
    positions = {value: float(position) for position, value in enumerate(classes)}
    values = encoded.dictionary.to_pylist()
    codes = np.array([positions.get(value, UNKNOWN_CLASS) for value in values], np.float64)
    codes[pc.is_null(encoded.dictionary, nan_is_null=True).to_numpy(zero_copy_only=False)] = np.nan
    if len(codes) == 0:
        return np.full(len(column), np.nan)
    positions_known = np.asarray(encoded.indices.fill_null(0))
    return np.where(np.asarray(column.is_valid()), codes[positions_known], np.nan)
