"""BoosterModel: gradient-boosted trees, kept as XGBoost's own UBJSON."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from reviewml.interfaces.featurizer import Feature, Matrix
from reviewml.interfaces.model import Model, Task
from reviewml.models.calibration import Calibration

if TYPE_CHECKING:
    import xgboost

FEW_ROWS = 4_096
"""Rows below which threads wait for each other longer, on a busy machine, than they work."""


class BoosterModel(Model):
    """Trees trained by XGBoost, with the calibration of their margins.

    Parameters
    ----------
    booster
        The trained trees.
    task, classes
        What they predict.
    calibration
        Applied to the margins of a classifier.
    workers
        How many processes trained it together, None when it was one: other trees, of as much
        worth.
    """

    _used_threads: int | None = None

    def __init__(
        self,
        booster: xgboost.Booster,
        *,
        task: Task,
        classes: tuple[Any, ...],
        calibration: Calibration = Calibration(),
        workers: int | None = None,
    ) -> None:
        self.booster = booster
        self.task = task
        self.classes = classes
        self.calibration = calibration
        self.workers = workers

    def predict(self, features: Matrix) -> npt.NDArray[np.float64]:
        margins = self.margins(features)
        if self.task == "regression":
            return margins
        return self.calibration.probabilities(margins)

    def margins(self, features: Matrix) -> npt.NDArray[np.float64]:
        """Return the uncalibrated outputs, shape ``(n,)`` or ``(n, n_classes)``."""
        if len(features) == 0:
            shape = (0, len(self.classes)) if self.task == "multiclass" else (0,)
            return np.empty(shape)
        self._use_threads(len(features))
        margins = self.booster.inplace_predict(
            features, predict_type="margin", validate_features=False
        )
        return np.asarray(margins, np.float64)

    def _use_threads(self, rows: int) -> None:
        given = self._given_threads
        threads = 1 if rows < FEW_ROWS else given
        # Setting it again would have the booster configured again.
        if self._used_threads != threads:
            self.booster.set_param({"nthread": threads})
            self._used_threads = threads

    @functools.cached_property
    def _given_threads(self) -> int:
        config = json.loads(self.booster.save_config())
        return int(config["learner"]["generic_param"]["nthread"])

    def contributions(self, features: Matrix) -> npt.NDArray[np.float64]:
        """Return SHAP values as XGBoost computes them [1]_; see `Model.contributions`.

        References
        ----------
        .. [1] Lundberg et al. (2020), From local explanations to global understanding with
           explainable AI for trees.
        """
        import xgboost

        if len(features) == 0:
            outputs = len(self.classes) if self.task == "multiclass" else 1
            return np.empty((0, outputs, features.shape[1] + 1))
        self._use_threads(len(features))
        data = xgboost.DMatrix(
            features,
            feature_types=self.booster.feature_types,
            feature_names=self.booster.feature_names,
            enable_categorical=True,
        )
        found = np.asarray(self.booster.predict(data, pred_contribs=True), np.float64)
        return found if found.ndim == 3 else found[:, None, :]

    def save(self, folder: Path) -> None:
        self.booster.save_model(folder / "booster.ubj")
        described = {
            "task": self.task,
            "classes": list(self.classes),
            "calibration": self.calibration.to_dict(),
            **self._distributed(),
        }
        (folder / "model.json").write_text(json.dumps(described, indent=2), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        import xgboost

        described = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        return cls(
            xgboost.Booster(model_file=folder / "booster.ubj"),
            task=described["task"],
            classes=tuple(described["classes"]),
            calibration=Calibration(**described["calibration"]),
            workers=described.get("workers"),
        )

    def summary(self) -> dict[str, Any]:
        """Return the number of trees, the calibration, and how many trained it together."""
        return {
            "kind": "XGBoost",
            "rounds": self.booster.num_boosted_rounds(),
            "calibration": self.calibration.to_dict(),
            **self._distributed(),
        }

    def _distributed(self) -> dict[str, int]:
        return {} if self.workers is None else {"workers": self.workers}


def feature_types(features: Sequence[Feature]) -> list[str]:
    """Return XGBoost's types: ``"c"`` for categories, ``"q"`` for numbers."""
    return ["c" if feature.kind == "categorical" else "q" for feature in features]
