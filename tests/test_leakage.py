"""The guard finds columns that know the answer, in any shape, and keeps quiet otherwise."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from reviewml.fitting import leakage
from reviewml.fitting.leakage import Leak, find_leaks
from reviewml.interfaces import Examples, Feature, Target
from reviewml.rows.expressions import Category, Number
from reviewml.rows.hashing import mix_bits

N = 2_000
RANDOM = np.random.default_rng(0)
NOISE = RANDOM.normal(size=N).astype(np.float32)
YES = (RANDOM.random(N) < 0.3).astype(np.float64)
HASHES = mix_bits(np.arange(N, dtype=np.uint64))
SIGN = np.where(RANDOM.random(N) < 0.5, -1, 1).astype(np.float32)


def leaks(
    values: Any,
    target: Any = YES,
    *,
    categorical: bool = False,
    task: str = "binary",
    **options: Any,
) -> list[Leak]:
    columns = np.column_stack([NOISE[: len(values)], np.asarray(values, np.float32)])
    kind = "categorical" if categorical else "numeric"
    features = [
        Feature("noise", "noise", "noise", Number("noise")),
        Feature("x", "x", "x", Category("x", ()) if categorical else Number("x"), kind),
    ]
    classes = tuple(sorted(set(target))) if task != "regression" else ()
    examples = Examples(columns, Target(np.asarray(target, np.float64), task, classes))
    return find_leaks(examples, features, HASHES[: len(values)], **options)


@pytest.mark.parametrize(
    "values",
    [
        YES,
        1 - YES,
        NOISE / 10 + YES,
        SIGN * (1 + 3 * YES) + NOISE / 10,
        np.where(YES, 0.5, RANDOM.integers(0, 2, N)),
        np.where(YES, 0.5, NOISE),
        np.where(YES, 1e30, NOISE),
    ],
    ids=["itself", "opposite", "shifted", "both ends", "between", "one value", "huge"],
)
def test_finds_values_that_tell(values: Any) -> None:
    (leak,) = leaks(values)
    assert (leak.column, leak.metric, leak.null) == ("x", "AUC", False)
    assert leak.value > 0.95
    message = f"column 'x' may know the answer: its value alone .* AUC of {leak.value:.3f}"
    assert re.match(message, str(leak))


def test_finds_that_being_null_tells() -> None:
    (leak,) = leaks(np.where(YES, np.nan, NOISE))
    assert leak.null
    assert leak.value > 0.99
    assert "its being null alone" in str(leak)
    (leak,) = leaks(np.where(YES, NOISE, np.nan))
    assert leak.null


def test_rare_answers_are_found_too() -> None:
    rare = (np.arange(N) < 20).astype(np.float64)
    (leak,) = leaks(rare + NOISE / 100, rare)
    assert leak.value > 0.95


@pytest.mark.parametrize(
    "values",
    [
        NOISE,
        np.full(N, 1),
        np.full(N, np.nan),
        YES + 2 * NOISE,
        np.where(RANDOM.random(N) < 0.5, np.nan, NOISE),
    ],
)
def test_keeps_quiet_about_honest_columns(values: Any) -> None:
    assert leaks(values) == []


def test_a_category_of_each_row_tells_nothing_and_one_that_decides_does() -> None:
    assert leaks(np.arange(N), categorical=True) == []
    shops = RANDOM.integers(0, 40, N)
    (leak,) = leaks(np.where(YES, 40 + shops, shops), categorical=True)
    assert leak.value > 0.99
    assert leaks(shops, categorical=True) == []


def test_its_auc_is_that_of_the_mean_of_the_other_folds() -> None:
    flags = np.where(RANDOM.random(N) < 0.02, 1 - YES, YES)
    (leak,) = leaks(flags)
    assert leak.value == pytest.approx(roc_auc_score(YES, flags), abs=0.005)


def test_classes_are_judged_against_the_rest() -> None:
    target = RANDOM.integers(0, 3, N)
    (leak,) = leaks(target == 2, target, task="multiclass")
    assert (leak.class_, leak.value > 0.99) == ("2", True)
    assert "for '2' against the rest" in str(leak)
    assert leaks(NOISE[::-1], target, task="multiclass") == []


def test_quantities_are_judged_by_r2() -> None:
    target = RANDOM.normal(1e6, 1, N)
    (leak,) = leaks((target - 1e6) ** 3, target, task="regression")
    assert (leak.metric, leak.value > 0.95) == ("R²", True)
    assert leaks(target - 1e6 + NOISE, target, task="regression") == []
    assert leaks(NOISE, np.full(N, 3.0), task="regression") == []


def test_exempt_columns_and_too_few_rows_are_not_judged() -> None:
    assert leaks(YES, exempt=frozenset({"x"})) == []
    few = np.array([1.0] * 9 + [0.0] * 9)
    assert leaks(few, few) == []
    assert len(leaks(np.repeat([1.0, 0.0], 20), np.repeat([1.0, 0.0], 20))) == 1


def test_a_column_is_named_once_for_its_best_feature() -> None:
    columns = np.column_stack([YES, YES + NOISE / 3]).astype(np.float32)
    features = [Feature(name, "day", name, Number("day")) for name in ("day: month", "day: hour")]
    (leak,) = find_leaks(Examples(columns, Target(YES, "binary", (0, 1))), features, HASHES)
    assert leak.value == 1


def test_of_many_rows_those_with_the_smallest_hashes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leakage, "MOST_ROWS", 500)
    smallest = np.argsort(HASHES)[:500]
    values = NOISE.copy()
    values[smallest] = YES[smallest]
    assert len(leaks(values)) == 1


def test_the_pipeline_warns_of_leaks_and_of_dates_after_the_row() -> None:
    from reviewml import Pipeline
    from reviewml.featurizers import Features
    from reviewml.trainers import LogisticRegression

    start = np.datetime64("2026-01-01", "us")
    rows = pa.table(
        {
            "price": NOISE,
            "at": start + np.arange(N) * np.timedelta64(1, "h"),
            "refunded": np.where(YES, start + np.timedelta64(900, "D"), np.datetime64("NaT")),
            "bought": YES == 1,
        }
    )
    pipe = Pipeline(
        [("features", Features()), ("model", LogisticRegression())], time="at", target="bought"
    )
    with pytest.warns(UserWarning) as caught:
        pipe.fit(rows)
    said = [str(warning.message) for warning in caught]
    later, null = pipe.report_["warnings"]
    assert {later, null} <= set(said)
    assert "'refunded' is later" in later
    assert "'refunded' may know the answer: its being null" in null
