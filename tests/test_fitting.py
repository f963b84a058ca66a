"""What fitting learns from, and what it says of rows that it cannot learn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from reviewml import Frame, Pipeline
from reviewml.datasets import make_reviews
from reviewml.errors import SchemaError, TargetError
from reviewml.featurizers import Features
from reviewml.interfaces import Enricher
from reviewml.trainers import LogisticRegression, XGBoost


def alone(model: Any = None) -> Pipeline:
    return Pipeline([("features", Features()), ("model", model or XGBoost())])


def test_equal_rows_are_learned_from_and_held_out_alike() -> None:
    random = np.random.default_rng(0)
    x = random.integers(2, size=4_000)
    frame = pa.table({"x": x, "z": random.integers(2, size=len(x))})
    y = random.random(len(x)) < np.where(x == 1, 0.6, 0.3)
    pipe = alone(XGBoost(n_estimators=50)).fit(frame, y)
    assert pipe.report_["rows"]["validated"] == 400
    probability = pipe.predict_proba(frame)[:, 1]
    assert probability[x == 1].mean() == pytest.approx(0.6, abs=0.05)
    assert probability[x == 0].mean() == pytest.approx(0.3, abs=0.05)


def test_a_column_named_as_the_target_is_no_feature_beside_y() -> None:
    frame = pa.table({"price": np.arange(200.0) % 7, "bought": [0, 1] * 100})
    steps = alone().steps
    pipe = Pipeline(steps, target="bought").fit(frame, frame.column("bought").to_pylist())
    assert [feature.column for feature in pipe.features_] == ["price"]


def test_ids_that_are_missing_stay_missing() -> None:
    frame = pa.table({"id": [3, None, 5] * 40, "x": [1.0, 2.0, 3.0] * 40, "y": [0, 1, 0] * 40})
    pipe = alone(LogisticRegression()).fit(Frame(frame, id="id"), target="y")
    found = pipe.predict(Frame(frame, id="id")).to_arrow()
    assert found.column("id").to_pylist() == frame.column("id").to_pylist()
    assert pipe.explain(Frame(frame, id="id")).ids.to_pylist() == frame.column("id").to_pylist()


class Broken(Enricher):
    """Fails on every row."""

    adds = {"broken": pa.int64()}

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        raise AttributeError("no such thing")


def test_rows_on_which_a_step_fails_are_pointed_out() -> None:
    steps = [("broken", Broken()), ("features", Features()), ("model", LogisticRegression())]
    pipe, few = Pipeline(steps, text="text"), make_reviews(100)
    said = "'broken' failed on all 100 rows, which keep nulls there; first 0: AttributeError"
    with pytest.warns(UserWarning, match=said):
        pipe.fit(few, target="recommended")
    assert any(text.startswith(said) for text in pipe.report_["warnings"])
    with pytest.warns(UserWarning, match=said):
        pipe.predict(few)
    with pytest.warns(UserWarning, match="'Broken' failed on all 100 rows"):
        Broken().transform(few)


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_do_not_change_a_multiclass_model(threads: int) -> None:
    frame = make_reviews(3_000).select(["price", "page_load_seconds", "layout"])
    one, several = (
        alone(XGBoost(n_estimators=5, n_jobs=n)).fit(frame, target="layout") for n in (1, threads)
    )
    assert one.model_.booster.save_raw() == several.model_.booster.save_raw()


def test_a_target_of_nan_is_missing_and_an_infinite_one_refused() -> None:
    x, y = np.arange(60.0), [0.0, 1.0, float("nan")] * 20
    pipe = alone(LogisticRegression()).fit(pa.table({"x": x, "y": y}), target="y")
    assert pipe.task_ == "binary"
    assert pipe.report_["rows"]["no_target"] == 20
    with pytest.raises(TargetError, match="infinite"):
        alone().fit(pa.table({"x": x, "y": [*x[:-1], float("inf")]}), target="y")


def test_a_group_that_is_held_out_by_time_is_not_learned_from() -> None:
    random = np.random.default_rng(0)
    frame = pa.table(
        {
            "x": random.random(400),
            "when": pa.array(np.arange(400) * 10**6, pa.timestamp("us")),
            "customer": random.integers(150, size=400),
            "y": random.integers(2, size=400),
        }
    )
    pipe = Pipeline(alone().steps, time="when").fit(frame, target="y", group="customer")
    assert "earlier rows of their groups left out" in pipe.report_["split"]


def test_answers_the_model_has_never_seen_are_counted() -> None:
    frame = pa.table({"x": np.arange(90.0), "y": [0, 1, 0] * 30})
    pipe = alone(LogisticRegression()).fit(frame, target="y")
    found = pipe.evaluate(frame.set_column(1, "y", pa.array([0, 1, 7] * 30)))
    assert found.rows["unknown_class"] == 30


def test_explanations_tell_the_values_and_skip_what_could_not_be_read(tmp_path: Any) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,price,y\na,1,0\nb,2,1\nc,3,9,9,9\n" + "d,5,1\ne,1,0\n" * 20)
    pipe = Pipeline(alone(LogisticRegression()).steps, id="id").fit(str(path), target="y")
    found = pipe.explain(str(path))
    assert "c" not in found.ids.to_pylist()
    assert found.row("b").parts[0].features[0].value == "2"
    with pytest.raises(SchemaError, match="no rows"):
        pipe.explain(str(path), limit=0)


def test_fitting_again_forgets_the_model_before() -> None:
    frame = pa.table({"x": np.arange(90.0), "z": [1.0, 2.0, 5.0] * 30, "y": [0, 1, 0] * 30})
    pipe = alone(XGBoost(n_estimators=2)).fit(frame, target="y")
    pipe.fit(frame, target="x")
    assert pipe.task_ == "regression"
    assert not hasattr(pipe, "classes_")
