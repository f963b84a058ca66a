"""How good predictions are, how sure that is, and for whom.

Arrays in, figures out: nothing here knows of datasets or pipelines.
"""

from reviewml.evaluation.bootstrap import Bootstrap
from reviewml.evaluation.calibration import CalibrationBin
from reviewml.evaluation.estimate import Estimate
from reviewml.evaluation.evaluate import evaluate, paired_difference
from reviewml.evaluation.result import Ablation, Evaluation
from reviewml.evaluation.segments import Segment

__all__ = [
    "Ablation",
    "Bootstrap",
    "CalibrationBin",
    "Estimate",
    "Evaluation",
    "Segment",
    "evaluate",
    "paired_difference",
]
