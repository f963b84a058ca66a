"""LogisticRegression: the simple alternative; ridge regression for quantities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from reviewml.models.linear import Design, LinearModel
from reviewml.steps.featurizer import Feature
from reviewml.steps.trainer import Examples, Trainer
from reviewml.untrusted.forms import Real, Whole


class LogisticRegression(Trainer):
    """Trains a linear model of standardised features.

    Numbers are centred and scaled, at most ten standard deviations from the mean, missing ones
    take the mean and are flagged, categories become indicators. A quantity is learned by ridge
    regression.

    Parameters
    ----------
    task
        What to learn; ``"auto"`` infers it from the target and the report states it.
    C
        Inverse of the strength of the L2 penalty.
    class_weight
        ``"balanced"`` weighs rows so that all classes count the same.
    max_iter
        Most iterations of the solver.

    Examples
    --------
    >>> LogisticRegression(C=0.1)
    LogisticRegression(C=0.1)
    """

    identity = "reviewml.trainers.logistic:LogisticRegression"
    parameter_forms = {"C": Real(1e-300), "max_iter": Whole(1)}

    def __init__(
        self,
        *,
        task: Literal["auto", "binary", "multiclass", "regression"] = "auto",
        C: float = 1.0,
        class_weight: Literal["balanced"] | None = None,
        max_iter: int = 1000,
    ) -> None:
        self.task = task
        self.C = C
        self.class_weight = class_weight
        self.max_iter = max_iter

    def train(
        self, examples: Examples, features: Sequence[Feature], valid: Examples | None = None
    ) -> LinearModel:
        from threadpoolctl import threadpool_limits

        target = examples.target
        design = Design.of(examples.features, features)
        columns = design.make_columns(examples.features)
        solver = self._make_solver(target.task)
        # Several threads would add up in another order, and the last bits would tell.
        with threadpool_limits(1, user_api="blas"):
            solver.fit(columns, target.values)
        weights = np.atleast_2d(solver.coef_)
        bias = np.atleast_1d(solver.intercept_)
        return LinearModel(design, weights, bias, task=target.task, classes=target.classes)

    def _make_solver(self, task: str) -> Any:
        from sklearn import linear_model

        if task == "regression":
            return linear_model.Ridge(alpha=1.0 / self.C)
        return linear_model.LogisticRegression(
            C=self.C, class_weight=self.class_weight, max_iter=self.max_iter
        )
