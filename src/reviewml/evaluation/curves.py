"""Points of the curves that a plot shows, few enough to keep."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reviewml.evaluation.binary_metrics import BinaryMetrics
from reviewml.evaluation.bootstrap import Floats
from reviewml.evaluation.metrics import Metrics

Curve = tuple[tuple[float, float], ...]

MOST_POINTS = 200


def compute_curves(judge: Metrics) -> Mapping[str, Curve]:
    """Compute the ROC and the precision-recall curve of two classes, or nothing.

    Returns
    -------
    dict of str to tuple
        ``"roc"``: share of false alarms and of hits; ``"precision_recall"``: recall and
        precision; at most 200 points each.
    """
    if not isinstance(judge, BinaryMetrics) or judge.count_rarest() == 0:
        return {}
    from sklearn.metrics import precision_recall_curve, roc_curve

    false_alarms, hits, _ = roc_curve(judge.target, judge.probability)
    precision, recall, _ = precision_recall_curve(judge.target, judge.probability)
    return {
        "roc": _sample_points(false_alarms, hits),
        "precision_recall": _sample_points(recall, precision),
    }


def _sample_points(x: Floats, y: Floats) -> Curve:
    chosen = np.unique(np.linspace(0, len(x) - 1, MOST_POINTS).astype(np.intp))
    return tuple(zip(x[chosen].tolist(), y[chosen].tolist(), strict=True))
