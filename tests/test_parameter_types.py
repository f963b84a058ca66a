"""Whatever a parameter is given works, or is refused in our words: no error is from inside."""

from __future__ import annotations

import decimal
import inspect
import typing
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import reviewml
from reviewml import Files, Frame, LocalRegistry, LocalStore, Pipeline, SharedRegistry, SharedStore
from reviewml import Table as DuckTable
from reviewml.datasets import make_reviews, make_shop
from reviewml.enrichers import Aspects, Language, Quality, ReviewHistory, Sentiment
from reviewml.errors import ParameterError, ReviewmlError
from reviewml.featurizers import Features
from reviewml.interfaces import Component, Enricher, as_dataset
from reviewml.parameter_types import check_argument_types, list_choices
from reviewml.trainers import LogisticRegression, XGBoost
from reviewml.tuning import tune

N = 24

ODD: dict[str, Any] = {
    "None": None,
    "true": True,
    "zero": 0,
    "negative": -1,
    "huge": 10**30,
    "fraction": 1.5,
    "NaN": float("nan"),
    "infinite": float("inf"),
    "no text": "",
    "text": "x",
    "NUL": "a\0b",
    "half a pair": "\ud800",
    "bytes": b"x",
    "no list": [],
    "texts": ["x"],
    "a list of None": [None],
    "no dict": {},
    "dict": {"x": 1},
    "no tuple": (),
    "object": object(),
    "class": Features,
    "function": len,
    "whole of NumPy": np.int64(3),
    "number of NumPy": np.float64(0.5),
    "array": np.array([1, 2]),
    "NA": pd.NA,
    "decimal": decimal.Decimal("NaN"),
    "frame": pd.DataFrame({"a": [1]}),
}


def rows() -> pd.DataFrame:
    at = range(N)
    return pd.DataFrame(
        {
            "id": [f"r{i}" for i in at],
            "text": [f"number {i}, good or bad" for i in at],
            "stars": [1.0 + i % 5 for i in at],
            "price": [float(i % 7) for i in at],
            "size": ["SML"[i % 3] for i in at],
            "at": pd.date_range("2024-01-01", periods=N, tz="UTC"),
            "y": [i % 7 > 3 for i in at],
        }
    )


def predict(features: Any = None, trainer: Any = None) -> Any:
    steps = [("f", features or Features()), ("m", trainer or LogisticRegression())]
    return Pipeline(steps, id="id", text="text").fit(rows(), target="y").predict(rows())


def enrich(enricher: Any) -> Any:
    pipeline = Pipeline([("e", enricher)], id="id", text="text", rating="stars", time="at")
    return repr(pipeline), pipeline.enrich(rows()).to_arrow()


def read(source: Any) -> Any:
    return repr(source), as_dataset(source).to_arrow()


def unfitted() -> Pipeline:
    return Pipeline([("f", Features()), ("m", LogisticRegression())], id="id", text="text")


Work = tuple[Callable[..., Any], dict[str, Any], Callable[[Any], Any]]

REVIEWS = Frame(rows()[["size", "text", "stars", "at"]], text="text", rating="stars", time="at")
SPACE = {"m__C": [1.0]}
WORK: dict[str, Work] = {
    "LogisticRegression": (LogisticRegression, {}, lambda made: predict(trainer=made)),
    "XGBoost": (XGBoost, {"n_estimators": 2, "n_jobs": 1}, lambda made: predict(trainer=made)),
    "Features": (Features, {}, predict),
    "Language": (Language, {}, enrich),
    "Sentiment": (Sentiment, {}, enrich),
    "Aspects": (Aspects, {"aspects": {"number": ["number"]}}, enrich),
    "Quality": (Quality, {}, enrich),
    "ReviewHistory": (ReviewHistory, {"reviews": REVIEWS, "by": "size"}, enrich),
    "Files": (Files, {"path": "r.csv"}, read),
    "Frame": (Frame, {"frame": rows()}, read),
    "Table": (DuckTable, {"url": "duckdb:///r.db", "query": "SELECT 1"}, read),
    "LocalRegistry": (LocalRegistry, {"path": "models"}, lambda made: (repr(made), made.names())),
    "SharedRegistry": (SharedRegistry, {"url": "models"}, lambda made: (repr(made), made.names())),
    "LocalStore": (LocalStore, {"path": "values"}, lambda made: (repr(made), made.describe())),
    "SharedStore": (SharedStore, {"path": "values"}, lambda made: (repr(made), made.describe())),
    "Pipeline": (
        Pipeline,
        {"steps": unfitted().steps, "target": "y"},
        lambda made: made.fit(rows()),
    ),
    "make_reviews": (make_reviews, {"n": 2}, len),
    "make_shop": (make_shop, {"n_products": 2, "n_customers": 2, "n_views": 2}, repr),
    "load": (reviewml.load, {"folder": "nothing"}, repr),
    "tune": (
        tune,
        {"pipeline": unfitted(), "X": rows(), "space": SPACE, "target": "y", "cv": 2},
        repr,
    ),
}


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REVIEWML_STORE", "off")
    rows().to_csv("r.csv", index=False)
    with warnings.catch_warnings(action="ignore"):
        yield


def faults(work: Callable[..., Any], given: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """List what is raised from inside when one argument after the other has odd values."""
    found = []
    for name in names:
        for odd, value in ODD.items():
            try:
                work(**{**given, name: value})
            except ReviewmlError as error:
                assert len(str(error)) > 15
            except Exception as error:
                found.append(f"{name} is {odd}: {error!r:.200}")
    return found


@pytest.mark.parametrize("name", WORK)
def test_any_parameter_works_or_is_refused_in_our_words(name: str) -> None:
    make, given, use = WORK[name]
    names = inspect.signature(make).parameters
    assert faults(lambda **options: use(make(**options)), given, names) == []


METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "fit": ("fit", {"X": rows(), "target": "y", "group": None, "on_error": "keep"}),
    "predict": ("predict", {"X": rows(), "reviews": None, "on_error": "keep"}),
    "predict_proba": ("predict_proba", {"X": rows(), "reviews": None, "on_error": "keep"}),
    "enrich": ("enrich", {"X": rows(), "reviews": None, "on_error": "keep"}),
    "evaluate": (
        "evaluate",
        {
            "X": rows(),
            "y": None,
            "target": None,
            "segments": (),
            "group": None,
            "threshold": 0.5,
            "confidence": 0.95,
        },
    ),
    "backtest": (
        "backtest",
        {
            "X": rows(),
            "y": None,
            "target": None,
            "holdout": 0.25,
            "ablation": False,
            "segments": (),
            "group": None,
            "threshold": 0.5,
            "confidence": 0.95,
            "reviews": None,
        },
    ),
    "explain": ("explain", {"X": rows(), "limit": 10, "reviews": None}),
    "plan": ("plan", {"X": rows()}),
    "score": ("score", {"X": rows(), "y": rows()["y"]}),
    "on": ("on", {"backend": "local"}),
    "save": ("save", {"folder": "saved", "metrics": None, "key": None}),
}


@pytest.mark.parametrize("name", METHODS)
def test_any_argument_works_or_is_refused_in_our_words(name: str) -> None:
    fitted = unfitted().fit(rows(), target="y")
    method, given = METHODS[name]
    work = getattr(unfitted() if name == "fit" else fitted, method)
    assert faults(work, given, given) == []


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Language(languages="en"), r"languages='en'\) is one text: give a list, \['en'\]"),
        (
            Features(max_categories="9"),
            r"Features\(max_categories='9'\): expected int, and got .* str",
        ),  # type: ignore[arg-type]
        (Features(ngrams=-1), "Features: ngrams is not 0 to"),
    ],
    ids=repr,
)
def test_what_is_wrong_with_a_parameter_is_said(step: Component, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        step.check_parameters()


def test_a_choice_that_there_is_not_is_refused() -> None:
    fitted = unfitted().fit(rows(), target="y")
    with pytest.raises(ParameterError, match="on_error is one of 'keep', 'raise'"):
        fitted.predict(rows(), on_error="rais")


def test_types_for_type_checkers_alone_are_not_looked_at() -> None:
    @check_argument_types
    def work(a: Unknown, b: int = 0, *rest: int, **more: str) -> Any:  # type: ignore[name-defined] # noqa: F821
        return a, b, rest, more

    assert work("a", 1, 2, c=3) == ("a", 1, (2,), {"c": 3})  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"work\(b='b'\): expected int"):
        work("a", "b")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="missing 1 required"):
        work()


def test_each_of_a_few_choices_is_taken() -> None:
    @check_argument_types
    def read(form: Literal["text", "csv"], columns: Sequence[str] = ()) -> str:
        return form

    assert [read("text"), read("csv")] == ["text", "csv"]
    with pytest.raises(ParameterError, match=r"form='xml'\): form is one of 'text', 'csv'"):
        read("xml")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"columns='a'\) is one text: give a list, \['a'\]"):
        read("csv", columns="a")


class Others(Enricher):
    """Has no constructor."""

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch


class Loose(Others):
    """Says of its parameter what is not so, which is its own affair."""

    def __init__(self, *, unit: int = 1) -> None:
        self.unit = unit


@pytest.mark.parametrize("enricher", [Others(), Loose(unit="m")], ids=repr)  # type: ignore[arg-type]
def test_classes_of_others_are_left_alone(enricher: Enricher) -> None:
    enricher.check_parameters()


@pytest.mark.parametrize(
    ("hint", "choices"),
    [
        (Literal["a", "b"], ["a", "b"]),
        (Literal["a"] | None, ["a", None]),
        (typing.Optional[int], []),  # noqa: UP045
        (Sequence[str], []),
        (Mapping[str, int], []),
    ],
    ids=repr,
)
def test_choices(hint: Any, choices: list[Any]) -> None:
    assert list_choices(hint) == choices
