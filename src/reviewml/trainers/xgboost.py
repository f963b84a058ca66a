"""XGBoost: gradient-boosted trees, the same bytes for the same rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from reviewml.errors import CapabilityError
from reviewml.models.booster import BoosterModel
from reviewml.models.calibration import Calibration, fit_calibration
from reviewml.models.target_scale import TargetScale
from reviewml.steps.featurizer import Feature
from reviewml.steps.trainer import Examples, Target, Trainer
from reviewml.trainers.boosting import Boosting, TrainingRows
from reviewml.untrusted.forms import Maybe, Real, Whole

if TYPE_CHECKING:
    import xgboost

TrainBooster = Callable[[Boosting, TrainingRows, TrainingRows | None], "xgboost.Booster"]
"""Trains trees on rows, and stops at the held-out rows' best round where there are any."""


class XGBoost(Trainer):
    """Trains gradient-boosted trees with XGBoost [1]_, stopping when held-out rows say so.

    The same rows give the same model in any order.

    Parameters
    ----------
    task
        What to learn; ``"auto"`` infers it from the target and the report states it.
    n_estimators
        Most rounds of boosting; early stopping usually ends sooner.
    learning_rate, max_depth, min_child_weight, subsample, colsample_bytree, reg_lambda
        As in XGBoost.
    max_bin
        Bins of each numeric feature.
    class_weight
        ``"balanced"`` weighs rows so that all classes count the same; calibration brings the
        probabilities back to the true frequencies.
    validation_fraction
        Share of the rows held out, to stop early by and to calibrate on; 0 trains all rounds.
    early_stopping_rounds
        Rounds without improvement after which training stops.
    calibration
        Platt scaling for two classes, temperature scaling for more; ``None`` leaves the
        probabilities as XGBoost gives them.
    n_jobs
        Threads; None takes all cores. The model does not depend on it.
    random_state
        Seed.

    References
    ----------
    .. [1] Chen and Guestrin (2016), XGBoost: a scalable tree boosting system.

    Examples
    --------
    >>> XGBoost(max_depth=6)
    XGBoost(max_depth=6)
    """

    identity = "reviewml.trainers.xgboost:XGBoost"
    parameter_forms = {
        "n_estimators": Whole(1),
        "learning_rate": Real(0),
        "max_depth": Whole(0, 1_000),
        "min_child_weight": Real(0),
        "subsample": Real(1e-6, 1),
        "colsample_bytree": Real(1e-6, 1),
        "reg_lambda": Real(0),
        "max_bin": Whole(2, 2**24),
        "validation_fraction": Real(0, 1),
        "early_stopping_rounds": Whole(1),
        "n_jobs": Maybe(Whole(-1, 4_096)),
        "random_state": Whole(-(2**63), 2**63 - 1),
    }

    def __init__(
        self,
        *,
        task: Literal["auto", "binary", "multiclass", "regression"] = "auto",
        n_estimators: int = 1000,
        learning_rate: float = 0.05,
        max_depth: int = 4,
        min_child_weight: float = 5.0,
        subsample: float = 0.8,
        colsample_bytree: float = 0.8,
        reg_lambda: float = 1.0,
        max_bin: int = 256,
        class_weight: Literal["balanced"] | None = None,
        validation_fraction: float = 0.1,
        early_stopping_rounds: int = 50,
        calibration: Literal["auto"] | None = "auto",
        n_jobs: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.task = task
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.reg_lambda = reg_lambda
        self.max_bin = max_bin
        self.class_weight = class_weight
        self.validation_fraction = validation_fraction
        self.early_stopping_rounds = early_stopping_rounds
        self.calibration = calibration
        self.n_jobs = n_jobs
        self.random_state = random_state

    def train(
        self, examples: Examples, features: Sequence[Feature], valid: Examples | None = None
    ) -> BoosterModel:
        return self.train_with(Boosting.train, examples, features, valid)

    def train_with(
        self,
        train_booster: TrainBooster,
        examples: Examples,
        features: Sequence[Feature],
        valid: Examples | None = None,
    ) -> BoosterModel:
        """Train as `train` does, with trees that a function grows, on other machines say.

        Parameters
        ----------
        train_booster
            Takes the settings, the rows and the held-out rows, and returns a booster.
        examples, features, valid
            As of `train`.
        """
        scale = TargetScale()
        if examples.target.task == "regression":
            scale = TargetScale.fit(examples.target.values)
            examples = _scale_target(examples, scale)
            valid = None if valid is None else _scale_target(valid, scale)
        target = examples.target
        boosting = Boosting.of(
            features,
            self._make_params(target),
            rounds=self.n_estimators,
            patience=self.early_stopping_rounds,
        )
        held_out = None if valid is None else self._make_rows(valid)
        booster = train_booster(boosting, self._make_rows(examples), held_out)
        model = BoosterModel(booster, task=target.task, classes=target.classes)
        model.target_scale = scale
        if valid is not None and self.calibration is not None and target.task != "regression":
            model.calibration = _calibrate_model(model, valid)
        return model

    def _make_rows(self, examples: Examples) -> TrainingRows:
        weights = _compute_weights(examples.target) if self.class_weight == "balanced" else None
        return TrainingRows(examples.features, examples.target.values, weights)

    def _make_params(self, target: Target) -> dict[str, Any]:
        objective, metric = {
            "binary": ("binary:logistic", "logloss"),
            "multiclass": ("multi:softprob", "mlogloss"),
            "regression": ("reg:squarederror", "rmse"),
        }[target.task]
        params: dict[str, Any] = {
            "objective": objective,
            "eval_metric": metric,
            "tree_method": "hist",
            "learning_rate": self.learning_rate,
            "max_depth": self.max_depth,
            "min_child_weight": self.min_child_weight,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample_bytree,
            "reg_lambda": self.reg_lambda,
            "max_bin": int(self.max_bin),
            "seed": self.random_state,
            "nthread": int(self.n_jobs or 0),
        }
        if target.task == "multiclass":
            params["num_class"] = len(target.classes)
        # XGBoost's own start is a parallel sum, whose last bits depend on the threads.
        params["base_score"] = _compute_base_score(target)
        return params


def require_xgboost(trainer: object, executor: str) -> None:
    """Raise `CapabilityError` unless a trainer is `XGBoost`, which an executor can train."""
    if not isinstance(trainer, XGBoost):
        raise CapabilityError(
            f"{executor} trains XGBoost, and the trainer is a {type(trainer).__name__}: leave "
            "training= out, so that it trains in this process."
        )


def _scale_target(examples: Examples, scale: TargetScale) -> Examples:
    target = examples.target
    values = scale.apply(target.values)
    return dataclasses.replace(examples, target=dataclasses.replace(target, values=values))


def _compute_base_score(target: Target) -> float:
    if target.task == "multiclass":
        # The same for all classes, which softmax does not see.
        return 0.5
    mean = float(np.sum(target.values) / len(target.values))
    return mean if target.task == "regression" else min(max(mean, 1e-6), 1 - 1e-6)


def _compute_weights(target: Target) -> npt.NDArray[np.float64] | None:
    if target.task == "regression":
        return None
    codes = target.values.astype(np.int64)
    counts = np.bincount(codes, minlength=len(target.classes))
    weights: npt.NDArray[np.float64] = (len(codes) / (len(counts) * np.maximum(counts, 1)))[codes]
    return weights


def _calibrate_model(model: BoosterModel, valid: Examples) -> Calibration:
    present = np.unique(valid.target.values)
    if len(present) < 2:
        return Calibration()
    method: Literal["platt", "temperature"] = "platt" if model.task == "binary" else "temperature"
    return fit_calibration(model.margins(valid.features), valid.target.values, method)
