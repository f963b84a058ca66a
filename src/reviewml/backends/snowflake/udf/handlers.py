"""What our functions do where the warehouse runs them; it knows nothing of Snowflake's clients."""

from __future__ import annotations

import dataclasses
import json
import pickle
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml import saving
from reviewml.backends.snowflake.udf import statistics_codec, value_codec
from reviewml.models.scoring import choose_classes
from reviewml.operations.enrich import Enrich
from reviewml.operations.operation import BatchOperation
from reviewml.operations.sample import KeepSample
from reviewml.rows.bookkeeping import find_unreadable
from reviewml.rows.expressions import write_numbers
from reviewml.rows.roles import ERRORS, ERRORS_TYPE, PLACE, roles_of
from reviewml.rows.row_keys import hash_rows
from reviewml.rows.statistics import compute_parts

if TYPE_CHECKING:
    import pandas as pd

Values = list[list[float | None] | None]
"""A list for each row, which becomes an array."""

Compute = Callable[["pd.DataFrame"], Values]

Texts = list[list[str | None]]
"""A text for each column of each row, which becomes an array."""

Map = Callable[["pd.DataFrame"], Texts]

OfPartition = Callable[["pd.DataFrame"], "pd.DataFrame"]

PICKLE = "function.pickle"
"""File in an archive of what was pickled."""

KEY, CHOSEN = "__key__", "__chosen__"
"""Columns of what rows are found by, and of whether they are in a sample."""


def text_features(archive: str, names: Sequence[str]) -> Compute:
    """Make the function that computes features of texts with an archived featurizer.

    Parameters
    ----------
    archive
        Name of a file that the function imports: a zipped folder of `reviewml.saving`.
    names
        Of the columns of text, in the order of the arguments.
    """
    [(_, featurizer)] = _load_parts(archive).steps

    def compute(frame: pd.DataFrame) -> Values:
        columns = [pa.array(frame[place], pa.string(), from_pandas=True) for place in frame]
        matrix = featurizer.matrix(pa.RecordBatch.from_arrays(columns, list(names)))
        return _to_lists(matrix.astype(np.float64))

    return compute


def scores(archive: str) -> Compute:
    """Make the function that predicts from features with an archived model.

    Its arguments are the features, in float64, and the errors of the row, as JSON. Its values are
    the position of the likeliest class and the probability of each; of a regression, the
    prediction; nothing for a row that could not be read.
    """
    model = _load_parts(archive).model
    assert model is not None

    def compute(frame: pd.DataFrame) -> Values:
        *numbers, errors = (frame[place] for place in frame)
        matrix = np.empty((len(frame), len(numbers)), np.float32, order="F")
        for place, column in enumerate(numbers):
            write_numbers(column.to_numpy(np.float64, na_value=np.nan), matrix[:, place])
        scored = model.predict(matrix)
        if model.task != "regression":
            scored = np.column_stack([choose_classes(scored), scored])
        lists = _to_lists(scored.reshape(len(frame), -1))
        return [None if bad else row for row, bad in zip(lists, _find_unread(errors), strict=True)]

    return compute


def enriched(
    archive: str, schema: Sequence[str], names: Sequence[str], stage: Sequence[str]
) -> Map:
    """Make the function that adds the columns of an archived enricher; see `called`.

    Parameters
    ----------
    archive, schema, names
        As of `called`; the archive holds a saved enricher.
    stage
        One text: name of the step.
    """
    [(_, enricher)] = _load_parts(archive).steps
    return _map_operation(Enrich(enricher, stage[0]), schema, names)


def called(archive: str, schema: Sequence[str], names: Sequence[str]) -> Map:
    """Make the function that runs an archived operation.

    Parameters
    ----------
    archive
        Name of a file that the function imports; it holds a pickle that this session made.
    schema
        One text: the schema of the batches, serialised, in hexadecimal digits. The arguments are
        what `passing.arguments` says of its columns.
    names
        Of the columns that it gives, as `passing.answered` does.
    """
    return _map_operation(_unpickle_archive(archive), schema, names)


@dataclasses.dataclass(frozen=True)
class AddRowKeys(BatchOperation):
    """Add what a store finds rows by, in hexadecimal digits.

    Parameters
    ----------
    names
        Columns of what an enricher is shown.
    """

    names: tuple[str, ...]
    keeps_rows = True

    def schema(self, schema: pa.Schema) -> pa.Schema:
        return schema.append(pa.field(KEY, pa.string()))

    def reads(self, schema: pa.Schema) -> Sequence[str]:
        # The place, or of no columns nobody could tell how many rows there are.
        return (*self.names, PLACE)

    def makes(self, schema: pa.Schema) -> Sequence[str]:
        return (KEY,)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        keys = hash_rows(batch.select(list(self.names)))
        return batch.append_column(KEY, pa.array([key.hex() for key in keys.to_pylist()]))


@dataclasses.dataclass(frozen=True)
class MarkSample(BatchOperation):
    """Add whether a row is in a sample.

    Parameters
    ----------
    sample
        Keeps those that are.
    """

    sample: KeepSample
    keeps_rows = True

    @property
    def name(self) -> str:
        return "sample"

    def schema(self, schema: pa.Schema) -> pa.Schema:
        return schema.append(pa.field(CHOSEN, pa.bool_()))

    def reads(self, schema: pa.Schema) -> Sequence[str]:
        candidates = (roles_of(schema).id, self.sample.smallest.column, PLACE)
        return [name for name in candidates if name]

    def makes(self, schema: pa.Schema) -> Sequence[str]:
        return (CHOSEN,)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.append_column(CHOSEN, self.sample.is_kept(batch))


def parts(archive: str, schema: Sequence[str]) -> OfPartition:
    """Make the function that computes archived statistics of a partition.

    Parameters
    ----------
    archive, schema
        As of `called`; the archive holds statistics by name.
    """
    import pandas as pd

    statistics = _unpickle_archive(archive)
    before = _read_schema(schema)

    def compute(frame: pd.DataFrame) -> pd.DataFrame:
        pieces = statistics_codec.encode_parts(
            compute_parts(statistics, _decode_frame(frame, before))
        )
        return pd.DataFrame({"PIECE": range(len(pieces)), "PART": pieces})

    return compute


def _map_operation(
    operation: BatchOperation,
    schema: Sequence[str],
    names: Sequence[str],
) -> Map:
    before = _read_schema(schema)
    operation.setup()

    def compute(frame: pd.DataFrame) -> Texts:
        result = operation(_decode_frame(frame, before))
        texts = [value_codec.encode_result(result.column(n), result.schema.field(n)) for n in names]
        return [list(row) for row in zip(*texts, strict=True)]

    return compute


def _read_schema(texts: Sequence[str]) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(texts[0])))


def _decode_frame(frame: pd.DataFrame, schema: pa.Schema) -> pa.RecordBatch:
    series = iter([frame[place] for place in frame])
    columns = [value_codec.decode_argument(series, field) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _find_unread(errors: pd.Series) -> npt.NDArray[np.bool_]:
    parsed = [json.loads(text) if isinstance(text, str) else None for text in errors]
    return find_unreadable(pa.record_batch({ERRORS: pa.array(parsed, ERRORS_TYPE)}))


def _to_lists(matrix: npt.NDArray[np.float64]) -> Values:
    # An array of Snowflake's is JSON, which has no NaN.
    values = matrix.astype(object)
    values[np.isnan(matrix)] = None
    return list(values.tolist())


def _load_parts(archive: str) -> saving.Parts:
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(_find_import(archive)) as file:
        file.extractall(folder)
        return saving.load(Path(folder))


def _unpickle_archive(archive: str) -> Any:
    with zipfile.ZipFile(_find_import(archive)) as file:
        return pickle.loads(file.read(PICKLE))  # noqa: S301  code of the one who runs it


def _find_import(archive: str) -> Path:
    return Path(sys._xoptions["snowflake_import_directory"]) / archive
