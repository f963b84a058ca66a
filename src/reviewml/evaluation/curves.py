"""Points of the curves that a plot shows, few enough to keep."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reviewml.evaluation.binary_metrics import BinaryJudge
from reviewml.evaluation.bootstrap import Floats
from reviewml.evaluation.metrics import Judge

Curve = tuple[tuple[float, float], ...]

MOST_POINTS = 200


def curves_of(judge: Judge) -> Mapping[str, Curve]:
    """Return the ROC and the precision-recall curve of two classes, or nothing.

    Returns
    -------
    dict of str to tuple
        ``"roc"``: share of false alarms and of hits; ``"precision_recall"``: recall and
        precision; at most 200 points each.
    """
    if not isinstance(judge, BinaryJudge) or judge.rarest() == 0:
        return {}
    from sklearn.metrics import precision_recall_curve, roc_curve

    false_alarms, hits, _ = roc_curve(judge.target, judge.probability)
    precision, recall, _ = precision_recall_curve(judge.target, judge.probability)
    return {"roc": _points(false_alarms, hits), "precision_recall": _points(recall, precision)}


def _points(x: Floats, y: Floats) -> Curve:
    chosen = np.unique(np.linspace(0, len(x) - 1, MOST_POINTS).astype(np.intp))
    return tuple(zip(x[chosen].tolist(), y[chosen].tolist(), strict=True))
