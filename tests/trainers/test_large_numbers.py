"""Large numbers: what they have in common is no reason to lose their differences."""

from __future__ import annotations

import datetime
import json
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reviewml
from reviewml import Pipeline
from reviewml.data.frames import as_dataset
from reviewml.errors import DamagedModel, TargetError
from reviewml.featurizers import Features
from reviewml.models.target_scale import TargetScale
from reviewml.rows.expressions import subtract
from reviewml.steps.target import read_target
from reviewml.steps.trainer import Trainer
from reviewml.trainers import LogisticRegression, XGBoost

RANDOM = np.random.default_rng(0)
N = 1_000
SMALL = RANDOM.integers(0, 100, N)
TRAINERS = [XGBoost(n_estimators=40), LogisticRegression()]


def fit(trainer: Trainer, column: Any, target: Any) -> tuple[Pipeline, pa.Table]:
    ids = [f"r{n}" for n in range(len(target))]
    rows = pa.table({"id": ids, "x": column, "y": target})
    steps = [("features", Features()), ("model", trainer)]
    return Pipeline(steps, id="id").fit(rows, target="y"), rows


# -- features -----------------------------------------------------------------------------------

COLUMNS: dict[str, Any] = {
    "as they are": SMALL,
    "1e9": SMALL + 10**9,
    "epoch milliseconds": SMALL * 1000 + 1_767_225_600_000,
    "epoch nanoseconds": SMALL + 1_767_225_600_000_000_000,
    "negative": SMALL - 10**12,
    "largest": SMALL + (2**63 - 200),
    "unsigned": pa.array(SMALL.astype(np.uint64) + np.uint64(2**63)),
    "real": SMALL / 100 + 1e9,
    "decimal": pa.array([f"{10**9 + int(n) / 100:.2f}" for n in SMALL]).cast(pa.decimal128(20, 2)),
    "decimal of 38 digits": pa.array([str(10**37 + int(n)) for n in SMALL]).cast(
        pa.decimal128(38, 0)
    ),
    "negative decimal": pa.array([f"-{10**30 - int(n)}.5" for n in SMALL]).cast(
        pa.decimal128(38, 2)
    ),
    "seconds of one hour": pa.array(SMALL * 10**6 + 10**15, pa.timestamp("us")),
    "durations": pa.array(SMALL * 1000 + 10**15, pa.duration("ms")),
    "one wild": np.r_[[0], SMALL[1:] + 10**15],
}


@pytest.mark.parametrize("trainer", TRAINERS, ids=repr)
@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_values_have_in_common_changes_no_ranking(trainer: Trainer, column: Any) -> None:
    from sklearn.metrics import roc_auc_score

    target = SMALL >= 50
    fitted, rows = fit(trainer, column, target)
    assert roc_auc_score(target, fitted.predict_proba(rows)[:, 1]) > 0.99


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_are_subtracted_exactly(value: int, offset: int) -> None:
    [found] = subtract(pa.array([value]), offset)
    assert found == float(Fraction(value) - Fraction(offset))


def test_an_explanation_shows_the_value_and_not_what_is_left_of_it() -> None:
    fitted, rows = fit(XGBoost(n_estimators=5), SMALL + 10**9, RANDOM.random(N))
    [part] = fitted.explain(rows).row("r3").parts
    assert part.value() == str(SMALL[3] + 10**9)
    assert part.features[0].meaning.startswith("x, less 10000000")


def test_numbers_that_no_offset_tells_apart_are_counted() -> None:
    two = np.where(np.arange(N) % 2, SMALL, SMALL + 10**15)
    features = Features().fit(as_dataset(pa.table({"x": two})))
    [said] = features.warnings()
    assert "'x' has numbers so large and so far apart" in said
    ids = RANDOM.integers(-(2**62), 2**62, N)
    [said] = Features().fit(as_dataset(pa.table({"x": ids}))).warnings()
    assert "over 2**53 apart, as ids have" in said


@pytest.mark.parametrize("unit", [1e300, -1e40, 1e-310, 5e-324])
def test_numbers_that_32_bits_cannot_hold_are_counted(unit: float) -> None:
    features = Features().fit(as_dataset(pa.table({"x": SMALL * unit})))
    [said] = features.warnings()
    assert "'x' has numbers so large and so far apart, or so near 0" in said
    rows = pa.table({"x": SMALL * unit, "y": SMALL > 50})
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.filterwarnings("ignore", category=UserWarning)
        Pipeline([("features", Features()), ("model", XGBoost(n_estimators=3))]).fit(
            rows, target="y"
        )


def test_numbers_that_32_bits_tell_apart_stay_as_they_are() -> None:
    rows = pa.table({"x": SMALL + 100_000, "y": SMALL / 100})
    features = Features().fit(as_dataset(rows))
    assert all("offset" not in record for record in features.columns_)
    matrix = features.matrix(rows.to_batches()[0])
    np.testing.assert_array_equal(matrix[:, 0], SMALL + 100_000)


def test_the_state_does_not_depend_on_the_order_of_rows() -> None:
    column = pa.array(RANDOM.integers(10**12, 10**12 + 10**6, 5_000))
    states = [
        Features().fit(as_dataset(pa.table({"x": column.take(pa.array(order))}))).state
        for order in (np.arange(5_000), RANDOM.permutation(5_000))
    ]
    assert states[0] == states[1]
    assert states[0]["columns_"][0]["offset"]


def test_a_rating_that_is_text_is_told() -> None:
    rows = pa.table({"stars": ["2,5", "3,0"] * 9, "x": range(18)})
    fitted = Features(rating=True).fit(
        as_dataset(rows, reviewml.rows.roles.Roles.of(rating="stars"))
    )
    assert any("the rating, 'stars', is text" in said for said in fitted.warnings())


# -- targets ------------------------------------------------------------------------------------

SIGNAL = SMALL * 0.03 + RANDOM.normal(size=N) * 0.1


@pytest.mark.parametrize("trainer", TRAINERS, ids=repr)
@pytest.mark.parametrize("shift", [1e6, 1e8, 1e12, -1e12])
def test_metrics_do_not_change_when_the_target_is_shifted(trainer: Trainer, shift: float) -> None:
    plain, moved = (
        fitted.evaluate(rows).metrics
        for fitted, rows in (fit(trainer, SMALL, SIGNAL + by) for by in (0.0, shift))
    )
    for name in ("r2", "rmse", "mae"):
        assert float(moved[name]) == pytest.approx(float(plain[name]), rel=1e-3)
    assert float(plain["r2"]) > 0.8


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (SIGNAL * 1e300, "squares 64-bit floats do not hold: give it in a larger unit"),
        (SIGNAL * 1e-300, "64-bit floats do not hold: give it in a smaller unit"),
        (np.r_[np.inf, SIGNAL[1:]], "is infinite in some rows"),
        (
            pa.array([f"{10**20}.{int(n):02}" for n in SMALL]).cast(pa.decimal128(38, 2)),
            "has values that 64-bit floats do not tell apart",
        ),
    ],
)
def test_a_target_that_64_bits_do_not_hold_is_refused(target: Any, reason: str) -> None:
    with pytest.raises(TargetError, match=reason):
        fit(XGBoost(n_estimators=3), SMALL, target)


def test_a_target_that_64_bits_do_not_hold_is_not_evaluated() -> None:
    fitted, _ = fit(XGBoost(n_estimators=3), SMALL, SIGNAL)
    with pytest.raises(TargetError, match="squares 64-bit floats do not hold"):
        fitted.evaluate(pa.table({"id": ["a", "b"], "x": [1, 2], "y": [1.0, 1e200]}))


@pytest.mark.parametrize("factor", [1e-30, 1e-8, 1e8, 1e30])
def test_metrics_do_not_change_with_the_unit_of_the_target(factor: float) -> None:
    fitted, rows = fit(XGBoost(n_estimators=40), SMALL, SIGNAL * factor)
    assert float(fitted.evaluate(rows).metrics["r2"]) > 0.8


def test_contributions_are_in_the_units_of_the_target(tmp_path: Path) -> None:
    fitted, rows = fit(XGBoost(n_estimators=40), SMALL, SIGNAL + 1e8)
    predicted = fitted.predict(rows)
    explained = fitted.explain(rows)
    np.testing.assert_allclose(explained.margin[:, 0], predicted, rtol=0, atol=1e-4)
    assert np.abs(explained.by_column).max() < 10
    loaded = reviewml.load(fitted.save(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.predict(rows), predicted)


def test_a_model_that_was_saved_without_a_scale_predicts_what_it_did(tmp_path: Path) -> None:
    from reviewml.models import BoosterModel

    fitted, _ = fit(XGBoost(n_estimators=40), SMALL, SIGNAL)
    model = fitted.model_
    model.save(tmp_path)
    described = json.loads((tmp_path / "model.json").read_text())
    del described["target"]
    (tmp_path / "model.json").write_text(json.dumps(described))
    matrix = np.asarray(SMALL, np.float32)[:, None]
    old = BoosterModel.load(tmp_path)
    np.testing.assert_array_equal(old.predict(matrix), old.margins(matrix))


@pytest.mark.parametrize("wrong", [None, {}, {"offset": 1}, {"offset": "nan", "scale": 1}, [1, 2]])
def test_a_damaged_scale_is_refused(wrong: Any) -> None:
    with pytest.raises(DamagedModel, match="not a scale of a target"):
        TargetScale.from_dict(wrong)


@given(st.lists(st.floats(-1e300, 1e300, allow_subnormal=False), min_size=1, max_size=30))
def test_the_middle_value_is_given_back_exactly(values: list[float]) -> None:
    scale = TargetScale.fit(np.array(values))
    middle = np.array([sorted(values)[len(values) // 2]])
    assert scale.apply(middle)[0] == 0
    assert scale.invert(scale.apply(middle))[0] == middle[0]


def test_a_wild_target_is_counted() -> None:
    with pytest.warns(UserWarning, match="1 of 1,000 values of the target are over 1,000 times"):
        fit(LogisticRegression(), SMALL, np.r_[[1e18], SIGNAL[1:]])


def test_whole_targets_that_64_bits_do_not_hold_are_refused() -> None:
    column = pa.chunked_array([pa.array(SMALL + 2**60)])
    with pytest.raises(TargetError, match=r"'y' is int64 and has whole numbers beyond 2\*\*53"):
        read_target(column, "regression", "y")


def test_zeros_of_both_signs_are_one_class() -> None:
    target = read_target(pa.chunked_array([pa.array([0.0, -0.0, 1.0, -0.0])]), None, "y")
    assert target.task == "binary"
    assert target.classes == (0.0, 1.0)
    assert target.values.tolist() == [0, 0, 1, 0]


def test_a_picture_of_a_large_prediction_shows_its_steps() -> None:
    pytest.importorskip("matplotlib")
    fitted, rows = fit(XGBoost(n_estimators=40), SMALL, SIGNAL + 1e8)
    low, high = fitted.explain(rows).plot(row="r3").axes[0].get_xlim()
    assert high - low < 1_000


def test_times_of_one_second_are_told_apart_as_dates() -> None:
    start = datetime.datetime(2026, 1, 1)
    stamps = [start + datetime.timedelta(microseconds=10_000 * n) for n in range(100)]
    rows = pa.table({"at": stamps})
    features = Features().fit(as_dataset(rows))
    assert len(np.unique(features.matrix(rows.to_batches()[0])[:, 0])) == 100
