"""A saved model of which one value was changed, and sealed anew, is refused or answers."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.damage import SavedModel, catalogue_with_teacher, make_pipelines, make_rows

import reviewml
from reviewml import Pipeline
from reviewml.enrichers import Quality, Sentiment
from reviewml.errors import DamagedModel, RegistryError
from reviewml.forms import (
    Anything,
    Array,
    ByName,
    Choice,
    Each,
    Fields,
    Flag,
    Form,
    Maybe,
    Pair,
    Real,
    Text,
    Whole,
    WrongForm,
)
from reviewml.interfaces import Dataset, Enricher
from reviewml.parameter_types import is_of_type
from reviewml.saving import manifest
from reviewml.saving.components import describe
from reviewml.testing.state import assert_state_has_form

CHANGES = 40
"""Of each model; ``python -m tests.damage`` tries more."""


@pytest.fixture(scope="module", autouse=True)
def teacher() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        filled = catalogue_with_teacher()
        patch.setattr("reviewml.plugins.catalogue.get_catalogue", lambda: filled)
        yield


@pytest.fixture(scope="module")
def pipelines(teacher: None) -> dict[str, Any]:
    return make_pipelines(make_rows())


@pytest.fixture(scope="module")
def saved(pipelines: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {
        name: SavedModel(*made, tmp_path_factory.mktemp(name)) for name, made in pipelines.items()
    }


@pytest.mark.parametrize("name", ["trees", "linear", "history", "cascade"])
def test_a_changed_value_is_refused_or_answers(name: str, saved: dict[str, Any]) -> None:
    model, rng = saved[name], random.Random(11)
    # State is where most can go wrong, and documents have many more values.
    of_state = [change for change in model.changes if "state" in change[0] or "safe" in change[0]]
    chosen = rng.sample(of_state, CHANGES // 2) + rng.sample(model.changes, CHANGES // 2)
    outcomes = {what: model.outcome(what, change) for what, change in chosen}
    assert {w: said for w, said in outcomes.items() if said not in ("refused", "valid")} == {}
    assert set(outcomes.values()) == {"refused", "valid"}


def test_all_that_built_in_components_learn_has_a_form(pipelines: dict[str, Any]) -> None:
    learned = [step for pipe, _, _ in pipelines.values() for _, step in pipe.steps_ if step.state]
    assert {"Sentiment", "Quality", "Features", "ReviewHistory", "Cascade"} <= {
        type(step).__name__ for step in learned
    }
    for step in learned:
        assert step.state_form is not None
        step.check_state(step.state)
        known = {*step.state_form.fields, *step.state_form.optional}
        assert step.state.keys() <= known


def _changed(saved: SavedModel, file: str, change: Any) -> Path:
    [path] = saved.copy.glob(file)
    described = json.loads(path.read_text(encoding="utf-8"))
    changed = change(described)
    described = described if changed != [] else changed
    path.write_text(json.dumps(described), encoding="utf-8")
    (saved.copy / "manifest.json").unlink()
    manifest.seal(saved.copy)
    return saved.copy


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("steps/*quality/state.json", lambda d: d.pop("texts_"), "Quality.texts_ is missing"),
        ("steps/*quality/state.json", lambda d: d.update(texts_=1), "a word in more texts than"),
        (
            "steps/*sentiment/state.json",
            lambda d: d["polarity_"].update(bias=[0, 0, 0]),
            "Sentiment.polarity_.bias is a value of type list, not an array",
        ),
        (
            "steps/*features/state.json",
            lambda d: d["columns_"][0].update(kind="colour"),
            r"Features.columns_\[0\].kind is none of number, category",
        ),
        ("pipeline.json", lambda d: d["steps"][1]["parameters"].update(min_rated="x"), "min_rated"),
        (
            "report.json",
            lambda d: d.update(warnings="one"),
            "report.*warnings is a value of type str",
        ),
        ("report.json", lambda d: d["rows"].update(trained=-1), "rows.trained is not 0 to"),
        ("report.json", lambda d: d.update(more=1), "more is not known"),
        ("report.json", lambda d: [], "it is a value of type list"),
        ("report.json", lambda d: d["features"].update(left_out=["x"]), "features.left_out"),
        ("report.json", lambda d: d["steps"].update(quality={}), "steps.quality"),
    ],
)
def test_the_step_and_the_field_are_named(
    file: str, change: Any, said: str, pipelines: dict[str, Any], tmp_path: Path
) -> None:
    model = SavedModel(*pipelines["trees"], tmp_path)
    with pytest.raises(RegistryError, match=said):
        reviewml.load(_changed(model, file, change))


def test_state_that_load_would_refuse_is_not_saved(
    pipelines: dict[str, Any], tmp_path: Path
) -> None:
    pipe = Pipeline([("quality", Quality())], text="text").fit(make_rows())
    pipe.steps_[0][1].histogram_ = np.zeros(3, np.int64)
    with pytest.raises(RegistryError, match=r"Quality\.histogram_ has the shape \(3,\)"):
        pipe.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_parameters_that_load_would_refuse_are_not_saved() -> None:
    with pytest.raises(RegistryError, match=r"Sentiment\(min_rated=...\) is int, not .* str"):
        describe(Sentiment(min_rated="30"), {})


ONE = np.ones(1)


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        (Whole(0, 5), [0, 5, np.int64(3)], [-1, 6, True, 1.0, "1", None]),
        (Real(0, 1), [0, 0.5, np.float32(1)], [2, float("nan"), float("inf"), True, 10**400]),
        (Real(), [10**300, -1.5], [10**400, float("inf")]),
        (Flag(), [True, np.bool_(False)], [0, None, "true"]),
        (Text(), ["", "é"], [None, 1, b"", "\ud800"]),
        (Text(("a", "b")), ["a"], ["c", ["a"]]),
        (Maybe(Whole()), [None, 1], ["", False]),
        (Each(Whole(), length=2), [[1, 2], (1, 2)], [[1], [1, 2, 3], "12", {1: 1, 2: 2}]),
        (Each(Text(), distinct=True), [[], ["a", "b"]], [["a", "a"]]),
        (Pair(Text(), Flag()), [("a", True)], [["a", True], ("a",), ("a", 1)]),
        (ByName(Whole()), [{}, {"a": 1}], [{1: 1}, {"a": "b"}, []]),
        (
            Fields({"a": Whole()}, optional={"b": Text()}),
            [{"a": 1}, {"a": 1, "b": ""}],
            [{}, {"b": ""}, {"a": 1, "c": 1}, {"a": 1, 2: 2}, None],
        ),
        (
            Choice("kind", {"x": Fields({"kind": Text(), "n": Whole()})}),
            [{"kind": "x", "n": 1}],
            [{"kind": "y", "n": 1}, {"n": 1}, {"kind": "x"}, {"kind": ["x"], "n": 1}],
        ),
        (Array("float64", ("k",)), [ONE, ONE[:0]], [ONE[None], [1.0], ONE * np.nan, ONE > 0]),
        (Array("int64", ("k",), ascending=True), [np.arange(3)], [np.zeros(2, np.int64)]),
        (
            Fields({"a": Array("float64", ("k",)), "b": Array("float64", ("k", 2))}),
            [{"a": ONE, "b": np.ones((1, 2))}],
            [{"a": ONE, "b": np.ones((2, 2))}, {"a": ONE, "b": np.ones((1, 3))}],
        ),
    ],
)
def test_forms(form: Form, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        form.check(value, "it")
    for value in bad:
        with pytest.raises(WrongForm, match=r"it|a name"):
            form.check(value, "it")


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (3, int, True),
        (3.0, int, True),
        (3.5, int, False),
        (float("inf"), int, False),
        (3, float, True),
        ("3", float | None, False),
        (None, float | None, True),
        (["a"], tuple[str, ...], True),
        ([1, 2], tuple[float, float], True),
        ([1], tuple[float, float], False),
        ({"a": 1}, dict[str, float], True),
        ({"a": "b"}, dict[str, float], False),
        ("text", Any, True),
    ],
)
def test_parameters_are_compared_with_annotations(value: Any, hint: Any, expected: bool) -> None:
    assert is_of_type(value, hint) is expected


def test_damaged_models_are_told_as_such(pipelines: dict[str, Any], tmp_path: Path) -> None:
    model = SavedModel(*pipelines["linear"], tmp_path)
    with pytest.raises(
        DamagedModel, match=r"pipeline.json is not what .* roles.colour is not known"
    ):
        reviewml.load(_changed(model, "pipeline.json", lambda d: d["roles"].update(colour="red")))


class Counted(Enricher):
    """Learns how many texts there are."""

    adds = {"count": pa.int64()}

    def fit_rows(self, rows: Dataset) -> None:
        self.counts_ = np.array([rows.count()])

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.append_column("count", pa.array([1] * len(batch)))


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (None, "declare Counted.state_form"),
        (Fields({"counts_": Anything()}), "takes a state with counts_ of another type"),
        (ByName(Anything()), "takes a state with an unknown name"),
    ],
)
def test_the_contract_asks_for_a_form_that_looks_at_each_value(
    form: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted().fit(pa.table({"text": ["a", "b"]}))
    monkeypatch.setattr(Counted, "state_form", form)
    with pytest.raises(AssertionError, match=said):
        assert_state_has_form(counted)
    monkeypatch.setattr(Counted, "state_form", Fields({"counts_": Array("int64", (1,))}))
    assert_state_has_form(counted)


def test_a_saved_step_does_not_say_where_data_is(pipelines: dict[str, Any], tmp_path: Path) -> None:
    pipeline, _, reviews = pipelines["history"]
    folder = pipeline.save(tmp_path / "model")
    reviews.frame.to_pandas().to_csv(tmp_path / "private.csv")
    path = folder / "pipeline.json"
    described = json.loads(path.read_bytes())
    for place in (str(tmp_path / "private.csv"), "http://127.0.0.1/", {"a": 1}):
        described["steps"][0]["parameters"]["reviews"] = place
        path.write_text(json.dumps(described), encoding="utf-8")
        (folder / "manifest.json").unlink()
        manifest.seal(folder)
        with pytest.raises(DamagedModel, match="'reviews' of 'review-history' is never saved"):
            reviewml.load(folder)
