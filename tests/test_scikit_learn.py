"""Pipelines and enrichers stand where scikit-learn's tools take estimators."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SelectKBest
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression as LinearModel
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.pipeline import Pipeline as SklearnPipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

from reviewml import Pipeline
from reviewml.enrichers import Language, Quality, Sentiment
from reviewml.errors import NotFitted, ParameterError, ReviewmlError, SchemaError
from reviewml.featurizers import Features
from reviewml.testing.rows import make_example_rows
from reviewml.trainers import LogisticRegression, XGBoost


def pipeline(trainer: Any) -> Pipeline:
    return Pipeline([("features", Features()), ("model", trainer)])


# -- frames and arrays ----------------------------------------------------------------------------

ROLES: dict[str, Any] = {"id": "id", "text": "text", "rating": "rating", "time": "time"}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    frame: pd.DataFrame = make_example_rows(240).to_pandas()
    frame.index = pd.Index(range(1_000, 1_240))
    return frame


def reviews(trainer: Any) -> Pipeline:
    steps = [("sentiment", Sentiment(min_rated=10)), ("features", Features()), ("model", trainer)]
    return Pipeline(steps, **ROLES)


@pytest.fixture(scope="module", name="X")
def columns_without_target(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="bought")


@pytest.fixture(scope="module", name="y")
def target_alone(frame: pd.DataFrame) -> pd.Series:
    return frame["bought"]


@pytest.fixture(scope="module")
def fitted(X: pd.DataFrame, y: pd.Series) -> Pipeline:
    return reviews(LogisticRegression()).fit(X, y)


def numbers() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    random = np.random.default_rng(0)
    values = random.normal(size=(200, 3))
    return values, values[:, 0] + 0.1 * random.normal(size=200) > 0


def test_columns_are_named(fitted: Pipeline, X: pd.DataFrame) -> None:
    assert fitted.feature_names_in_.tolist() == list(X.columns)
    assert fitted.n_features_in_ == X.shape[1]
    assert list(fitted.get_feature_names_out()) == [f.name for f in fitted.features_]
    assert not hasattr(clone(fitted), "n_features_in_")
    with pytest.raises(SchemaError, match="feature_names_in_"):
        fitted.get_feature_names_out(["other"])


@pytest.mark.parametrize(
    "component", [Language(), Quality(), Sentiment(rating="rating", min_rated=10)], ids=repr
)
def test_enrichers_name_the_columns_of_what_they_return(component: Any, X: pd.DataFrame) -> None:
    component = clone(component)
    with pytest.raises(NotFitted):
        component.get_feature_names_out()
    assert not hasattr(component, "n_features_in_")
    answers = component.fit(X).transform(X)
    assert list(component.get_feature_names_out()) == list(answers.columns)
    assert component.feature_names_in_.tolist() == list(X.columns)
    with pytest.raises(SchemaError, match="feature_names_in_"):
        component.get_feature_names_out(["other"])


def test_what_is_remembered_of_columns_changes_no_fingerprint(X: pd.DataFrame) -> None:
    assert Language().fit(X).fingerprint() == Language().fingerprint()
    assert Language().fit(X).state == {}


KINDS = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "arrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "batch": lambda frame: pa.RecordBatch.from_pandas(frame, preserve_index=False),
}
OUTPUTS = {"pandas": pd.DataFrame, "polars": pl.DataFrame}


@pytest.mark.parametrize("given", KINDS)
@pytest.mark.parametrize("wanted", OUTPUTS)
def test_set_output_decides_on_the_kind_of_frame(given: str, wanted: Any, X: pd.DataFrame) -> None:
    rows = KINDS[given](X[["id", "text"]])
    quality = Quality().set_output(transform=wanted)
    for answers in (quality.fit_transform(rows), clone(quality).fit(rows).transform(rows)):
        assert type(answers) is OUTPUTS[wanted]
        assert list(answers.columns) == ["id", "text", "quality", "quality_label"]
    if given == wanted == "pandas":
        assert list(quality.transform(rows).index) == list(X.index)
    with sklearn.config_context(transform_output=wanted):
        assert type(Quality().fit(rows).transform(rows)) is OUTPUTS[wanted]
    plain = quality.set_output(transform="default").transform(rows)
    assert type(plain) is type(rows)


def test_set_output_makes_frames_of_features(fitted: Pipeline, X: pd.DataFrame) -> None:
    matrix = fitted.transform(X)
    assert isinstance(matrix, np.ndarray)
    named = copy.copy(fitted).set_output(transform="pandas").transform(X)
    assert list(named.columns) == list(fitted.get_feature_names_out())
    assert list(named.index) == list(X.index)
    np.testing.assert_array_equal(named.to_numpy(), matrix)
    other = copy.copy(fitted).set_output(transform="polars").transform(X)
    assert isinstance(other, pl.DataFrame)
    np.testing.assert_array_equal(other.to_numpy(), matrix)
    with pytest.raises(ParameterError, match="'default', 'pandas', 'polars'"):
        fitted.set_output(transform="numpy")  # type: ignore[arg-type]


def test_arrays_are_answered_as_frames_of_the_same_numbers() -> None:
    values, target = numbers()
    frame = pd.DataFrame(values, columns=["x0", "x1", "x2"])
    of_array = pipeline(LogisticRegression()).fit(values, target)
    of_frame = pipeline(LogisticRegression()).fit(frame, target)
    np.testing.assert_array_equal(of_array.predict_proba(values), of_frame.predict_proba(frame))
    np.testing.assert_array_equal(of_array.predict_proba(frame), of_frame.predict_proba(frame))
    assert of_array.feature_names_in_.tolist() == ["x0", "x1", "x2"]
    assert of_array.explain(values[:3]).contributions.shape[0] == 3
    assert float(of_array.evaluate(values, target).metrics["auc"]) > 0.9
    assert of_array.enrich(values[:2]).to_arrow().num_rows == 2


def test_an_array_for_a_pipeline_of_names_is_a_warning() -> None:
    values, target = numbers()
    named = pipeline(LogisticRegression()).fit(pd.DataFrame(values, columns=list("abc")), target)
    with pytest.warns(UserWarning, match="valid feature names"):
        named.predict(values)


REFUSED: dict[str, tuple[Any, str]] = {
    "one-dimensional": (np.arange(3.0), "Expected 2D array, got 1D"),
    "three-dimensional": (np.ones((2, 2, 2)), "Expected 2D array, got 3D"),
    "complex": (np.ones((2, 3)) * 1j, "Complex data not supported"),
    "sparse": (sparse.csr_array(np.ones((2, 3))), "X is sparse"),
    "ragged": ([[1.0, 2.0], [1.0]], "differ in length"),
    "without columns": (np.empty((3, 0)), r"0 feature\(s\)"),
    "another width": (np.ones((3, 2)), "X has 2 features, but Pipeline is expecting 3"),
    "mixed": (np.array([["a", 1, 1], [2, 1, 1]], dtype=object), "cannot hold together"),
    "texts": (["one", "two"], "Expected 2D array"),
    "a series": (pd.Series([1.0, 2.0]), "Expected 2D array"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_arrays_that_are_no_rows_are_refused(name: str) -> None:
    values, target = numbers()
    known = pipeline(LogisticRegression()).fit(values, target)
    given, said = REFUSED[name]
    for method in ("predict", "predict_proba", "transform", "enrich", "explain", "plan"):
        with pytest.raises(SchemaError, match=said):
            getattr(known, method)(given)


@pytest.mark.parametrize("target", [np.ones((20, 2)), np.ones(20) * 1j, np.ones((20, 1, 1))])
def test_targets_of_other_shapes_are_refused(target: Any) -> None:
    with pytest.raises(SchemaError, match=r"y (has the shape|is a ndarray of complex)"):
        pipeline(LogisticRegression()).fit(np.ones((20, 3)), target)


# -- tools of scikit-learn ------------------------------------------------------------------------


def test_a_regression_has_no_probabilities_to_offer() -> None:
    values, _ = numbers()
    declared = pipeline(XGBoost(task="regression", n_estimators=3))
    assert not hasattr(declared, "predict_proba")
    assert is_regressor(declared)
    found = pipeline(XGBoost(n_estimators=3))
    assert hasattr(found, "predict_proba")
    assert is_classifier(found)
    found.fit(values, values[:, 1])
    assert not hasattr(found, "predict_proba")
    assert is_regressor(found)
    with pytest.raises(AttributeError) as raised:
        _ = found.predict_proba
    assert "use predict()" in str(raised.value.__cause__)


def test_what_is_not_fitted_says_so_as_scikit_learn_does(X: pd.DataFrame) -> None:
    for component in (reviews(LogisticRegression()), Sentiment(), Quality()):
        with pytest.raises(NotFittedError):
            check_is_fitted(component)
    with pytest.raises(NotFittedError):
        Quality().transform(X)
    check_is_fitted(Language())
    check_is_fitted(Quality().fit(X))


SEARCHED = {"model__C": [0.1, 10.0]}


@pytest.mark.parametrize("search", [GridSearchCV, HalvingGridSearchCV])
def test_searches_try_parameters_of_steps(search: Any, X: pd.DataFrame, y: pd.Series) -> None:
    found = search(reviews(LogisticRegression()), SEARCHED, cv=2, scoring="roc_auc").fit(X, y)
    assert set(found.best_params_) == set(SEARCHED)
    assert found.predict_proba(X).shape == (len(X), 2)


def test_scores_by_cross_validation(X: pd.DataFrame, y: pd.Series) -> None:
    scores = cross_val_score(reviews(LogisticRegression()), X, y, cv=3, error_score="raise")
    assert scores.shape == (3,)


META: dict[str, Any] = {
    "calibrated": lambda pipe: CalibratedClassifierCV(pipe, cv=2),
    "voting": lambda pipe: VotingClassifier([("pipe", pipe)], voting="soft"),
    "stacking": lambda pipe: StackingClassifier([("pipe", pipe)], LinearModel(), cv=2),
    "a pipeline around": lambda pipe: SklearnPipeline([("same", "passthrough"), ("pipe", pipe)]),
}


@pytest.mark.parametrize("name", META)
def test_estimators_of_estimators_take_a_pipeline(name: str, X: pd.DataFrame, y: pd.Series) -> None:
    around = META[name](reviews(LogisticRegression())).fit(X, y)
    assert around.predict_proba(X).shape == (len(X), 2)
    assert around.score(X, y) > 0.5


def test_regressions_take_a_transformed_target() -> None:
    values, _ = numbers()
    model = pipeline(XGBoost(task="regression", n_estimators=20))
    around = TransformedTargetRegressor(model, func=np.log1p, inverse_func=np.expm1)
    assert around.fit(values, np.exp(values[:, 0])).score(values, np.exp(values[:, 0])) > 0.3


def test_features_of_a_pipeline_feed_other_estimators(X: pd.DataFrame, y: pd.Series) -> None:
    both = make_pipeline(reviews(LogisticRegression()), FunctionTransformer(np.nan_to_num))
    assert both.fit(X, y).transform(X).shape[0] == len(X)
    chosen = make_pipeline(pipeline(LogisticRegression()), SelectKBest(k=1))
    values, target = numbers()
    assert chosen.fit(values, target).get_feature_names_out().tolist() == ["x0"]


def test_enrichers_are_columns_of_a_column_transformer(X: pd.DataFrame) -> None:
    columns = ColumnTransformer(
        [("language", Language(text="text"), ["text"]), ("quality", Quality(), ["text"])],
        verbose_feature_names_out=True,
    ).set_output(transform="pandas")
    answers = columns.fit_transform(X)
    assert list(answers.columns) == [
        "language__text",
        "language__language",
        "quality__text",
        "quality__quality",
        "quality__quality_label",
    ]
    assert list(answers.index) == list(X.index)


def test_enrichers_stand_in_pipelines_and_unions_of_scikit_learn(X: pd.DataFrame) -> None:
    numbers_of = FunctionTransformer(lambda frame: frame[["quality", "rating"]].fillna(0))
    steps = make_pipeline(Language(), Quality(), numbers_of)
    assert list(steps.fit(X).transform(X).columns) == ["quality", "rating"]
    union = FeatureUnion([("language", Language()), ("quality", Quality())])
    union.set_output(transform="pandas")
    assert "quality__quality" in union.fit_transform(X).columns
    called = FunctionTransformer(Language().transform)
    assert called.fit_transform(X).equals(Language().transform(X))
    assert X.pipe(Language().transform).equals(Language().transform(X))


def test_importances_by_permutation(fitted: Pipeline, X: pd.DataFrame, y: pd.Series) -> None:
    found = permutation_importance(fitted, X, y, n_repeats=1, random_state=0)
    assert found.importances.shape == (X.shape[1], 1)


def test_diagrams_show_the_steps() -> None:
    with sklearn.config_context(display="diagram"):
        assert "Sentiment" in reviews(LogisticRegression())._repr_html_()


# -- copies ---------------------------------------------------------------------------------------


def by_joblib(component: Any) -> Any:
    file = io.BytesIO()
    joblib.dump(component, file)
    file.seek(0)
    return joblib.load(file)


COPIES: dict[str, Any] = {
    "pickle": lambda component: pickle.loads(pickle.dumps(component)),
    "cloudpickle": lambda component: pickle.loads(
        pytest.importorskip("cloudpickle").dumps(component)
    ),
    "joblib": by_joblib,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_answer_the_same(name: str, fitted: Pipeline, X: pd.DataFrame) -> None:
    again = COPIES[name](fitted)
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert again.n_features_in_ == fitted.n_features_in_
    quality = Quality().fit(X).set_output(transform="polars")
    other = COPIES[name](quality)
    assert list(other.get_feature_names_out()) == list(quality.get_feature_names_out())
    assert other.transform(X).equals(quality.transform(X))


def test_lazy_frames_are_refused_by_name(fitted: Pipeline, X: pd.DataFrame) -> None:
    with pytest.raises(ReviewmlError, match="LazyFrame"):
        fitted.predict(pl.from_pandas(X).lazy())
