"""Figures are those of scikit-learn, their intervals hold the truth, and nothing crashes."""

from __future__ import annotations

import itertools
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from reviewml.errors import MissingExtra, ParameterError, SchemaError, TargetError, UnknownName
from reviewml.evaluation import Bootstrap, Estimate, Evaluation, evaluate, paired_difference
from reviewml.evaluation.binary_metrics import BinaryMetrics
from reviewml.evaluation.calibration import CalibrationBins
from reviewml.evaluation.multiclass_metrics import MulticlassMetrics
from reviewml.evaluation.regression_metrics import RegressionMetrics
from reviewml.evaluation.segments import MISSING, OTHER

SEEDS = st.integers(0, 2**32 - 1)
THREE = ("bad", "fair", "good")


def binary_rows(rows: int, seed: int, *, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probabilities and outcomes drawn from them."""
    random = np.random.default_rng(seed)
    probability = random.beta(2, 1, rows)
    if ties:
        probability = np.round(probability, 1)
    target = (random.random(rows) < probability).astype(float)
    target[:2] = 0, 1
    return target, probability


def multiclass_rows(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet([1.0, 2.0, 3.0], rows)
    target = (random.random(rows)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    target[:3] = 0, 1, 2
    return target.astype(float), probabilities


def value(evaluation: Evaluation, name: str) -> float:
    found = evaluation.metrics[name].value
    assert found is not None
    return found


# -- figures ------------------------------------------------------------------------------------


@given(st.integers(4, 60), SEEDS, st.booleans())
def test_weighed_binary_figures_are_scikit_learns(rows: int, seed: int, ties: bool) -> None:
    target, probability = binary_rows(rows, seed, ties=ties)
    weights = np.random.default_rng(seed).integers(0, 4, rows).astype(float)
    weights[:2] = 1
    predicted = probability > 0.5
    weighed = {"sample_weight": weights}
    found = BinaryMetrics(target, probability, (0, 1)).compute_weighted(weights[None])
    expected = {
        "auc": metrics.roc_auc_score(target, probability, **weighed),
        "pr_auc": metrics.average_precision_score(target, probability, **weighed),
        "log_loss": metrics.log_loss(target, probability, labels=[0, 1], **weighed),
        "brier": metrics.brier_score_loss(target, probability, **weighed),
        "accuracy": metrics.accuracy_score(target, predicted, **weighed),
        "precision": metrics.precision_score(target, predicted, zero_division=np.nan, **weighed),
        "recall": metrics.recall_score(target, predicted, **weighed),
        "f1": metrics.f1_score(target, predicted, **weighed),
    }
    assert {name: values[0] for name, values in found.items()} == pytest.approx(
        expected, nan_ok=True
    )


@given(st.integers(6, 60), SEEDS)
def test_weighed_multiclass_figures_are_scikit_learns(rows: int, seed: int) -> None:
    target, probabilities = multiclass_rows(rows, seed)
    weights = np.random.default_rng(seed).integers(0, 4, rows).astype(float)
    weights[:3] = 1
    predicted = probabilities.argmax(axis=1)
    every, weighed = [0, 1, 2], {"sample_weight": weights}
    found = MulticlassMetrics(target, probabilities, THREE).compute_weighted(weights[None])
    # scikit-learn's multiclass AUC takes no weights: one class after the other.
    areas = [
        metrics.roc_auc_score(target == code, probabilities[:, code], **weighed) for code in every
    ]
    expected = {
        "macro_auc": np.mean(areas),
        "log_loss": metrics.log_loss(target, probabilities, labels=every, **weighed),
        "brier": metrics.brier_score_loss(target, probabilities, labels=every, **weighed),
        "accuracy": metrics.accuracy_score(target, predicted, **weighed),
        "macro_f1": metrics.f1_score(
            target, predicted, labels=every, average="macro", zero_division=0, **weighed
        ),
    }
    assert {name: values[0] for name, values in found.items()} == pytest.approx(expected)


@given(st.integers(4, 60), SEEDS)
def test_weighed_regression_figures_are_scikit_learns(rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    target = random.normal(1e4, 1, rows)
    predicted = target + random.normal(0, 1, rows)
    weights = random.integers(1, 4, rows).astype(float)
    found = RegressionMetrics(target, predicted).compute_weighted(weights[None])
    expected = {
        "rmse": metrics.root_mean_squared_error(target, predicted, sample_weight=weights),
        "mae": metrics.mean_absolute_error(target, predicted, sample_weight=weights),
        "r2": metrics.r2_score(target, predicted, sample_weight=weights),
    }
    assert {name: values[0] for name, values in found.items()} == pytest.approx(expected)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_figures_without_weights_are_those_with_weights_of_one(task: str) -> None:
    target, probability = binary_rows(200, 0)
    judge: Any = {
        "binary": BinaryMetrics(target, probability, (0, 1)),
        "multiclass": MulticlassMetrics(*multiclass_rows(200, 0), THREE),
        "regression": RegressionMetrics(target, probability),
    }[task]
    weighed = judge.compute_weighted(np.ones((1, 200)))
    figures = judge.compute_values()
    figures.pop("calibration_error", None)
    assert {name: values[0] for name, values in weighed.items()} == pytest.approx(figures)


def test_the_calibration_error_is_the_mean_gap_of_bins_of_equal_size() -> None:
    predicted = np.repeat([0.1, 0.2, 0.9], 20)
    observed = np.repeat([0.0, 1.0], [50, 10])
    binned = CalibrationBins(predicted, observed)
    assert [part.rows for part in binned.table()] == [20, 20, 20]
    assert [part.observed for part in binned.table()] == [0, 0, 0.5]
    assert binned.compute_error() == pytest.approx((0.1 + 0.2 + 0.4) / 3)


@given(st.integers(1, 500), SEEDS)
def test_bins_hold_every_row_once_and_never_part_equal_predictions(rows: int, seed: int) -> None:
    target, probability = binary_rows(max(rows, 2), seed, ties=True)
    table = CalibrationBins(probability, target).table()
    assert sum(part.rows for part in table) == len(target)
    assert len(table) <= 10
    for before, after in itertools.pairwise(table):
        assert before.highest < after.lowest


def test_the_confusion_counts_follow_the_threshold() -> None:
    target, probability = [0, 0, 1, 1], [0.2, 0.5, 0.5, 0.9]
    at_half = evaluate(target, probability, ("no", "yes"), "binary")
    # As predict does, which takes the first of equally likely classes.
    assert at_half.confusion == ((2, 0), (1, 1))
    lower = evaluate(target, probability, ("no", "yes"), "binary", threshold=0.4)
    assert lower.confusion == ((1, 1), (0, 2))
    assert value(lower, "recall") == 1.0


def test_multiclass_confusion_has_actual_classes_in_rows() -> None:
    found = evaluate([0, 0, 2], np.eye(3)[[0, 2, 2]], THREE, "multiclass")
    assert found.confusion == ((1, 0, 1), (0, 0, 0), (0, 0, 1))
    assert found.metrics["macro_auc"].reason == "no row is 'fair'"
    assert value(found, "macro_f1") == pytest.approx(2 / 3)


# -- intervals ----------------------------------------------------------------------------------


@given(st.integers(4, 80), SEEDS)
def test_the_order_of_the_rows_does_not_matter(rows: int, seed: int) -> None:
    target, probability = binary_rows(rows, seed, ties=True)
    random = np.random.default_rng(seed)
    groups, segment = random.integers(0, 9, rows), random.choice(["a", "b"], rows)
    order = random.permutation(rows)

    def judged(rows: Any) -> dict[str, Any]:
        return evaluate(
            target[rows],
            probability[rows],
            (0, 1),
            "binary",
            segments={"segment": segment[rows]},
            groups=groups[rows],
            resamples=20,
        ).to_dict()

    assert judged(slice(None)) == judged(order)


def overconfident(probability: np.ndarray) -> np.ndarray:
    odds = (probability / (1 - probability)) ** 2
    said: np.ndarray = odds / (1 + odds)
    return said


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    target, probability = binary_rows(400_000, 1)
    many = evaluate(target, overconfident(probability), (0, 1), "binary", resamples=0)
    tries = []
    for seed in range(100, 300):
        target, probability = binary_rows(400, seed)
        said = overconfident(probability)
        tries.append(evaluate(target, said, (0, 1), "binary", random_state=seed).metrics)
    for name in BinaryMetrics.names:
        held = [t[name].low <= value(many, name) <= t[name].high for t in tries]  # type: ignore[operator]
        assert np.mean(held) >= 0.9, name


def test_the_interval_of_the_calibration_error_holds_none() -> None:
    held = 0
    for seed in range(100):
        found = evaluate(*binary_rows(400, seed), (0, 1), "binary", random_state=seed)
        held += found.metrics["calibration_error"].low == 0
        assert value(found, "calibration_error") > 0
    assert held >= 90


def test_rows_of_one_group_count_once() -> None:
    target, probability = binary_rows(300, 0)
    copies = np.repeat(np.arange(300), 10)
    once = evaluate(target, probability, (0, 1), "binary").metrics["auc"]
    rows = evaluate(target[copies], probability[copies], (0, 1), "binary").metrics["auc"]
    grouped = evaluate(
        target[copies], probability[copies], (0, 1), "binary", groups=pa.array(copies)
    ).metrics["auc"]

    def width(estimate: Estimate) -> float:
        assert estimate.low is not None
        assert estimate.high is not None
        return estimate.high - estimate.low

    assert width(rows) < 0.5 * width(once)
    assert width(grouped) == pytest.approx(width(once), rel=0.25)


@given(st.integers(1, 40), SEEDS, st.booleans())
def test_every_resample_draws_as_many_units_as_there_are(
    rows: int, seed: int, grouped: bool
) -> None:
    groups = np.arange(rows) // 3 * 7 if grouped else None
    drawn = list(Bootstrap(resamples=7, random_state=seed).draw_weights(rows, groups))
    weights = np.concatenate(drawn)
    assert weights.shape == (7, rows)
    firsts = slice(None) if groups is None else np.unique(groups, return_index=True)[1]
    units = weights[:, firsts]
    assert (units.sum(axis=1) == units.shape[1]).all()


def test_a_wider_confidence_gives_a_wider_interval() -> None:
    rows = binary_rows(300, 0)
    some, most = (
        evaluate(*rows, (0, 1), "binary", confidence=c).metrics["auc"] for c in (0.5, 0.99)
    )
    assert most.low < some.low < some.high < most.high  # type: ignore[operator]


@pytest.mark.parametrize(
    ("rows", "positives", "groups", "reason"),
    [
        (4, 2, None, "needs 5 rows"),
        (100, 3, None, "needs 5 rows of each class"),
        (100, 50, 4, "needs 5 groups"),
    ],
)
def test_too_few_rows_have_a_figure_and_no_interval(
    rows: int, positives: int, groups: int | None, reason: str
) -> None:
    target = (np.arange(rows) < positives).astype(float)
    probability = np.random.default_rng(0).random(rows)
    group = None if groups is None else np.arange(rows) % groups
    found = evaluate(target, probability, (0, 1), "binary", groups=group).metrics["auc"]
    assert found.value is not None
    assert found.low is None
    assert reason in (found.reason or "")


# -- segments and rows left out -----------------------------------------------------------------


def test_segments_are_judged_as_if_alone() -> None:
    target, probability = binary_rows(400, 0)
    language = np.array(["en", "de"])[np.random.default_rng(1).integers(0, 2, 400)]
    found = evaluate(target, probability, (0, 1), "binary", segments={"language": language})
    for segment in found.segments["language"]:
        mask = language == segment.label
        alone = evaluate(target[mask], probability[mask], (0, 1), "binary")
        assert segment.metrics == alone.metrics
        assert (segment.rows, segment.positives) == (mask.sum(), target[mask].sum())


def test_segments_that_cannot_be_judged_say_why() -> None:
    target, probability = binary_rows(200, 0)
    kind = pa.array(["few"] * 5 + ["happy"] * 95 + [None] * 100)
    target[5:100] = 1
    found = evaluate(target, probability, (0, 1), "binary", segments={"kind": kind})
    missing, happy, few = found.segments["kind"]
    assert (missing.label, happy.label, few.label) == (MISSING, "happy", "few")
    assert missing.metrics["auc"].low is not None
    assert happy.metrics["auc"] == Estimate(None, reason="every row is 1")
    assert happy.metrics["log_loss"].low is not None
    assert few.metrics["brier"] == Estimate(None, reason="5 rows, fewer than 30")


def test_many_values_are_judged_together_and_no_row_is_lost() -> None:
    target, probability = binary_rows(1_000, 0)
    values = np.repeat(np.arange(100), 10)
    found = evaluate(
        target, probability, (0, 1), "binary", segments={"v": values}, resamples=0
    ).segments["v"]
    assert len(found) == 31
    assert found[-1].label == OTHER
    assert sum(segment.rows for segment in found) == 1_000


@given(st.integers(3, 60), SEEDS, st.sampled_from(["binary", "multiclass", "regression"]))
def test_rows_that_cannot_be_judged_are_counted(rows: int, seed: int, task: Any) -> None:
    random = np.random.default_rng(seed)
    target, scores = (
        multiclass_rows(rows, seed) if task == "multiclass" else binary_rows(rows, seed)
    )
    classes = {"binary": (0, 1), "multiclass": THREE, "regression": ()}[task]
    no_target, bad, nan = (random.random(rows) < 0.2 for _ in range(3))
    target[no_target] = np.nan
    scores[nan] = np.nan
    if task != "regression":
        target[random.random(rows) < 0.1] = -1
    if not (np.isfinite(target) & (target >= 0) & ~bad & ~nan).any():
        with pytest.raises(TargetError, match="no row can be judged"):
            evaluate(target, scores, classes, task, unreadable=bad)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluate(target, scores, classes, task, unreadable=bad, resamples=5)
    counts = dict(found.rows)
    assert counts["unreadable"] == (bad | nan).sum()
    assert counts.pop("read") == rows
    assert sum(counts.values()) == rows
    assert sum(part.rows for part in found.calibration) == counts["used"]
    json.dumps(found.to_dict(), allow_nan=False)
    assert str(found)


def test_unreadable_rows_change_no_figure() -> None:
    target, probability = binary_rows(100, 0)
    bad = np.arange(150) >= 100
    more = np.r_[target, np.zeros(50)], np.r_[probability, np.ones(50)]
    plain = evaluate(target, probability, (0, 1), "binary")
    assert evaluate(*more, (0, 1), "binary", unreadable=bad).metrics == plain.metrics


@pytest.mark.parametrize("shape", ["one column", "a column for each class", "float32"])
def test_probabilities_may_be_those_of_the_second_class_or_of_both(shape: str) -> None:
    target, probability = binary_rows(50, 0)
    given: Any = {
        "one column": probability,
        "a column for each class": np.column_stack([1 - probability, probability]),
        "float32": np.column_stack([1 - probability, probability]).astype(np.float32),
    }[shape]
    found = evaluate(target, given, (0, 1), "binary", resamples=0)
    assert value(found, "auc") == pytest.approx(metrics.roc_auc_score(target, probability))


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"target": [0, 1]}, SchemaError, "3 predictions"),
        ({"target": [0, 1, 2]}, TargetError, "from 0 to 1"),
        ({"target": [0, 1, 0.5]}, TargetError, "from 0 to 1"),
        ({"probabilities": [-2.0, 0.5, 3.0]}, SchemaError, "margins"),
        ({"probabilities": np.ones((3, 4))}, SchemaError, r"\(3, 2\) is expected"),
        ({"segments": {"shop": ["a"]}}, SchemaError, "1 values of 'shop'"),
        ({"groups": [1, 2]}, SchemaError, "2 groups"),
        ({"target": [np.nan] * 3}, TargetError, "3 no_target"),
    ],
)
def test_what_does_not_fit_is_said(change: Any, error: type[Exception], said: str) -> None:
    given: dict[str, Any] = {"target": [0, 1, 1], "probabilities": [0.1, 0.5, 0.9], **change}
    with pytest.raises(error, match=said):
        evaluate(**given, classes=("no", "yes"), task="binary")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threshold": 7}, "threshold=7 is no probability: from 0 to 1"),
        ({"threshold": np.nan}, "threshold=nan is no probability"),
        ({"confidence": 95}, "confidence=95 is no level: between 0 and 1, such as 0.95"),
        ({"confidence": 0}, "confidence=0 is no level"),
    ],
)
def test_shares_that_are_none_are_said(change: dict[str, Any], said: str) -> None:
    target, scores = binary_rows(50, 0)
    with pytest.raises(ParameterError, match=said):
        evaluate(target, scores, (0, 1), "binary", **change)
    with pytest.raises(ParameterError, match=said):
        paired_difference(target, scores, scores, **change)


@pytest.mark.parametrize(
    ("task", "shape"),
    [("binary", 0), ("binary", (0, 2)), ("multiclass", (0, 3)), ("regression", 0)],
)
def test_no_rows_cannot_be_judged(task: Any, shape: Any) -> None:
    classes = {"binary": (0, 1), "multiclass": THREE, "regression": ()}[task]
    with pytest.raises(TargetError, match="no row can be judged: there are none"):
        evaluate([], np.empty(shape), classes, task)


# -- two models ---------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", BinaryMetrics.names)
def test_a_model_does_not_differ_from_itself(metric: str) -> None:
    target, probability = binary_rows(200, 0)
    found = paired_difference(target, probability, probability, metric=metric)
    assert found == Estimate(0.0, 0.0, 0.0)


def test_a_difference_is_that_of_the_figures_and_turns_with_the_models() -> None:
    target, a = binary_rows(500, 0)
    b = np.clip(a + np.random.default_rng(1).normal(0, 0.3, 500), 0, 1)
    ab, ba = paired_difference(target, a, b), paired_difference(target, b, a)
    assert ab.value == pytest.approx(
        metrics.roc_auc_score(target, a) - metrics.roc_auc_score(target, b)
    )
    assert (ab.low, ab.value) == pytest.approx((-ba.high, -ba.value), abs=0.01)  # type: ignore[operator]
    assert ab.low is not None
    assert ab.low > 0


def test_pairs_tell_apart_what_two_intervals_cannot() -> None:
    target, b = binary_rows(2_000, 0)
    a = np.clip(b + 0.02 * (target - 0.5), 0, 1)
    apart = [evaluate(target, p, (0, 1), "binary").metrics["auc"] for p in (a, b)]
    assert apart[1].high > apart[0].low  # type: ignore[operator]
    paired = paired_difference(target, a, b)
    assert paired.low is not None
    assert paired.low > 0


def test_differences_exist_for_every_task_and_say_what_they_lack() -> None:
    target, p = multiclass_rows(200, 0)
    even = np.full_like(p, 1 / 3)
    better = paired_difference(target, p, even, metric="macro_auc", task="multiclass")
    assert better.low is not None
    assert better.low > 0
    worse = paired_difference(target, target + 1, target, metric="rmse", task="regression")
    assert worse == Estimate(1.0, 1.0, 1.0)
    with pytest.raises(UnknownName, match="Did you mean 'auc'"):
        paired_difference([0, 1], [0.1, 0.2], [0.1, 0.2], metric="acu")
    one_class = paired_difference([1, 1], [0.1, 0.2], [0.1, 0.2])
    assert one_class == Estimate(None, reason="every row is 1")


# -- shown --------------------------------------------------------------------------------------


def test_the_text_is_a_neat_table() -> None:
    found = evaluate(
        [0, 0, 1, 1, np.nan],
        [0.1, 0.6, 0.4, 0.9, 0.5],
        ("no", "yes"),
        "binary",
        segments={"language": ["en", "en", "en", "日本語", None]},
        resamples=0,
    )
    assert str(found) == repr(found)
    assert str(found).splitlines() == [
        "binary: 4 rows used of 5 read; 1 left out (no target)",
        "",
        "                    value",
        "auc                0.7500",
        "pr_auc             0.8333",
        "log_loss           0.5108",
        "brier              0.1850",
        "calibration_error  0.0000",
        "accuracy           0.5000",
        "precision          0.5000",
        "recall             0.5000",
        "f1                 0.5000",
        "",
        "yes is predicted above a probability of 0.5",
        "            predicted no  predicted yes",
        "actual no              1              1",
        "actual yes             1              1",
        "",
        "language  rows  positive                        auc  log_loss  calibration_error",
        "en           3         1  – (3 rows, fewer than 30)         –                  –",
        "日本語       1         1   – (1 row, fewer than 30)         –                  –",
    ]


def test_html_shows_the_same_and_runs_nothing() -> None:
    target, probability = binary_rows(60, 0)
    values = ["<script>alert(1)</script>"] * 60
    page = evaluate(target, probability, (0, 1), "binary", segments={"x": values})._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<table>") == 3


def test_classes_of_any_kind_become_json() -> None:
    classes = (np.int64(1), np.str_("two"), pa.scalar(3).as_py())
    found = evaluate(*multiclass_rows(50, 0), classes, "multiclass", resamples=0)
    assert json.loads(json.dumps(found.to_dict()))["classes"] == [1, "two", 3]


@pytest.mark.parametrize(("task", "panels"), [("binary", 3), ("multiclass", 2), ("regression", 1)])
def test_plots_have_the_panels_of_the_task(task: Any, panels: int, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = multiclass_rows(100, 0) if task == "multiclass" else binary_rows(100, 0)
    classes = {"binary": (0, 1), "multiclass": THREE, "regression": ()}[task]
    found = evaluate(*rows, classes, task)
    assert len(found.plot(tmp_path / "plot.png").axes) == panels
    assert (tmp_path / "plot.png").stat().st_size > 1_000


def test_a_single_class_still_has_a_plot() -> None:
    pytest.importorskip("matplotlib")
    found = evaluate(np.ones(50), np.linspace(0, 1, 50), (0, 1), "binary")
    assert [axes.get_xlabel() for axes in found.plot().axes] == ["predicted"]


def test_plotting_without_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    found = evaluate(*binary_rows(50, 0), (0, 1), "binary", resamples=0)
    with pytest.raises(MissingExtra, match=r"pip install 'reviewml\[plot\]'"):
        found.plot()
