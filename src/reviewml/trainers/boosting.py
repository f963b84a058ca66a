"""Boosting with XGBoost, the same on one machine as on each of several that do it together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reviewml.models.booster import list_feature_types
from reviewml.steps.featurizer import Feature, Matrix

if TYPE_CHECKING:
    import xgboost

    Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class TrainingRows:
    """Training rows in the form that XGBoost takes.

    Parameters
    ----------
    features
        Shape ``(n_rows, n_features)``.
    values
        Target of each row, shape ``(n_rows,)``.
    weights
        What each counts, shape ``(n_rows,)``; None when all count the same.
    """

    features: Matrix
    values: Floats
    weights: Floats | None = None

    def first(self, n: int) -> TrainingRows:
        """Select the first `n` rows."""
        weights = None if self.weights is None else self.weights[:n]
        return TrainingRows(self.features[:n], self.values[:n], weights)

    def split(self, n: int) -> list[TrainingRows]:
        """Split the rows into `n` parts of about the same size, in order."""
        weights = [None] * n if self.weights is None else np.array_split(self.weights, n)
        features, values = np.array_split(self.features, n), np.array_split(self.values, n)
        return [TrainingRows(*part) for part in zip(features, values, weights, strict=True)]


@dataclasses.dataclass(frozen=True)
class Boosting:
    """The settings of XGBoost, without the rows.

    Parameters
    ----------
    params
        As `xgboost.train` takes them.
    names, types
        Of the features.
    rounds
        Most rounds of boosting.
    patience
        Rounds without improvement on held-out rows after which it stops.
    """

    params: dict[str, Any]
    names: list[str]
    types: list[str]
    rounds: int
    patience: int

    @classmethod
    def of(
        cls, features: Sequence[Feature], params: dict[str, Any], *, rounds: int, patience: int
    ) -> Boosting:
        """Build the XGBoost settings for features."""
        names = [_accept_name(feature.name) for feature in features]
        return cls(params, names, list_feature_types(features), rounds, patience)

    def with_params(self, **params: Any) -> Boosting:
        """Return settings with other values of some parameters of XGBoost."""
        return dataclasses.replace(self, params=self.params | params)

    def train(self, rows: TrainingRows, valid: TrainingRows | None) -> xgboost.Booster:
        """Train the trees up to the best round, together with workers that XGBoost connected."""
        import xgboost

        data = self._make_data(rows)
        held_out = None if valid is None else self._make_data(valid, data)
        booster = xgboost.train(
            self.params,
            data,
            num_boost_round=self.rounds,
            evals=[] if held_out is None else [(held_out, "valid")],
            early_stopping_rounds=None if held_out is None else self.patience,
            verbose_eval=False,
        )
        return booster if held_out is None else booster[: booster.best_iteration + 1]

    def _make_data(self, rows: TrainingRows, ref: Any = None) -> xgboost.QuantileDMatrix:
        import xgboost

        return xgboost.QuantileDMatrix(
            rows.features,
            rows.values,
            weight=rows.weights,
            feature_names=self.names,
            feature_types=self.types,
            enable_categorical=True,
            max_bin=self.params["max_bin"],
            nthread=self.params["nthread"] or None,
            ref=ref,
        )


def _accept_name(name: str) -> str:
    # XGBoost refuses these three characters in names.
    return name.translate(str.maketrans("[]<", "(){"))
