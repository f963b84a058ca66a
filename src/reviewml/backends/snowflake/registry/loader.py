"""The class that is pickled into Snowflake's registry: it reads our folder, and holds nothing.

The client pickles this module by value, so it refers to nothing of reviewml's at its top.
"""

# Annotations are looked at by the client, which wants the classes themselves.
import sys

import pandas as pd
from snowflake.ml.model import custom_model

CODE, PIPELINE = "code", "pipeline"
"""Artefacts of a model: reviewml itself as a zip archive, and the saved pipeline."""


class Scorer(custom_model.CustomModel):  # type: ignore[misc]
    """Scores frames of enriched columns with the pipeline saved beside it."""

    def __init__(self, context: custom_model.ModelContext) -> None:
        super().__init__(context)
        if "reviewml" not in sys.modules:
            # What it was logged with, not what may be installed there.
            sys.path.insert(0, context.path(CODE))
        from pathlib import Path

        from reviewml.backends.snowflake.registry.packaged_model import PackagedModel

        self.packaged = PackagedModel.load(Path(context.path(PIPELINE)))

    @custom_model.inference_api  # type: ignore[untyped-decorator]
    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return predictions and, for classes, probabilities."""
        return self.packaged.predict(rows).to_pandas()

    @custom_model.inference_api  # type: ignore[untyped-decorator]
    def explain(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return contributions of the features."""
        return self.packaged.explain(rows).to_pandas()


class Classifier(Scorer):
    """The same for classes."""

    @custom_model.inference_api  # type: ignore[untyped-decorator]
    def predict_proba(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return probabilities."""
        return self.packaged.predict_proba(rows).to_pandas()
