"""Searching parameters: settings, folds, failures, and the same scores on a cluster."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv
from scipy import stats
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from reviewml import Files, Frame, Pipeline, tune
from reviewml.backends.local.backend import LocalBackend
from reviewml.enrichers import Language
from reviewml.errors import ParameterError, SchemaError, TrialsFailed
from reviewml.evaluation.splits import split_successively
from reviewml.featurizers import Features
from reviewml.testing.rows import make_example_rows
from reviewml.trainers import LogisticRegression, XGBoost
from reviewml.tuning import CrossValidation, Tuned

BEHAVIOUR = ["id", "price", "clicks", "mobile", "layout", "bought"]
GRID = {"model__C": [0.01, 1.0], "features__exclude": [(), ("price",)]}


@pytest.fixture
def rows() -> pa.Table:
    return make_example_rows(300).select(BEHAVIOUR)


@pytest.fixture
def pipe() -> Pipeline:
    return Pipeline([("features", Features()), ("model", LogisticRegression())], id="id")


class Watched(LocalBackend):
    """Keeps the trials that it is asked to run."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.trials: list[CrossValidation] = []

    def try_each(self, trial: Any, settings: Sequence[Any]) -> list[Any]:
        self.trials.append(trial)
        return super().try_each(trial, settings)


def watched(pipe: Pipeline, *arguments: Any, **options: Any) -> tuple[Tuned, CrossValidation]:
    backend = Watched()
    # Cloned with the pipeline it would be another one.
    backend.__deepcopy__ = lambda memo: backend  # type: ignore[attr-defined]
    found = tune(pipe.on(backend), *arguments, **options)
    [trial] = backend.trials
    return found, trial


def folds_for_sklearn(trial: CrossValidation) -> list[Any]:
    return [(train, test) for train, test in trial.folds]


# -- settings -----------------------------------------------------------------------------------


def test_a_grid_gives_the_scores_of_scikit_learn(pipe: Pipeline, rows: pa.Table) -> None:
    found, trial = watched(pipe, rows, target="bought", space=GRID, cv=3, scoring="roc_auc")
    frame = trial.table.to_pandas()
    search = GridSearchCV(pipe, GRID, cv=folds_for_sklearn(trial), scoring="roc_auc")
    search.fit(frame.drop(columns="bought"), frame["bought"])
    theirs = [search.cv_results_[f"split{fold}_test_score"] for fold in range(3)]
    assert [trial.scores for trial in found.results] == list(zip(*theirs, strict=True))
    assert [trial.params for trial in found.results] == search.cv_results_["params"]
    assert found.best_params_ == search.best_params_
    assert found.best_score_ == search.best_score_
    new = frame.drop(columns="bought")
    np.testing.assert_array_equal(found.pipeline_.predict_proba(new), search.predict_proba(new))


def test_draws_are_those_of_scikit_learn(pipe: Pipeline, rows: pa.Table) -> None:
    space = {"model__C": stats.loguniform(1e-3, 1e3), "model__class_weight": [None, "balanced"]}
    given = {"space": space, "n_trials": 4, "random_state": 7}
    found, trial = watched(pipe, rows, target="bought", cv=2, refit=False, **given)
    search = RandomizedSearchCV(
        pipe, space, n_iter=4, random_state=7, cv=folds_for_sklearn(trial), refit=False
    )
    frame = trial.table.to_pandas()
    search.fit(frame.drop(columns="bought"), frame["bought"])
    assert [trial.params for trial in found.results] == search.cv_results_["params"]
    means = search.cv_results_["mean_test_score"].tolist()
    assert [trial.mean for trial in found.results] == means
    assert found.pipeline_ is None


def test_several_spaces_are_searched(pipe: Pipeline, rows: pa.Table) -> None:
    space = [{"model": [LogisticRegression(C=0.1)]}, {"model": [XGBoost(n_estimators=5)]}]
    found = tune(pipe, rows, target="bought", space=space, cv=2)
    assert found.pipeline_ is not None
    assert type(found.pipeline_["model"]) is type(found.best_params_["model"])
    assert pipe.get_params()["model__C"] == 1.0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"space": {"model__Z": [1]}}, r"no parameter 'model__Z'. Did you mean 'model__C'"),
        ({"space": {"model__C": stats.uniform()}}, "or n_trials= as well"),
        ({"space": {"model__C": 3.0}}, "Give lists of values"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(
    pipe: Pipeline, rows: pa.Table, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ParameterError, match=said):
        tune(pipe, rows, target="bought", **given)


# -- rows ---------------------------------------------------------------------------------------


def test_rows_may_be_anything(pipe: Pipeline, rows: pa.Table, tmp_path: Path) -> None:
    csv.write_csv(rows, tmp_path / "rows.csv")
    frame: pd.DataFrame = rows.to_pandas()
    given: list[tuple[Any, ...]] = [
        (rows,),
        (rows.take(np.arange(len(rows))[::-1]),),
        (frame,),
        (str(tmp_path / "rows.csv"),),
        (Files(str(tmp_path / "rows.csv"), id="id"),),
        (LocalBackend().read(Frame(rows, id="id")),),
    ]
    found = [tune(pipe, *some, target="bought", space=GRID, cv=2, refit=False) for some in given]
    beside = tune(pipe, frame.drop(columns="bought"), frame["bought"], space=GRID, cv=2)
    scores = [[trial.scores for trial in each.results] for each in [*found, beside]]
    assert scores == [scores[0]] * len(scores)
    assert beside.pipeline_ is not None
    assert beside.pipeline_.roles_.target == "bought"


def test_a_source_names_its_roles(tmp_path: Path) -> None:
    csv.write_csv(make_example_rows(200), tmp_path / "rows.csv")
    source = Files(str(tmp_path / "rows.csv"), id="id", text="text", rating="rating")
    steps = [("language", Language()), ("features", Features()), ("model", LogisticRegression())]
    space = {"model__C": [0.1, 1.0]}
    found = tune(Pipeline(steps), source, target="bought", space=space, cv=2)
    assert [trial.error for trial in found.results] == [None, None]


def test_rows_without_a_target_are_left_out(pipe: Pipeline, rows: pa.Table) -> None:
    known = np.arange(len(rows)) % 3 > 0
    bought = pa.array(rows.column("bought").to_pylist(), mask=~known)
    some = rows.set_column(rows.schema.get_field_index("bought"), "bought", bought)
    found, trial = watched(pipe, some, target="bought", space=GRID, cv=2)
    assert len(trial.table) == known.sum()
    assert "200 rows" in found.split


# -- folds --------------------------------------------------------------------------------------

DAY = datetime.timedelta(days=1)
START = datetime.datetime(2025, 1, 1)


def timed(rows: pa.Table) -> pa.Table:
    order = np.random.default_rng(0).permutation(len(rows)) // 3
    return rows.append_column("time", pa.array([START + int(n) * DAY for n in order]))


def test_time_is_never_shuffled(pipe: Pipeline, rows: pa.Table) -> None:
    pipe.set_params(time="time")
    found, trial = watched(pipe, timed(rows), target="bought", space=GRID, cv=4, refit=False)
    times = np.array(trial.table.column("time").to_pylist())
    tested: list[int] = []
    for train, test in trial.folds:
        assert times[train].max() < times[test].min()
        tested += test.tolist()
    assert len(tested) == len(set(tested))
    firsts = [times[test].min() for _, test in trial.folds]
    assert firsts == sorted(firsts)
    assert max(times) == times[trial.folds[-1][1]].max()
    assert all(30 < len(test) < 100 for _, test in trial.folds)
    assert "each later than what it learns from" in found.split


def test_what_the_label_looks_ahead_is_left_out() -> None:
    random = np.random.default_rng(0)
    moments = [START + n * DAY for n in range(120)]
    views = pa.table({"id": np.arange(120), "time": moments, "key": random.integers(0, 3, 120)})
    events = Frame(pa.table({"at": moments, "key": random.integers(0, 3, 120)}), time="at")
    source = Frame(views, id="id", time="time").label(events, by="key", within="5d", name="soon")
    pipe = Pipeline([("features", Features()), ("model", LogisticRegression())])
    _, trial = watched(pipe, source, target="soon", space={"model__C": [1.0]}, cv=3)
    times = np.array(trial.table.column("time").to_pylist())
    for train, test in trial.folds:
        assert times[test].min() - times[train].max() > 5 * DAY


@pytest.mark.parametrize(("time", "size"), [(None, 8), ("time", 2)])
def test_groups_stay_together(pipe: Pipeline, rows: pa.Table, time: str | None, size: int) -> None:
    customers = pa.array([f"c{n // size}" for n in range(len(rows))])
    grouped = timed(rows).append_column("customer", customers)
    pipe.set_params(time=time, features__exclude=["customer", "time"])
    space = {"model__C": [1.0]}
    _, trial = watched(pipe, grouped, target="bought", space=space, cv=3, group="customer")
    names = np.array(trial.table.column("customer").to_pylist())
    for train, test in trial.folds:
        assert not set(names[train]) & set(names[test])


def test_rows_of_one_id_stay_together(pipe: Pipeline, rows: pa.Table) -> None:
    twice = pa.concat_tables([rows, rows])
    _, trial = watched(pipe, twice, target="bought", space={"model__C": [1.0]}, cv=3)
    ids = np.array(trial.table.column("id").to_pylist())
    for train, test in trial.folds:
        assert not set(ids[train]) & set(ids[test])


def test_classes_have_their_share_in_each_fold(pipe: Pipeline, rows: pa.Table) -> None:
    bought = np.array(rows.column("bought").to_pylist())
    by_class = rows.take(np.argsort(bought))
    _, trial = watched(pipe, by_class, target="bought", space={"model__C": [1.0]}, cv=3)
    answers = np.array(trial.table.column("bought").to_pylist())
    for _, test in trial.folds:
        assert abs(answers[test].mean() - bought.mean()) < 0.02


def test_a_quantity_is_searched_too(rows: pa.Table) -> None:
    pipe = Pipeline([("features", Features()), ("model", LogisticRegression())], id="id")
    found = tune(pipe, rows, target="price", space={"model__C": [1.0]}, cv=2)
    known = len(rows) - rows.column("price").null_count
    assert found.split == f"2 folds of {known} rows"
    assert found.pipeline_ is not None
    assert found.pipeline_.task_ == "regression"


def test_too_few_times_or_groups_are_told(pipe: Pipeline, rows: pa.Table) -> None:
    days = pa.array([START + (n % 3) * DAY for n in range(len(rows))])
    with pytest.raises(SchemaError, match="too few different times for 4 folds"):
        split_successively(np.arange(len(rows), dtype=np.uint64), 4, time=days)
    grouped = rows.append_column("shop", pa.array(["a", "b"] * (len(rows) // 2)))
    with pytest.raises(SchemaError, match="there are 2 groups"):
        tune(pipe, grouped, target="bought", space=GRID, group="shop")


# -- failures -----------------------------------------------------------------------------------


def test_a_trial_that_fails_costs_only_itself(pipe: Pipeline, rows: pa.Table) -> None:
    space = {"model__C": [1.0, -1.0, 0.1]}
    found = tune(pipe, rows, target="bought", space=space, cv=2)
    good, bad, other = found.results
    assert bad.params == {"model__C": -1.0}
    assert bad.scores == ()
    assert bad.error is not None
    assert "C" in bad.error
    assert good.error is other.error is None
    assert bad.error.splitlines()[0][:20] in str(found)
    assert found.best_params_["model__C"] > 0


def test_when_all_fail_it_raises(pipe: Pipeline, rows: pa.Table) -> None:
    with pytest.raises(TrialsFailed, match="all 2 trials failed; the first: "):
        tune(pipe, rows, target="bought", space={"model__C": [-1.0, -2.0]}, cv=2)


def test_a_table_shows_the_best_first(pipe: Pipeline, rows: pa.Table) -> None:
    found = tune(pipe, rows, target="bought", space=GRID, cv=2)
    text = str(found)
    assert text.index(f"{found.best_score_:.4f}") < text.index(
        f"{min(trial.mean for trial in found.results):.4f}"
    )
    assert "2 folds of 300 rows" in text
