"""BoosterModel: gradient-boosted trees, kept as XGBoost's own UBJSON."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from reviewml.errors import DamagedModel, RegistryError
from reviewml.models.booster_file import check_booster
from reviewml.models.calibration import Calibration
from reviewml.models.description import read_description
from reviewml.models.target_scale import TargetScale
from reviewml.models.ubjson import NotCanonical
from reviewml.steps.featurizer import Feature, Matrix
from reviewml.steps.model import Model, Task
from reviewml.untrusted import read_file

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
    target_scale
        From what the trees say to the units of the target, for a regression.
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
        target_scale: TargetScale = TargetScale(),
    ) -> None:
        self.booster = booster
        self.task = task
        self.classes = classes
        self.calibration = calibration
        self.workers = workers
        self.target_scale = target_scale

    def predict(self, features: Matrix) -> npt.NDArray[np.float64]:
        margins = self.margins(features)
        if self.task == "regression":
            return self.target_scale.invert(margins)
        return self.calibration.probabilities(margins)

    def margins(self, features: Matrix) -> npt.NDArray[np.float64]:
        """Compute the margins of the trees, shape ``(n,)`` or ``(n, n_classes)``."""
        if len(features) == 0:
            shape = (0, len(self.classes)) if self.task == "multiclass" else (0,)
            return np.empty(shape)
        self._use_threads(len(features))
        margins = self.booster.inplace_predict(
            features, predict_type="margin", validate_features=False
        )
        return np.asarray(margins, np.float64)

    def _use_threads(self, rows: int) -> None:
        configured = self._configured_threads
        threads = 1 if rows < FEW_ROWS else configured
        # Setting it again would have the booster configured again.
        if self._used_threads != threads:
            self.booster.set_param({"nthread": threads})
            self._used_threads = threads

    @functools.cached_property
    def _configured_threads(self) -> int:
        config = json.loads(self.booster.save_config())
        return int(config["learner"]["generic_param"]["nthread"])

    def contributions(self, features: Matrix) -> npt.NDArray[np.float64]:
        """Compute SHAP values with XGBoost [1]_; see `Model.contributions`.

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
        shap_values = np.asarray(self.booster.predict(data, pred_contribs=True), np.float64)
        shap_values = shap_values if shap_values.ndim == 3 else shap_values[:, None, :]
        if self.task == "regression":
            shap_values *= self.target_scale.scale
            shap_values[..., -1] += self.target_scale.offset
        return shap_values

    @functools.cached_property
    def n_features(self) -> int:
        """Number of features that it predicts from."""
        return int(self.booster.num_features())

    def save(self, folder: Path) -> None:
        raw = bytes(self.booster.save_raw("ubj"))
        try:
            check_booster(raw, self.task, len(self.classes))
        except NotCanonical as error:
            raise RegistryError(
                f"these trees cannot be saved, since `load` would refuse them: {error}. reviewml "
                "saves what its own trainers make with XGBoost 3.1 or newer."
            ) from error
        (folder / "booster.ubj").write_bytes(raw)
        described = {
            "task": self.task,
            "classes": list(self.classes),
            "calibration": self.calibration.to_dict(),
            **self._describe_workers(),
        }
        if self.target_scale != TargetScale():
            described["target"] = self.target_scale.to_dict()
        (folder / "model.json").write_text(json.dumps(described, indent=2), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        import xgboost

        described = read_description(
            folder / "model.json", "calibration", optional={"workers": int, "target": dict}
        )
        raw = read_file(folder / "booster.ubj")
        # XGBoost follows whatever index it reads: it is given no bytes that are not checked.
        try:
            checked = check_booster(raw, described["task"], len(described["classes"]))
        except NotCanonical as error:
            raise DamagedModel(f"{folder / 'booster.ubj'} is not a booster: {error}.") from error
        model = cls(
            xgboost.Booster(model_file=bytearray(raw)),
            task=described["task"],
            classes=described["classes"],
            calibration=Calibration.parse(described["calibration"]),
            workers=described.get("workers"),
            # Earlier models learned targets as they are.
            target_scale=TargetScale.from_dict(described.get("target", TargetScale().to_dict())),
        )
        # Asking the booster would have it configured, which those who predict nothing need not.
        model.n_features = checked.features
        return model

    def summary(self) -> dict[str, Any]:
        """Summarize the number of trees, the calibration, and the number of training workers."""
        return {
            "kind": "XGBoost",
            "rounds": self.booster.num_boosted_rounds(),
            "calibration": self.calibration.to_dict(),
            **self._describe_workers(),
        }

    def _describe_workers(self) -> dict[str, int]:
        return {} if self.workers is None else {"workers": self.workers}


def list_feature_types(features: Sequence[Feature]) -> list[str]:
    """List XGBoost's types: ``"c"`` for categories, ``"q"`` for numbers."""
    return ["c" if feature.kind == "categorical" else "q" for feature in features]
