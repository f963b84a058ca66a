"""scikit-learn's own checks of what each component claims."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import SkipTestWarning
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator

from reviewml import Pipeline
from reviewml.enrichers import Language, Quality, Sentiment
from reviewml.featurizers import Features
from reviewml.fitting.array_rows import name_columns
from reviewml.trainers import LogisticRegression, XGBoost

VERSION = "1.9."
"""Of scikit-learn, whose checks are counted on the page; other versions have other checks."""

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "scikit-learn.md"

FOLLOWS = "the task follows the target: continuous values make it a regression"
CROSS_FITS = "fit_transform cross-fits: it is not fit and then transform"
LOADS = "what is loaded on first use stays in private attributes; what was fitted is unchanged"

# -- reviews of arrays ----------------------------------------------------------------------------


class OnArrays:
    """Makes reviews of the arrays of scikit-learn's checks, and arrays of what is added.

    A check of a transformer that needs texts then runs all the same.
    """

    def fit(self, X: Any, y: Any = None) -> Any:
        return super().fit(self._reviews(X, fits=True), y)  # type: ignore[misc]

    def transform(self, X: Any) -> Any:
        return self._numbers(super().transform(self._reviews(X)))  # type: ignore[misc]

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        return self._numbers(super().fit_transform(self._reviews(X, fits=True), y))  # type: ignore[misc]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.two_d_array = True
        return tags

    def _reviews(self, X: Any, *, fits: bool = False) -> Any:
        fitted = None if fits else getattr(self, "_columns", None)
        table = name_columns(X, fitted, type(self).__name__)
        if table is X:
            return X
        if fits:
            self._columns = table.column_names
        values = np.nan_to_num(np.array([column.to_pylist() for column in table], dtype=float).T)
        words = [" ".join(f"word{int(abs(v) * 3)}" for v in row) for row in values]
        ratings = [1.0 + int(abs(row.sum()) * 7) % 5 for row in values]
        return pd.DataFrame({"text": words, "rating": ratings})

    def _numbers(self, frame: Any) -> Any:
        if not isinstance(frame, pd.DataFrame):
            return frame
        added = [str(name) for name in self.adds]  # type: ignore[attr-defined]
        columns = [frame[name].map(number).astype(float) for name in added]
        return np.nan_to_num(np.array(columns).T, nan=-1.0)


def number(value: Any) -> float:
    if isinstance(value, str):
        return float(sum(map(ord, value)))
    return float("nan") if value is None else float(value)


class LanguageOnArrays(OnArrays, Language):
    pass


class QualityOnArrays(OnArrays, Quality):
    pass


class SentimentOnArrays(OnArrays, Sentiment):
    pass


# -- the checks -----------------------------------------------------------------------------------


def pipeline(trainer: Any) -> Pipeline:
    return Pipeline([("features", Features()), ("model", trainer)])


COMPONENTS: dict[str, Any] = {
    "`Pipeline`, `LogisticRegression()`": pipeline(LogisticRegression()),
    "`Pipeline`, `XGBoost()`": pipeline(XGBoost(n_estimators=20, n_jobs=1)),
    '`Pipeline`, `XGBoost(task="regression")`': pipeline(XGBoost(task="regression", n_jobs=1)),
    "`Language`": LanguageOnArrays(text="text"),
    "`Quality`": QualityOnArrays(text="text"),
    "`Sentiment`": SentimentOnArrays(text="text", rating="rating", min_rated=1, scale=(1, 5)),
}
EXPECTED: dict[str, dict[str, str]] = {
    "`Pipeline`, `LogisticRegression()`": {"check_classifiers_regression_target": FOLLOWS},
    "`Pipeline`, `XGBoost()`": {"check_classifiers_regression_target": FOLLOWS},
    "`Language`": {"check_dict_unchanged": LOADS},
    "`Quality`": {"check_dict_unchanged": LOADS},
    "`Sentiment`": {"check_dict_unchanged": LOADS, "check_transformer_general": CROSS_FITS},
}
"""By component, checks that fail, and why that is right."""


def rows_below(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading of the page."""
    text = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def run_checks(name: str, component: Any) -> list[dict[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results: list[dict[str, Any]] = check_estimator(
            component, on_fail=None, on_skip=None, expected_failed_checks=EXPECTED.get(name)
        )
    return results


def marked(name: str) -> Any:
    return pytest.param(name, marks=pytest.mark.slow) if "XGBoost" in name else name


@pytest.mark.parametrize("name", [marked(name) for name in COMPONENTS])
def test_each_component_passes_the_checks_that_the_page_says(name: str) -> None:
    results = run_checks(name, COMPONENTS[name])
    failed = [(r["check_name"], str(r["exception"])) for r in results if r["status"] == "failed"]
    assert failed == []
    counts = Counter(result["status"] for result in results)
    figures = [str(counts[status]) for status in ("passed", "xfail", "skipped")]
    said = [cells[2:5] for cells in rows_below("Contracts") if cells[0] == name]
    if sklearn.__version__.startswith(VERSION) and "SCIPY_ARRAY_API" not in os.environ:
        assert said == [figures]


def test_every_expected_failure_stands_on_the_page_with_its_reason() -> None:
    said = {(cells[0], cells[1].strip("`")): cells[2] for cells in rows_below("Expected failures")}
    expected = {
        (name, check): reason
        for name, checks in EXPECTED.items()
        for check, reason in checks.items()
    }
    assert said == expected


@pytest.mark.parametrize("component", [Language(), Quality(), Sentiment()], ids=repr)
def test_components_of_frames_claim_no_arrays(component: Any) -> None:
    tags = get_tags(component)
    assert not tags.input_tags.two_d_array
    assert tags.input_tags.string
    assert tags.transformer_tags is not None
    assert tags.requires_fit == component.learns


@pytest.mark.parametrize("component", [Features(), XGBoost(), LogisticRegression()], ids=repr)
def test_steps_that_only_pipelines_run_claim_parameters_alone(component: Any) -> None:
    with pytest.warns(SkipTestWarning, match="requires input"):
        results = check_estimator(component)
    assert [r["check_name"] for r in results] == ["check_estimator_cloneable"]
    assert clone(component).get_params() == component.get_params()
