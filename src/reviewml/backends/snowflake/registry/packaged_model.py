"""The part of a pipeline that a model in Snowflake is: from the enriched columns on.

It knows nothing of Snowflake, and needs few libraries: it runs in a warehouse.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml import saving
from reviewml.errors import RegistryError
from reviewml.models.scoring import Predict, choose_classes
from reviewml.steps.featurizer import Featurizer
from reviewml.steps.model import Model

if TYPE_CHECKING:
    import pandas as pd

BIAS = "(bias)"
"""Where contributions start."""

EXPLANATION = "{}_explanation"
"""What the contribution of a feature is called, as Snowflake calls its own."""

MOMENT = pa.timestamp("ns")


@dataclasses.dataclass(frozen=True)
class PackagedModel:
    """A fitted featurizer and model, on frames of the enriched columns.

    Parameters
    ----------
    featurizer, model
        Fitted.
    """

    featurizer: Featurizer
    model: Model

    @classmethod
    def load(cls, folder: Path) -> PackagedModel:
        """Read them from a saved pipeline, whose other steps need not be installed."""
        parts = saving.load(folder, without=("enrichers", "trainers"))
        return cls.of(parts.steps, parts.model)

    @classmethod
    def of(cls, steps: Any, model: Model | None) -> PackagedModel:
        """Take them out of fitted steps.

        Raises
        ------
        RegistryError
            When there is no model.
        """
        found = [step for _, step in steps if isinstance(step, Featurizer)]
        if model is None or not found:
            raise RegistryError(
                "this pipeline only enriches: Snowflake's registry keeps models. Save it with "
                "Pipeline.save, or log it in a LocalRegistry."
            )
        return cls(found[0], model)

    # -- what it takes and gives --------------------------------------------------------------

    def inputs(self) -> dict[str, pa.DataType]:
        """Return the columns that the features are computed of.

        Raises
        ------
        RegistryError
            When Snowflake's models have no type for one of them.
        """
        state = self.featurizer.state
        if "columns_" not in state:
            raise RegistryError(
                f"{type(self.featurizer).__name__} does not say which columns it reads, as a "
                "model in Snowflake must: use Features(), or another registry."
            )
        columns = {record["column"]: _choose_type(record) for record in state["columns_"]}
        return columns | dict.fromkeys(state.get("text_", ()), pa.string())

    @property
    def methods(self) -> Mapping[str, Callable[[pd.DataFrame], pa.Table]]:
        """What can be asked of it, by name."""
        found = {"predict": self.predict, "explain": self.explain}
        if self.model.task != "regression":
            found["predict_proba"] = self.predict_proba
        return found

    def predict(self, rows: pd.DataFrame) -> pa.Table:
        """Return ``prediction`` and, for classes, what `predict_proba` returns."""
        scores = self.model.predict(self._compute_matrix(rows))
        if self.model.task == "regression":
            return pa.table({"prediction": scores})
        answers = pa.array(self.model.classes).take(pa.array(choose_classes(scores)))
        return pa.table({"prediction": answers, **self._name_probabilities(scores)})

    def predict_proba(self, rows: pd.DataFrame) -> pa.Table:
        """Return ``probability``, or ``probability_<class>`` for each of more than two."""
        return pa.table(self._name_probabilities(self.model.predict(self._compute_matrix(rows))))

    def explain(self, rows: pd.DataFrame) -> pa.Table:
        """Return ``<feature>_explanation``, the contribution to the margin; and where it starts.

        With more than two classes there is one for each feature and class.
        """
        found = self.model.contributions(self._compute_matrix(rows))
        features = [feature.name for feature in self.featurizer.features()]
        names = [EXPLANATION.format(name) for name in (*features, BIAS)]
        if found.shape[1] == 1:
            return pa.table(dict(zip(names, found[:, 0].T, strict=True)))
        each = zip(self.model.classes, np.moveaxis(found, 1, 0), strict=True)
        return pa.table(
            {
                f"{name}: {value}": column
                for value, part in each
                for name, column in zip(names, part.T, strict=True)
            }
        )

    def example(self) -> pd.DataFrame:
        """Return a row of made-up values, of the types it takes."""
        values = {name: _make_example_value(kind) for name, kind in self.inputs().items()}
        arrays = {name: pa.array([values[name]], kind) for name, kind in self.inputs().items()}
        frame: pd.DataFrame = pa.table(arrays).to_pandas()
        return frame

    # -- inside -------------------------------------------------------------------------------

    def _name_probabilities(self, scores: npt.NDArray[np.float64]) -> dict[str, Any]:
        names = Predict(self.featurizer, self.model, ("probability",)).list_probability_names()
        columns = scores[:, 1:] if self.model.task == "binary" else scores
        return dict(zip(names, columns.T, strict=True))

    def _compute_matrix(self, rows: pd.DataFrame) -> Any:
        columns = {
            name: pa.array(rows[name], kind, from_pandas=True)
            for name, kind in self.inputs().items()
        }
        return self.featurizer.matrix(pa.RecordBatch.from_pydict(columns))


def _choose_type(record: dict[str, Any]) -> pa.DataType:
    """Return the type in which a column comes, of those that Snowflake's models know."""
    known = str(record["type"])
    match record["kind"]:
        case "number" if known == "bool":
            return pa.bool_()
        case "number" if known.startswith(("int", "uint8", "uint16", "uint32")):
            return pa.int64()
        case "number":
            return pa.float64()
        case "category":
            return pa.string()
        case "moment":
            return MOMENT
        case "numbers":
            return pa.list_(pa.float64(), len(record["names"]))
    raise RegistryError(
        f"column {record['column']!r} holds {known}, which models in Snowflake have no type for: "
        "give it as a number of seconds, or leave it out with Features(exclude=[...])."
    )


def _make_example_value(kind: pa.DataType) -> Any:
    if pa.types.is_fixed_size_list(kind):
        return [0.5] * kind.list_size
    known = {pa.string(): "example", pa.bool_(): True, MOMENT: 0, pa.int64(): 1}
    return known.get(kind, 0.5)
