"""The pipeline fits, predicts, reports and is a scikit-learn estimator."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.model_selection import GridSearchCV, cross_val_score

from reviewml import Files, Frame, Pipeline
from reviewml.enrichers import Language, Quality, Sentiment
from reviewml.errors import NotFitted, RowsFailed, SchemaError, TargetError
from reviewml.featurizers import Features
from reviewml.interfaces import Enricher
from reviewml.testing.rows import make_example_rows, shuffle_rows
from reviewml.trainers import LogisticRegression, XGBoost

ROLES: dict[str, Any] = {"id": "id", "text": "text", "rating": "rating", "time": "time"}


class Fragile(Enricher):
    """Fails on every seventh text."""

    adds = {"characters": pa.int64()}

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        lengths = pc.utf8_length(batch.column("text")).cast(pa.int64())
        if any(length is not None and length % 7 == 0 for length in lengths.to_pylist()):
            raise ValueError("a multiple of seven")
        return batch.append_column("characters", lengths)


def pipeline(**roles: Any) -> Pipeline:
    steps = [
        ("language", Language()),
        ("sentiment", Sentiment()),
        ("quality", Quality()),
        ("features", Features()),
        ("model", XGBoost(n_estimators=40, early_stopping_rounds=10)),
    ]
    return Pipeline(steps, **(ROLES | roles))


def small(**roles: Any) -> Pipeline:
    return Pipeline([("features", Features()), ("model", LogisticRegression())], **roles)


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    return make_example_rows(600)


@pytest.fixture(scope="module")
def fitted(rows: pa.Table) -> Pipeline:
    return pipeline().fit(rows, target="bought")


def test_learns_what_the_texts_say(fitted: Pipeline) -> None:
    new = make_example_rows(300, random_state=1)
    assert fitted.evaluate(new).metrics["auc"].value > 0.65


def test_frames_are_answered_with_arrays(fitted: Pipeline, rows: pa.Table) -> None:
    probabilities = fitted.predict_proba(rows)
    assert probabilities.shape == (600, 2)
    assert fitted.classes_.tolist() == [False, True]
    predicted = fitted.predict(rows)
    np.testing.assert_array_equal(predicted, probabilities[:, 1] > 0.5)


@pytest.mark.parametrize("convert", [pl.from_arrow, pa.Table.to_pandas])
def test_the_kind_of_frame_does_not_matter(fitted: Pipeline, rows: pa.Table, convert: Any) -> None:
    np.testing.assert_array_equal(fitted.predict_proba(convert(rows)), fitted.predict_proba(rows))


def test_sources_are_answered_with_datasets(fitted: Pipeline, rows: pa.Table) -> None:
    scored = fitted.predict(Frame(rows))
    assert scored.schema.names == ["id", "prediction", "probability"]
    table = scored.to_arrow()
    assert table.column("id").equals(rows.column("id"))
    np.testing.assert_array_equal(table.column("probability"), fitted.predict_proba(rows)[:, 1])
    assert fitted.predict_proba(Frame(rows)).schema.names == ["id", "probability"]


def test_rows_in_any_order_make_the_same_model(fitted: Pipeline, rows: pa.Table) -> None:
    again = pipeline().fit(shuffle_rows(rows, 3), target="bought")
    np.testing.assert_array_equal(again.predict_proba(rows), fitted.predict_proba(rows))


def test_rows_without_an_id_in_any_order_make_the_same_model(rows: pa.Table) -> None:
    plain = rows.drop_columns(["id"])
    one, other = (
        pipeline(id=None).fit(table, target="bought") for table in (plain, shuffle_rows(plain, 3))
    )
    np.testing.assert_array_equal(one.predict_proba(plain), other.predict_proba(plain))


def test_threads_do_not_change_the_model(rows: pa.Table) -> None:
    one, other = (
        pipeline().set_params(model__n_jobs=jobs).fit(rows, target="bought") for jobs in (1, 3)
    )
    np.testing.assert_array_equal(one.predict_proba(rows), other.predict_proba(rows))


def test_fitting_leaves_the_steps_as_they_were(rows: pa.Table) -> None:
    pipe = pipeline()
    pipe.fit(rows, target="bought")
    assert not any(step.state for _, step in pipe.steps)
    assert clone(pipe).get_params()["sentiment"].state == {}


def test_the_target_and_the_rating_are_never_features(fitted: Pipeline) -> None:
    assert not {"bought", "rating", "id"} & {feature.column for feature in fitted.features_}


def test_counts_add_up(rows: pa.Table) -> None:
    targets = [
        None if i % 10 == 0 else value for i, value in enumerate(rows.column("bought").to_pylist())
    ]
    partly = rows.set_column(rows.schema.get_field_index("bought"), "bought", pa.array(targets))
    counts = pipeline().fit(partly, target="bought").report_["rows"]
    assert counts["read"] == 600
    assert counts["no_target"] == 60
    assert counts["read"] == counts["used"] + counts["no_target"] + counts["unreadable"]
    assert counts["used"] == counts["trained"] + counts["validated"]


def test_rows_that_fail_are_kept_and_reported(rows: pa.Table) -> None:
    steps = [("fragile", Fragile()), ("features", Features()), ("model", LogisticRegression())]
    pipe = Pipeline(steps, id="id", text="text").fit(rows, target="bought")
    scored = pipe.predict(Frame(rows))
    assert scored.count() == 600
    failed = [
        i
        for i, text in zip(
            rows.column("id").to_pylist(), rows.column("text").to_pylist(), strict=True
        )
        if text and not text.isspace() and len(text) % 7 == 0
    ]
    assert failed
    assert scored.errors.column("id").to_pylist() == failed
    with pytest.raises(RowsFailed, match="a multiple of seven"):
        pipe.predict(rows, on_error="raise")
    with pytest.raises(RowsFailed):
        Pipeline(steps, id="id", text="text").fit(rows, target="bought", on_error="raise")


def test_unreadable_rows_are_not_predicted(rows: pa.Table, tmp_path: Any) -> None:
    few = small(id="id", text="text").fit(
        rows.select(["id", "text", "price", "bought"]), target="bought"
    )
    path = tmp_path / "new.csv"
    path.write_text("id,text,price\na,good,1\nb,good,1,too,many\nc,good,1\n", encoding="utf-8")
    scored = few.predict(Files(path, id="id", text="text"))
    predicted = scored.to_arrow().column("prediction")
    assert [value is None for value in predicted.to_pylist()] == [False, True, False]
    assert scored.errors.column("stage").to_pylist() == ["read"]


def test_multiclass_and_regression(rows: pa.Table) -> None:
    layouts = rows.filter(pc.is_valid(rows.column("layout")))
    several = small(text="text").fit(layouts, target="layout")
    assert several.task_ == "multiclass"
    assert several.predict_proba(layouts).shape == (len(layouts), 3)
    assert several.predict(Frame(layouts)).schema.names == [
        "id",
        "prediction",
        "probability_grid",
        "probability_hero",
        "probability_list",
    ]
    quantity = small().fit(rows, target="price")
    assert quantity.task_ == "regression"
    assert quantity.predict(rows).dtype == np.float64
    assert not hasattr(quantity, "predict_proba")


def test_behaviour_alone_trains() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"pages": random.poisson(5, 500), "seconds": random.gamma(2, 50, 500)})
    bought = frame["pages"] + random.normal(size=500) > 5
    pipe = small().fit(frame, bought)
    assert pipe.score(frame, bought) > 0.8


def test_works_inside_scikit_learn(rows: pa.Table) -> None:
    frame = rows.to_pandas()
    X, y = frame.drop(columns=["bought"]), frame["bought"]
    pipe = pipeline().set_params(model__n_estimators=10)
    scores = cross_val_score(pipe, X, y, cv=3, scoring="roc_auc", error_score="raise")
    assert scores.mean() > 0.6
    search = GridSearchCV(
        pipe, {"model__max_depth": [2, 3]}, cv=2, scoring="roc_auc", error_score="raise"
    )
    search.fit(X, y)
    assert search.best_params_["model__max_depth"] in (2, 3)
    assert isinstance(search.predict(X), np.ndarray)


def test_scikit_learn_knows_what_it_is() -> None:
    assert is_classifier(small())
    assert is_regressor(Pipeline([("features", Features()), ("model", XGBoost(task="regression"))]))


def test_reprs_show_the_steps(fitted: Pipeline) -> None:
    assert "Sentiment" in repr(fitted)
    html = fitted._repr_html_()
    assert all(name in html for name in ("Language", "Sentiment", "Quality", "Features", "XGBoost"))


def test_enrich_alone_gives_the_columns(rows: pa.Table) -> None:
    pipe = Pipeline([("language", Language()), ("quality", Quality())], id="id", text="text")
    enriched = pipe.enrich(rows)
    assert {"language", "quality"} <= set(enriched.schema.names)
    assert enriched.count() == 600
    assert not hasattr(pipe, "steps_")


def test_unfitted_pipelines_say_so(rows: pa.Table) -> None:
    for use in ("predict", "predict_proba", "evaluate", "explain"):
        with pytest.raises(NotFitted, match=r"fit\(\)"):
            getattr(pipeline(), use)(rows)
    with pytest.raises(NotFitted, match=r"or use backtest\(\)"):
        pipeline().evaluate(rows)


def test_mistakes_are_explained(rows: pa.Table) -> None:
    with pytest.raises(SchemaError, match="either y or target"):
        pipeline().fit(rows, rows.column("bought"), target="bought")
    with pytest.raises(SchemaError, match="no column 'bougth'"):
        pipeline().fit(rows, target="bougth")
    with pytest.raises(SchemaError, match="what should be learned"):
        pipeline().fit(rows)
    with pytest.raises(SchemaError, match="600 rows and y 2"):
        pipeline().fit(rows, [1, 0])
    with pytest.raises(SchemaError, match="two steps are named"):
        Pipeline([("a", Language()), ("a", Quality())]).fit(rows)
    with pytest.raises(SchemaError, match=r"Language\(\) is no step: give pairs"):
        Pipeline([Language()]).enrich(rows)  # type: ignore[list-item]
    with pytest.raises(SchemaError, match="not the class"):
        Pipeline([("a", Language)]).fit(rows)
    with pytest.raises(SchemaError, match="the steps are trainer, featurizer"):
        Pipeline([("model", XGBoost()), ("features", Features())]).fit(rows, target="bought")
    with pytest.raises(SchemaError, match="needs the role 'text'"):
        pipeline(text=None).fit(
            rows.rename_columns(["words" if n == "text" else n for n in rows.schema.names]),
            target="bought",
        )
    with pytest.raises(TargetError, match="nothing to learn"):
        pipeline().fit(rows.filter(pc.field("bought")), target="bought")


@pytest.mark.parametrize("kind", [pa.uuid(), pa.binary(16), pa.binary()], ids=str)
def test_ids_may_be_bytes(rows: pa.Table, kind: pa.DataType) -> None:
    ids = pa.array([bytes([255 - n % 256, n // 256]) * 8 for n in range(len(rows))], kind)
    fitted = small(id="id").fit(rows.set_column(0, "id", ids), target="bought")
    assert len(fitted.predict(rows)) == len(rows)


@pytest.mark.parametrize("ids", [[["a"], ["b"]], [{"a": 1}, {"a": 2}]])
def test_ids_are_not_nested(ids: Any) -> None:
    frame = pa.table({"tags": ids, "bought": [0, 1]})
    with pytest.raises(SchemaError, match=r"id='tags' is (list|struct)<.* identify a row"):
        small(id="tags").fit(frame, target="bought")
    with pytest.raises(SchemaError, match=r"id='tags' is"):
        Frame(frame, id="tags").schema  # noqa: B018


def test_both_uses_of_the_rating_are_pointed_out(rows: pa.Table) -> None:
    with pytest.warns(UserWarning, match="the rating is used twice"):
        pipeline().set_params(features__rating=True).fit(rows, target="bought")


def test_plan_says_what_it_would_cost(rows: pa.Table) -> None:
    planned = pipeline().plan(rows)
    assert planned.rows == 600
    assert [step.step for step in planned.steps] == ["language", "sentiment", "quality"]
    assert planned.seconds > 0
    assert "600 rows" in str(planned)


def test_a_fitted_pipeline_can_be_pickled_by_its_owner(fitted: Pipeline, rows: pa.Table) -> None:
    copied = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copied.predict_proba(rows), fitted.predict_proba(rows))


def test_a_group_stays_on_one_side(rows: pa.Table) -> None:
    pipe = pipeline(time=None).fit(rows, target="bought", group="layout")
    assert "layout" in pipe.report_["split"] or "group" in pipe.report_["split"]


def test_probabilities_do_not_depend_on_batches(fitted: Pipeline, rows: pa.Table) -> None:
    each: list[npt.NDArray[np.float64]] = [
        fitted.predict_proba(rows.slice(i, 50)) for i in range(0, 600, 50)
    ]
    np.testing.assert_array_equal(np.concatenate(each), fitted.predict_proba(rows))
