"""Bringing rows into one matrix, in an order that does not depend on how they arrived."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.display.progress import progress
from reviewml.errors import TargetError
from reviewml.interfaces.dataset import Dataset
from reviewml.interfaces.featurizer import Featurizer, Matrix
from reviewml.interfaces.trainer import UNKNOWN_CLASS, Examples, Target, Task
from reviewml.operations.operation import BatchOperation
from reviewml.privacy.personal_data import count_personal
from reviewml.rows.bookkeeping import ResultErrors, row_ids, with_columns
from reviewml.rows.columns import as_lists, as_matrix
from reviewml.rows.hashing import splitmix, stable_hash
from reviewml.rows.roles import BOOKKEEPING, ERRORS, Roles, roles_of, with_roles

MOST_INTEGER_CLASSES = 20
"""Whole numbers with more values than this are taken for quantities, not classes."""


MOST_CLASSES = 100
"""A target with more values, hardly any of them twice, is taken for an id or a text."""


LARGEST = 1e150
"""Of a quantity that is learned: squares of larger ones, and of its inverse, are not floats."""


@dataclasses.dataclass(frozen=True)
class Collected:
    """All rows that can be learned from, in canonical order.

    Parameters
    ----------
    examples
        Features and target.
    hashes
        Stable hash of each row's id, ascending.
    columns
        Further columns asked for, such as time or group, in the same order.
    counts
        Rows read, and those left out with the reason.
    errors
        What went wrong with rows, as `Dataset.errors`.
    """

    examples: Examples
    hashes: npt.NDArray[np.uint64]
    columns: dict[str, pa.Array]
    counts: dict[str, int]
    errors: pa.Table


def collect(
    dataset: Dataset, featurizer: Featurizer, task: Task | None, columns: tuple[str, ...] = ()
) -> Collected:
    """Compute the features of all rows that have a target.

    Parameters
    ----------
    dataset
        Enriched rows whose roles name a target.
    featurizer
        Fitted.
    task
        What to learn; None infers it from the target.
    columns
        Further columns to keep for each row.

    Raises
    ------
    TargetError
        When no row has a target, or all have the same.
    """
    roles = roles_of(dataset.full_schema)
    assert roles.target is not None
    errors = ResultErrors(dataset.full_schema)
    parts = list(_parts(dataset, featurizer, roles, columns, errors))
    target = target_of(pa.chunked_array([part.target for part in parts]), task, roles.target)
    kept = np.concatenate([part.kept for part in parts])
    # Column by column: the copy is never larger than one column of it.
    features = _stacked([part.features for part in parts])
    hashes = np.concatenate([part.hashes for part in parts])
    order = canonical_order(hashes, features, target.values, has_id=roles.id is not None)
    hashes = order.hashes
    places = pa.array(order.rows)
    return Collected(
        examples=Examples(features[order.rows], target.take(order.rows)),
        hashes=hashes,
        columns={
            name: pa.chunked_array([part.columns[name] for part in parts])
            .combine_chunks()
            .take(places)
            for name in columns
        },
        counts=_counts(parts, int(kept.sum())),
        errors=errors.table(),
    )


FEATURES, HASH, UNREADABLE = "__features__", "__hash__", "__unreadable__"


@dataclasses.dataclass(frozen=True)
class FeaturizeForTraining(BatchOperation):
    """Keep of enriched rows what training needs: features, target, hash of the id.

    Parameters
    ----------
    featurizer
        Fitted.
    columns
        Further columns to keep.
    """

    featurizer: Featurizer
    columns: tuple[str, ...]
    keeps_rows = True

    def schema(self, schema: pa.Schema) -> pa.Schema:
        roles = roles_of(schema)
        kept = [*(name for name in (roles.id, roles.target) if name is not None), *self.columns]
        fields = [schema.field(name) for name in dict.fromkeys(kept) if name in schema.names]
        width = len(self.featurizer.features())
        fields += [
            pa.field(FEATURES, pa.list_(pa.float32(), width)),
            pa.field(HASH, pa.uint64()),
            pa.field(UNREADABLE, pa.bool_()),
            *(schema.field(name) for name in BOOKKEEPING),
        ]
        return with_roles(pa.schema(fields), Roles(id=roles.id, target=roles.target))

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return self.of_matrix(batch, self.featurizer.matrix(batch))

    def of_matrix(self, batch: pa.RecordBatch, matrix: Matrix) -> pa.RecordBatch:
        """Return what is kept of a batch whose features are known."""
        computed = {
            FEATURES: as_lists(matrix),
            HASH: pa.array(stable_hash(row_ids(batch, roles_of(batch.schema)))),
            UNREADABLE: pa.array(unreadable(batch)),
        }
        return with_columns(batch, computed, self.schema(batch.schema))


@dataclasses.dataclass(frozen=True)
class _Part:
    features: Matrix
    target: pa.Array
    hashes: npt.NDArray[np.uint64]
    columns: dict[str, pa.Array]
    kept: npt.NDArray[np.bool_]
    unreadable: int


def _parts(
    dataset: Dataset,
    featurizer: Featurizer,
    roles: Roles,
    columns: tuple[str, ...],
    errors: ResultErrors,
) -> Iterator[_Part]:
    rows = dataset.apply(FeaturizeForTraining(featurizer, columns))
    for batch in progress(rows.full_batches(), "features", dataset.rows):
        errors.add(batch)
        bad = np.asarray(batch.column(UNREADABLE))
        kept = has_target(batch, roles) & ~bad
        used = batch if kept.all() else batch.filter(pa.array(kept))
        yield _Part(
            features=as_matrix(used.column(FEATURES)),
            target=used.column(roles.target),
            hashes=np.asarray(used.column(HASH)),
            columns={name: used.column(name) for name in columns},
            kept=kept,
            unreadable=int(bad.sum()),
        )


def has_target(batch: pa.RecordBatch, roles: Roles) -> npt.NDArray[np.bool_]:
    """Tell which rows of a batch have a target; shape ``(n,)``."""
    missing = pc.is_null(batch.column(roles.target), nan_is_null=True)
    return ~missing.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def unreadable(batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Tell which rows of a batch could not be read at all; shape ``(n,)``."""
    bad = np.zeros(len(batch), bool)
    errors = batch.column(ERRORS)
    if errors.null_count == len(errors):
        return bad
    each = pc.list_flatten(errors)
    whole = pc.and_(pc.equal(each.field("stage"), "read"), pc.is_null(each.field("column")))
    bad[np.asarray(pc.list_parent_indices(errors).filter(whole))] = True
    return bad


def _stacked(parts: list[Matrix]) -> Matrix:
    if len(parts) == 1:
        return parts[0]
    rows = sum(len(part) for part in parts)
    stacked = np.empty((rows, parts[0].shape[1]), np.float32, order="C")
    first = 0
    while parts:
        part = parts.pop(0)
        stacked[first : first + len(part)] = part
        first += len(part)
    return stacked


def _counts(parts: list[_Part], used: int) -> dict[str, int]:
    read = sum(len(part.kept) for part in parts)
    bad = sum(part.unreadable for part in parts)
    return {"read": read, "unreadable": bad, "no_target": read - bad - used, "used": used}


@dataclasses.dataclass(frozen=True)
class _Order:
    rows: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint64]


def canonical_order(
    hashes: npt.NDArray[np.uint64],
    features: Matrix,
    target: npt.NDArray[np.float64],
    *,
    has_id: bool,
) -> _Order:
    """Sort rows by the hash of their id, or of what they hold when ids cannot tell them apart.

    Rows that still tie are equal, so their order does not matter.
    """
    if not has_id:
        # Their positions are not part of what they hold.
        contents = content_hashes(features, target)
        rows = np.argsort(contents, kind="stable")
        return _Order(rows, told_apart(contents[rows]))
    rows = np.argsort(hashes, kind="stable")
    ordered = hashes[rows]
    if (ordered[1:] == ordered[:-1]).any():
        rows = np.lexsort((content_hashes(features, target), hashes))
    return _Order(rows, ordered)


def told_apart(ordered: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return a hash for each row, different for equal ones, given their hashes in order.

    Equal rows are counted. They can be exchanged for each other, so it does not matter which
    of them comes first; with one hash for all, they would be held out or learned from together,
    and which outcomes a model sees of them would depend on the outcome.
    """
    positions = np.arange(len(ordered))
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)]
    nth = positions - np.maximum.accumulate(np.where(first, positions, 0))
    return splitmix(ordered + nth.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))


def content_hashes(features: Matrix, target: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    """Hash each row's features and target; shape ``(n_rows,)``."""
    hashes = target.view(np.uint64).copy()
    for column in features.T:
        hashes *= np.uint64(0x100000001B3)
        hashes += np.ascontiguousarray(column).view(np.uint32)
    return splitmix(hashes)


def target_of(column: pa.ChunkedArray, task: Task | None, name: str) -> Target:
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
        found = "no row has a value" if len(distinct) == 0 else "every row has the same value"
        raise TargetError(
            f"target {name!r}: {found}, so there is nothing to learn: two classes, or quantities, "
            "are needed."
        )
    task = task or _inferred(distinct)
    if task == "multiclass" and len(distinct) > max(len(column) / 2, MOST_CLASSES):
        raise TargetError(
            f"target {name!r} is {distinct.type} and has {len(distinct):,} different values in "
            f"{len(column):,} rows, as an id or a text would: what should be predicted?"
        )
    if task == "regression":
        if not _is_number(distinct.type):
            raise TargetError(f"target {name!r} is {distinct.type}, which regression cannot learn.")
        _check_spread(distinct, name)
        return Target(quantities(column, name), "regression")
    return _classes(column, distinct, task, name)


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


def quantities(column: pa.ChunkedArray, name: str) -> npt.NDArray[np.float64]:
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
    values = np.unique(quantities(pa.chunked_array([distinct]), name))
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


def _classes(column: pa.ChunkedArray, distinct: pa.Array, task: Task, name: str) -> Target:
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


def _inferred(distinct: pa.Array) -> Task:
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


def codes_of(column: pa.Array, classes: tuple[Any, ...]) -> npt.NDArray[np.float64]:
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
    known = np.asarray(encoded.indices.fill_null(0))
    return np.where(np.asarray(column.is_valid()), codes[known], np.nan)
