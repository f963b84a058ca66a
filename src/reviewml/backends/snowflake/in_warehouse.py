"""What our functions do where the warehouse runs them; it knows nothing of Snowflake's clients."""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml import saving
from reviewml.interfaces.expressions import write_numbers
from reviewml.schema import ERRORS, ERRORS_TYPE
from reviewml.scoring import chosen
from reviewml.training import unreadable

if TYPE_CHECKING:
    import pandas as pd

Values = list[list[float | None] | None]
"""A list for each row, which becomes an array."""

Compute = Callable[["pd.DataFrame"], Values]


def text_features(archive: str, names: Sequence[str]) -> Compute:
    """Return what computes the features of texts, by the featurizer in an archive.

    Parameters
    ----------
    archive
        Name of a file that the function imports: a zipped folder of `reviewml.saving`.
    names
        Of the columns of text, in the order of the arguments.
    """
    [(_, featurizer)] = _saved(archive).steps

    def compute(frame: pd.DataFrame) -> Values:
        columns = [pa.array(frame[place], pa.string(), from_pandas=True) for place in frame]
        matrix = featurizer.matrix(pa.RecordBatch.from_arrays(columns, list(names)))
        return _lists(matrix.astype(np.float64))

    return compute


def scores(archive: str) -> Compute:
    """Return what predicts from features, by the model in an archive.

    Its arguments are the features, in float64, and the errors of the row, as JSON. Its values are
    the position of the likeliest class and the probability of each; of a regression, the
    prediction; nothing for a row that could not be read.
    """
    model = _saved(archive).model
    assert model is not None

    def compute(frame: pd.DataFrame) -> Values:
        *numbers, errors = (frame[place] for place in frame)
        matrix = np.empty((len(frame), len(numbers)), np.float32, order="F")
        for place, column in enumerate(numbers):
            write_numbers(column.to_numpy(np.float64, na_value=np.nan), matrix[:, place])
        found = model.predict(matrix)
        if model.task != "regression":
            found = np.column_stack([chosen(found), found])
        lists = _lists(found.reshape(len(frame), -1))
        return [None if bad else row for row, bad in zip(lists, _unread(errors), strict=True)]

    return compute


def _unread(errors: pd.Series) -> npt.NDArray[np.bool_]:
    parsed = [json.loads(text) if isinstance(text, str) else None for text in errors]
    return unreadable(pa.record_batch({ERRORS: pa.array(parsed, ERRORS_TYPE)}))


def _lists(matrix: npt.NDArray[np.float64]) -> Values:
    # An array of Snowflake's is JSON, which has no NaN.
    values = matrix.astype(object)
    values[np.isnan(matrix)] = None
    return list(values.tolist())


def _saved(archive: str) -> saving.Parts:
    imports = Path(sys._xoptions["snowflake_import_directory"])
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(imports / archive) as file:
        file.extractall(folder)
        return saving.load(Path(folder))
