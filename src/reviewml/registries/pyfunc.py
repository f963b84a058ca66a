"""What MLflow calls to serve a saved pipeline: a wrapper around its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reviewml.interfaces.frames import as_dataset
from reviewml.pipeline import Pipeline, load

if TYPE_CHECKING:
    import pandas as pd


class Served:
    """Answers pandas frames with pandas frames, as MLflow expects.

    Parameters
    ----------
    pipeline
        Fitted.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    def predict(self, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Return ``id``, ``prediction`` and probabilities; rows enriched, if it only enriches."""
        rows = as_dataset(model_input)
        predicts = hasattr(self.pipeline, "model_")
        answers = self.pipeline.predict(rows) if predicts else self.pipeline.enrich(rows)
        frame: pd.DataFrame = answers.to_pandas()
        return frame


def _load_pyfunc(path: str) -> Served:
    # MLflow looks for this name.
    return Served(load(path))
