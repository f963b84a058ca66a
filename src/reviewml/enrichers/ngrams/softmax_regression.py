"""Multinomial logistic regression on sparse or dense examples, the same bits every time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PENALTY = 1e-5
MOST_ITERATIONS = 60


def fit_softmax_regression(
    examples: Any, target: Floats, *, scale: Floats | None = None, penalty: float = PENALTY
) -> tuple[Floats, Floats]:
    """Return the weights and biases under which the target is likeliest.

    Parameters
    ----------
    examples
        Sparse or dense, shape ``(rows, columns)``.
    target
        Probability of each class, shape ``(rows, classes)``.
    scale
        What each column is multiplied by, for each class or for all, shape ``(columns, classes)``
        or ``(columns, 1)``; 1 unless given. It is part of the weights returned.
    penalty
        Half of it times the square of the weights, before the scale, is added to the mean loss.

    Returns
    -------
    weights, bias : numpy.ndarray
        Shapes ``(columns, classes)`` and ``(classes,)``.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    rows, columns = examples.shape
    classes = target.shape[1]
    stretch = np.ones((columns, 1)) if scale is None else scale
    transposed = _transpose_examples(examples)

    def compute_loss(parameters: Floats) -> tuple[float, Floats]:
        weights, bias = _split_parameters(parameters, columns, classes)
        margins = examples @ (stretch * weights) + bias
        margins -= margins.max(axis=1, keepdims=True)
        normaliser = np.log(np.exp(margins).sum(axis=1, keepdims=True))
        errors = (np.exp(margins - normaliser) - target) / rows
        gradient = stretch * (transposed @ errors) + penalty * weights
        value = -(target * (margins - normaliser)).sum() / rows + penalty * (weights**2).sum() / 2
        return float(value), np.concatenate([gradient.ravel(), errors.sum(axis=0)])

    start = np.zeros((columns + 1) * classes)
    options = {"maxiter": MOST_ITERATIONS}
    # Several threads would add up in another order, and the last bits would tell.
    with threadpool_limits(1, user_api="blas"):
        optimum = minimize(compute_loss, start, jac=True, method="L-BFGS-B", options=options)
    weights, bias = _split_parameters(optimum.x, columns, classes)
    return stretch * weights, bias


def _transpose_examples(examples: Any) -> Any:
    return examples.T if isinstance(examples, np.ndarray) else examples.T.tocsr()


def _split_parameters(parameters: Floats, columns: int, classes: int) -> tuple[Floats, Floats]:
    return parameters[: columns * classes].reshape(columns, classes), parameters[-classes:]
