"""Calibration: from a model's margins to probabilities that hold as frequencies."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from reviewml.errors import DamagedModel

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Calibration:
    """The slope and shift of margins before they become probabilities.

    Parameters
    ----------
    slope
        Multiplies the margin.
    shift
        Is added to it, in log-odds; 0 when there are more than two classes.

    Examples
    --------
    >>> Calibration().probabilities(np.array([0.0]))
    array([[0.5, 0.5]])
    """

    slope: float = 1.0
    shift: float = 0.0

    def probabilities(self, margins: Floats) -> Floats:
        """Compute the probability of each class.

        Parameters
        ----------
        margins
            Log-odds, shape ``(n,)`` for two classes, or ``(n, n_classes)``.

        Returns
        -------
        numpy.ndarray
            Shape ``(n, n_classes)``.
        """
        scaled = self.slope * margins + self.shift
        if margins.ndim == 1:
            yes = compute_sigmoid(scaled)
            return np.column_stack([1.0 - yes, yes])
        exponents = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        result: Floats = exponents / exponents.sum(axis=1, keepdims=True)
        return result

    @classmethod
    def parse(cls, value: Any) -> Calibration:
        """Read what `to_dict` returned.

        Raises
        ------
        DamagedModel
            When it is not two numbers of which the slope keeps the order of margins.
        """
        numbers = isinstance(value, dict) and value.keys() == {"slope", "shift"}
        if not numbers or not all(type(number) in (int, float) for number in value.values()):
            raise DamagedModel("the calibration of a model is not a slope and shift.")
        calibration = cls(float(value["slope"]), float(value["shift"]))
        if not (calibration.slope > 0 and math.isfinite(calibration.slope + calibration.shift)):
            raise DamagedModel(
                "the calibration of a model has a slope or shift that it cannot have."
            )
        return calibration

    def to_dict(self) -> dict[str, Any]:
        """Return the two numbers."""
        return dataclasses.asdict(self)


def compute_sigmoid(values: Floats) -> Floats:
    """Compute ``1 / (1 + exp(-values))`` without overflow."""
    small = np.exp(-np.abs(values))
    result: Floats = np.where(values >= 0, 1.0, small) / (1.0 + small)
    return result


def fit_calibration(
    margins: Floats, target: Floats, method: Literal["platt", "temperature"]
) -> Calibration:
    """Fit a calibration on rows the model has not learned from.

    Platt scaling for two classes [1]_, with Platt's smoothed targets; temperature scaling [2]_
    for more. Both are convex in their parameters, so the result does not depend on the start.

    Parameters
    ----------
    margins
        Shape ``(n,)`` or ``(n, n_classes)``.
    target
        Class positions, shape ``(n,)``; for temperature scaling also probabilities, shape
        ``(n, n_classes)``.

    References
    ----------
    .. [1] Platt (1999), Probabilistic outputs for support vector machines.
    .. [2] Guo et al. (2017), On calibration of modern neural networks.
    """
    if method == "platt":
        return _fit_platt(margins, target)
    shares = target if target.ndim == 2 else np.eye(margins.shape[1])[target.astype(int)]
    return _fit_temperature(margins, shares)


def _fit_platt(margins: Floats, target: Floats) -> Calibration:
    from scipy.optimize import minimize

    positives = target.sum()
    negatives = len(target) - positives
    smooth = np.where(target == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def compute_loss(parameters: Floats) -> tuple[float, Floats]:
        scaled = parameters[0] * margins + parameters[1]
        errors = compute_sigmoid(scaled) - smooth
        value = np.logaddexp(0.0, scaled) - smooth * scaled
        return float(value.mean()), np.array([(errors * margins).mean(), errors.mean()])

    optimum = minimize(compute_loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B")
    slope, shift = (float(value) for value in optimum.x)
    # A slope of zero or less would turn the ranking round: the held-out rows say nothing then.
    return Calibration(slope, shift) if slope > 0 else Calibration()


def _fit_temperature(margins: Floats, shares: Floats) -> Calibration:
    from scipy.optimize import minimize_scalar

    def compute_loss(log_slope: float) -> float:
        scaled = np.exp(log_slope) * margins
        top = scaled.max(axis=1)
        normaliser = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float((normaliser - (shares * scaled).sum(axis=1)).mean())

    optimum = minimize_scalar(compute_loss, bounds=(-3.0, 3.0), method="bounded")
    return Calibration(float(np.exp(optimum.x)))
