"""Scoring batches with a trained model; what a backend maps over enriched rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.data.dataset import Dataset
from reviewml.operations.operation import BatchOperation
from reviewml.rows.bookkeeping import (
    ResultErrors,
    find_unreadable,
    get_ids,
    with_bookkeeping,
    with_columns,
)
from reviewml.rows.columns import as_lists, as_matrix
from reviewml.rows.roles import BOOKKEEPING, ERRORS, PLACE, Roles, roles_of, with_roles
from reviewml.steps.featurizer import Featurizer, Matrix
from reviewml.steps.model import Model


@dataclasses.dataclass(frozen=True)
class Predict(BatchOperation):
    """Turn enriched batches into ids, predictions and probabilities.

    Parameters
    ----------
    featurizer, model
        Fitted.
    outputs
        Which to give: ``"prediction"``, ``"probability"``.
    """

    featurizer: Featurizer
    model: Model
    outputs: tuple[str, ...]
    keeps_rows = True

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """Build the schema of the scored rows: ``id``, the requested outputs, bookkeeping."""
        roles = roles_of(schema)
        id_column = roles.id if roles.id in schema.names else None
        fields = [pa.field("id", schema.field(id_column).type if id_column else pa.string())]
        if "prediction" in self.outputs:
            fields.append(pa.field("prediction", self._choose_prediction_type()))
        if "probability" in self.outputs:
            fields += [pa.field(name, pa.float64()) for name in self.list_probability_names()]
        bookkeeping_fields = [schema.field(PLACE), schema.field(ERRORS)]
        return with_roles(pa.schema([*fields, *bookkeeping_fields]), Roles(id="id"))

    def list_probability_names(self) -> list[str]:
        """List ``probability`` when binary, else ``probability_<class>`` for each class."""
        if self.model.task == "binary":
            return ["probability"]
        return [f"probability_{value}" for value in self.model.classes]

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return self.of_matrix(batch, self.featurizer.matrix(batch))

    def of_matrix(self, batch: pa.RecordBatch, matrix: Matrix) -> pa.RecordBatch:
        """Score the rows of a batch from its computed features."""
        schema = self.schema(batch.schema)
        scores = self.model.predict(matrix)
        missing = find_unreadable(batch)
        columns: list[pa.Array] = [get_ids(batch, roles_of(batch.schema))]
        if "prediction" in self.outputs:
            columns.append(self._make_predictions(scores, missing))
        if "probability" in self.outputs:
            probabilities = scores[:, 1:] if self.model.task == "binary" else scores
            columns += [pa.array(column, mask=missing) for column in probabilities.T]
        scored = pa.RecordBatch.from_arrays(columns, schema.names[: len(columns)])
        full = with_bookkeeping(scored, batch.column(PLACE), batch.column(ERRORS))
        return full.replace_schema_metadata(schema.metadata)

    def _make_predictions(
        self, scores: npt.NDArray[np.float64], missing: npt.NDArray[np.bool_]
    ) -> pa.Array:
        if self.model.task == "regression":
            return pa.array(scores, mask=missing)
        positions = pa.array(choose_classes(scores), mask=missing)
        return pa.array(self.model.classes).take(positions)

    def _choose_prediction_type(self) -> pa.DataType:
        if self.model.task == "regression":
            return pa.float64()
        return pa.array(self.model.classes).type


NUMBERS = "__numbers__"


@dataclasses.dataclass(frozen=True)
class ComputeNumbers(BatchOperation):
    """Reduce enriched rows to computed numbers, a few for each row.

    Parameters
    ----------
    featurizer
        Fitted.
    model
        Its predictions are kept; without one, the features.
    """

    featurizer: Featurizer
    model: Model | None = None
    keeps_rows = True

    @property
    def kind(self) -> pa.DataType:
        """Type of the numbers of one row."""
        if self.model is None:
            return pa.list_(pa.float32(), len(self.featurizer.features()))
        return pa.list_(pa.float64(), max(len(self.model.classes), 1))

    def schema(self, schema: pa.Schema) -> pa.Schema:
        roles = roles_of(schema)
        names = [*([] if roles.id is None else [roles.id]), *BOOKKEEPING]
        fields = [schema.field(name) for name in names if name in schema.names]
        return with_roles(pa.schema([*fields, (NUMBERS, self.kind)]), Roles(id=roles.id))

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return self.of_matrix(batch, self.featurizer.matrix(batch))

    def of_matrix(self, batch: pa.RecordBatch, matrix: Matrix) -> pa.RecordBatch:
        """Compute the numbers of a batch from its computed features."""
        numbers: npt.NDArray[Any] = matrix
        if self.model is not None:
            numbers = self.model.predict(numbers)
        return with_columns(batch, {NUMBERS: as_lists(numbers)}, self.schema(batch.schema))

    def gather(self, rows: Dataset, *, in_order: bool) -> tuple[npt.NDArray[Any], pa.Table]:
        """Compute the numbers of all rows, in memory.

        Parameters
        ----------
        rows
            Enriched.
        in_order
            Whether they come from a frame, in whose order they are returned.

        Returns
        -------
        numbers : numpy.ndarray
            Shape ``(n_rows, n_numbers)``; ``(n_rows,)`` for predictions of a regression.
        errors : pa.Table
            As `Dataset.errors`.
        """
        computed = rows.apply(self)
        errors, parts, places = ResultErrors(computed.full_schema), [], []
        for batch in computed.full_batches():
            errors.add(batch)
            parts.append(as_matrix(batch.column(NUMBERS)))
            places.append(batch.column(PLACE))
        numbers = np.concatenate(parts)
        if in_order:
            numbers = numbers[sort_by_place(places)]
        single = self.model is not None and self.model.task == "regression"
        return numbers[:, 0] if single else numbers, errors.table()


def choose_classes(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Find the position of the likeliest class of each row, the first of equals."""
    positions: npt.NDArray[np.int64] = scores.argmax(axis=1)
    return positions


def sort_by_place(places: Sequence[pa.Array]) -> npt.NDArray[np.intp]:
    """Compute the order that restores rows of a frame after a cluster has mixed them.

    Parameters
    ----------
    places
        Those of the rows, in which each is its position in the frame.
    """
    position = pa.chunked_array(places).cast(pa.int64())
    return np.argsort(np.asarray(position), kind="stable")
