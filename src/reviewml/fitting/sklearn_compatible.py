"""What makes a pipeline an estimator of scikit-learn: parameters, tags, and `y` beside a frame."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TransformerTags
from sklearn.utils.metaestimators import _BaseComposition

from reviewml.data.frames import as_dataset, convert_frame, is_frame
from reviewml.display.safe_repr import SafeDisplay
from reviewml.errors import ReviewmlError, SchemaError, TargetError, suggest_names
from reviewml.fitting.array_rows import name_columns
from reviewml.rows import row_errors
from reviewml.rows.roles import Roles
from reviewml.steps.featurizer import Feature
from reviewml.steps.frame_transformer import OutputContainer

TARGET = "__target__"
"""The column that `y` becomes when it has no name of its own."""


class SklearnCompatible(OutputContainer, SafeDisplay, _BaseComposition):  # type: ignore[misc]
    """Named steps whose parameters can be read and set as ``<step>__<parameter>``."""

    steps: Any
    schema_: Mapping[str, str]
    roles_: Roles

    @property
    @abstractmethod
    def features_(self) -> Sequence[Feature]:
        """Names and meanings of the columns of the matrix."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, those of the steps as ``<step>__<parameter>``."""
        params: dict[str, Any] = self._get_params("steps", deep=deep)
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, those of the steps as ``<step>__<parameter>``."""
        self._set_params("steps", **params)
        return self

    def __getitem__(self, name: str) -> Any:
        """Return the step of that name, fitted where the pipeline is."""
        steps = dict(getattr(self, "steps_", self.steps))
        if name not in steps:
            raise SchemaError(f"no step {name!r}. {suggest_names(str(name), steps)}")
        return steps[name]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags = InputTags(string=True, categorical=True, allow_nan=True)
        tags.transformer_tags = TransformerTags(preserves_dtype=[])
        if self._infer_task() == "regression":
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        else:
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        return tags

    def _infer_task(self) -> str:
        if hasattr(self, "task_"):
            return str(self.task_)
        return str(getattr(self.steps[-1][1], "task", "auto")) if self.steps else "auto"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "steps_")

    @property
    def feature_names_in_(self) -> npt.NDArray[np.object_]:
        """Names of the columns that it was fitted on, without the target."""
        names = [name for name in self.schema_ if name != self.roles_.target]
        return np.array(names, dtype=object)

    @property
    def n_features_in_(self) -> int:
        """Number of the columns that it was fitted on, without the target."""
        return len(self.feature_names_in_)

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Return the names of the columns of the matrix that `transform` returns.

        Parameters
        ----------
        input_features
            Names of the columns that it was fitted on, or None.
        """
        names = [feature.name for feature in self.features_]
        if input_features is not None and [*input_features] != [*self.feature_names_in_]:
            raise SchemaError("input_features is not equal to feature_names_in_.")
        return np.array(names, dtype=object)

    def _name_columns(self, X: Any) -> Any:
        """Return an array with the names that the pipeline was fitted on."""
        fitted = list(self.feature_names_in_) if hasattr(self, "steps_") else None
        return name_columns(X, fitted, type(self).__name__)

    def _as_output(self, X: Any, matrix: npt.NDArray[np.float32]) -> Any:
        """Return the features of `X` as the kind of frame that was chosen."""
        container = self.output_container()
        if container == "default" or not is_frame(X):
            return matrix
        columns = dict(zip(self.get_feature_names_out(), matrix.T, strict=True))
        frame = convert_frame(pa.table(columns), container)
        if container == "pandas" and hasattr(X, "index"):
            frame.index = X.index
        return frame


def with_target(X: Any, y: Any) -> tuple[pa.Table, str]:
    """Return a frame as a table with its target, and the name of that column.

    It is the name of `y` where it has one that no column has.
    """
    values = read_target(X, y)
    dataset = as_dataset(X)
    table = dataset.to_arrow()
    row_errors.warn(dataset.errors, len(table))
    if len(table) == 1:
        raise TargetError("X has 1 sample: nothing can be learned from one row.")
    name = getattr(y, "name", None)
    if not isinstance(name, str) or not name or name in table.column_names:
        name = TARGET
    return table.append_column(name, values), name


def read_target(X: Any, y: Any) -> pa.ChunkedArray:
    """Return the targets of a frame's rows as an Arrow column.

    Raises
    ------
    SchemaError
        When they are not one plain value for each row.
    """
    if not is_frame(X):
        raise SchemaError("y goes with a frame; for a path or Source give target='column'.")
    values = _read_values(y)
    if len(values) != len(X):
        raise SchemaError(f"X has {len(X):,} rows and y {len(values):,}.")
    return values


def _read_values(y: Any) -> pa.ChunkedArray:
    try:
        return _read_column(y)
    except ReviewmlError:
        raise
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        pass
    # Not above: Arrow quotes a value, which would be shown as the cause.
    kind = getattr(y, "dtype", None) or getattr(y, "type", None)
    raise SchemaError(
        f"y is a {type(y).__name__}{f' of {kind}' if kind is not None else ''}, and its values "
        "cannot stand in one column: give numbers, truth values, texts or dates, all of one kind."
    )


def _read_column(y: Any) -> pa.ChunkedArray:
    values = y.to_arrow() if hasattr(y, "to_arrow") else y
    if isinstance(values, pa.Table):
        _check_one_each((values.num_rows, values.num_columns))
        values = values.column(0)
    if not isinstance(values, pa.Array | pa.ChunkedArray):
        values = _to_array(values)
    # The same types as in a frame.
    return as_dataset(pa.table({"y": values})).to_arrow().column("y")


def _to_array(values: Any) -> pa.Array:
    array = values if isinstance(values, np.ndarray) else np.asarray(values)
    _check_one_each(array.shape)
    if array.ndim == 2:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected: give y.ravel().",
            DataConversionWarning,
            stacklevel=2,
        )
    array = array.reshape(len(array))
    if isinstance(array, np.ma.MaskedArray):
        # What is masked is not known.
        return pa.array(array.data, mask=np.ma.getmaskarray(array), from_pandas=True)
    return pa.array(array.tolist() if array.dtype == object else array, from_pandas=True)


def _check_one_each(shape: tuple[int, ...]) -> None:
    if len(shape) != 1 and (len(shape) != 2 or shape[1] != 1):
        raise SchemaError(
            f"y has the shape {shape}: give one value for each row, as a list or a column."
        )
