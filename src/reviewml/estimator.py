"""What makes a pipeline an estimator of scikit-learn: parameters, tags, and `y` beside a frame."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pyarrow as pa
from sklearn.utils import ClassifierTags, RegressorTags, Tags
from sklearn.utils.metaestimators import _BaseComposition

from reviewml.errors import SchemaError, did_you_mean
from reviewml.interfaces.frames import as_dataset, is_frame

TARGET = "__target__"
"""The column that `y` becomes when it has no name of its own."""


class Estimator(_BaseComposition):  # type: ignore[misc]
    """Named steps whose parameters can be read and set as ``<step>__<parameter>``."""

    steps: Any

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
            raise SchemaError(f"no step {name!r}. {did_you_mean(str(name), steps)}")
        return steps[name]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if self._task() == "regression":
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        else:
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        return tags

    def _task(self) -> str:
        if hasattr(self, "task_"):
            return str(self.task_)
        return str(getattr(self.steps[-1][1], "task", "auto")) if self.steps else "auto"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "steps_")


def with_target(X: Any, y: Any) -> tuple[pa.Table, str]:
    """Return a frame as a table with its target, and the name of that column.

    It is the name of `y` where it has one that no column has.
    """
    if not is_frame(X):
        raise SchemaError("y goes with a frame; for a path or Source give target='column'.")
    table = as_dataset(X).to_arrow()
    values = _column(y)
    if len(values) != len(table):
        raise SchemaError(f"X has {len(table):,} rows and y {len(values):,}.")
    name = getattr(y, "name", None)
    if not isinstance(name, str) or not name or name in table.column_names:
        name = TARGET
    return table.append_column(name, values), name


def _column(values: Any) -> Any:
    if hasattr(values, "to_arrow"):
        return values.to_arrow()
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    return pa.array(array.tolist() if array.dtype == object else array, from_pandas=True)
