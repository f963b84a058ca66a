"""How good predictions are, how sure that is, and for whom.

Arrays in, figures out: nothing here knows of datasets or pipelines.
"""

from reviewml.evaluation.bootstrap import Bootstrap
from reviewml.evaluation.calibration import CalibrationBin
from reviewml.evaluation.estimate import Estimate
from reviewml.evaluation.evaluate import evaluate, paired_difference
from reviewml.evaluation.evaluation import Ablation, Evaluation
from reviewml.evaluation.segments import Segment
from reviewml.evaluation.splits import Split, folds, holdout
from reviewml.rows.hashing import stable_hash

__all__ = [
    "Ablation",
    "Bootstrap",
    "CalibrationBin",
    "Estimate",
    "Evaluation",
    "Segment",
    "Split",
    "evaluate",
    "folds",
    "holdout",
    "paired_difference",
    "stable_hash",
]
