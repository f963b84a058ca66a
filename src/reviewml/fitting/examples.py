"""Bringing rows into one matrix, in an order that does not depend on how they arrived."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.data.dataset import Dataset
from reviewml.display.progress import show_progress
from reviewml.operations.operation import BatchOperation
from reviewml.rows.bookkeeping import (
    ResultErrors,
    find_unreadable,
    has_target,
    identify_rows,
    with_columns,
)
from reviewml.rows.columns import as_lists, as_matrix
from reviewml.rows.hashing import mix_bits, stable_hash
from reviewml.rows.roles import BOOKKEEPING, Roles, roles_of, with_roles
from reviewml.steps.featurizer import Featurizer, Matrix
from reviewml.steps.target import read_target
from reviewml.steps.trainer import Examples, Task


@dataclasses.dataclass(frozen=True)
class TrainingSet:
    """All rows to train on, in canonical order.

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
) -> TrainingSet:
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
    parts = list(_read_parts(dataset, featurizer, roles, columns, errors))
    target = read_target(pa.chunked_array([part.target for part in parts]), task, roles.target)
    usable = np.concatenate([part.kept for part in parts])
    # Column by column: the copy is never larger than one column of it.
    features = _stack_parts([part.features for part in parts])
    hashes = np.concatenate([part.hashes for part in parts])
    order = sort_canonically(hashes, features, target.values, has_id=roles.id is not None)
    hashes = order.hashes
    places = pa.array(order.rows)
    return TrainingSet(
        examples=Examples(features[order.rows], target.take(order.rows)),
        hashes=hashes,
        columns={
            name: pa.chunked_array([part.columns[name] for part in parts])
            .combine_chunks()
            .take(places)
            for name in columns
        },
        counts=_sum_counts(parts, int(usable.sum())),
        errors=errors.table(),
    )


FEATURES, HASH, UNREADABLE = "__features__", "__hash__", "__unreadable__"


@dataclasses.dataclass(frozen=True)
class FeaturizeForTraining(BatchOperation):
    """Reduce enriched rows to what training needs: features, target, hash of the id.

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
        names = [*(name for name in (roles.id, roles.target) if name is not None), *self.columns]
        fields = [schema.field(name) for name in dict.fromkeys(names) if name in schema.names]
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
        """Build the training columns of a batch from its computed features."""
        computed = {
            FEATURES: as_lists(matrix),
            HASH: pa.array(stable_hash(identify_rows(batch, roles_of(batch.schema)))),
            UNREADABLE: pa.array(find_unreadable(batch)),
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


def _read_parts(
    dataset: Dataset,
    featurizer: Featurizer,
    roles: Roles,
    columns: tuple[str, ...],
    errors: ResultErrors,
) -> Iterator[_Part]:
    rows = dataset.apply(FeaturizeForTraining(featurizer, columns))
    for batch in show_progress(rows.full_batches(), "features", dataset.rows):
        errors.add(batch)
        bad = np.asarray(batch.column(UNREADABLE))
        usable = has_target(batch, roles) & ~bad
        used = batch if usable.all() else batch.filter(pa.array(usable))
        yield _Part(
            features=as_matrix(used.column(FEATURES)),
            target=used.column(roles.target),
            hashes=np.asarray(used.column(HASH)),
            columns={name: used.column(name) for name in columns},
            kept=usable,
            unreadable=int(bad.sum()),
        )


def _stack_parts(parts: list[Matrix]) -> Matrix:
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


def _sum_counts(parts: list[_Part], used: int) -> dict[str, int]:
    read = sum(len(part.kept) for part in parts)
    bad = sum(part.unreadable for part in parts)
    return {"read": read, "unreadable": bad, "no_target": read - bad - used, "used": used}


@dataclasses.dataclass(frozen=True)
class _Order:
    rows: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint64]


def sort_canonically(
    hashes: npt.NDArray[np.uint64],
    features: Matrix,
    target: npt.NDArray[np.float64],
    *,
    has_id: bool,
) -> _Order:
    """Sort rows by the hash of their id, or of their content where ids are not unique.

    Rows that still tie are equal, so their order does not matter.
    """
    if not has_id:
        # Their positions are not part of what they hold.
        contents = hash_contents(features, target)
        rows = np.argsort(contents, kind="stable")
        return _Order(rows, disambiguate_equal_hashes(contents[rows]))
    rows = np.argsort(hashes, kind="stable")
    ordered = hashes[rows]
    if (ordered[1:] == ordered[:-1]).any():
        rows = np.lexsort((hash_contents(features, target), hashes))
    return _Order(rows, ordered)


def disambiguate_equal_hashes(ordered: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Compute a distinct hash for each row from sorted hashes, some of which are equal.

    Equal rows are counted. They can be exchanged for each other, so it does not matter which
    of them comes first; with one hash for all, they would be held out or learned from together,
    and which outcomes a model sees of them would depend on the outcome.
    """
    positions = np.arange(len(ordered))
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)]
    nth = positions - np.maximum.accumulate(np.where(first, positions, 0))
    return mix_bits(ordered + nth.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))


def hash_contents(features: Matrix, target: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    """Hash each row's features and target; shape ``(n_rows,)``."""
    hashes = target.view(np.uint64).copy()
    for column in features.T:
        hashes *= np.uint64(0x100000001B3)
        hashes += np.ascontiguousarray(column).view(np.uint32)
    return mix_bits(hashes)
