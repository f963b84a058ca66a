"""A saved pipeline comes back whole, and nothing else ever comes back."""

from __future__ import annotations

import datetime
import decimal
import json
import operator
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

import reviewml
from reviewml import Pipeline, hookimpl, plugins, saving
from reviewml.errors import (
    DamagedModel,
    ModelNotFound,
    NotFitted,
    RegistryError,
    UnknownName,
)
from reviewml.featurizers import Features
from reviewml.interfaces import Dataset, Enricher
from reviewml.plugins import builtin
from reviewml.rows.hashing import digest
from reviewml.saving import manifest
from reviewml.saving.json_codec import NotPlain, decode, encode
from reviewml.storage import atomic_files
from reviewml.testing.rows import make_example_rows
from reviewml.trainers import LogisticRegression, XGBoost


class Length(Enricher):
    """Number of letters, less the average of the rows it was fitted on."""

    adds = {"length": pa.float64()}

    def __init__(self, *, unit: float = 1.0, api_key: str | None = None) -> None:
        self.unit = unit
        self.api_key = api_key

    def fit_rows(self, rows: Dataset) -> None:
        lengths = pc.utf8_length(rows.to_arrow().column("text")).drop_null().to_numpy()
        self.mean_ = np.array(lengths.mean())
        self.seen_ = {"range": (int(lengths.min()), int(lengths.max())), "odd": [float("inf")]}

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        lengths = pc.utf8_length(batch.column("text")).cast(pa.float64())
        return batch.append_column(
            "length", pc.divide(pc.subtract(lengths, float(self.mean_)), self.unit)
        )


class Several(Enricher):
    """Several enrichers as one."""

    adds = {"length": pa.float64()}

    def __init__(self, *, enrichers: Any = (), since: datetime.date | None = None) -> None:
        self.enrichers = enrichers
        self.since = since

    def fit_rows(self, rows: Dataset) -> None:
        self.fitted_ = [
            (name, type(step)(unit=step.unit).fit(rows)) for name, step in self.enrichers
        ]

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        for _, step in self.fitted_:
            batch = step.enrich(batch)
        return batch


class Unregistered(Length):
    """Has no name in the catalogue."""


class Plugin:
    """Registers the enrichers above, as a plugin would."""

    @hookimpl
    def register_enrichers(self, register: Any) -> None:
        register("length", f"{__name__}:Length")
        register("several", f"{__name__}:Several")


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Install the plugin; undoing the patch removes it."""
    filled = plugins.Catalogue()
    filled.add(builtin, "reviewml")
    filled.add(Plugin(), "reviewml-lengths")
    monkeypatch.setattr("reviewml.plugins.catalogue.get_catalogue", lambda: filled)
    yield monkeypatch


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    return make_example_rows(200)


def pipeline(*enrichers: tuple[str, Enricher], trainer: Any = None) -> Pipeline:
    model = trainer or XGBoost(n_estimators=15, max_depth=2)
    steps = [*enrichers, ("features", Features()), ("model", model)]
    return Pipeline(steps, id="id", text="text", time="time")


@pytest.fixture
def fitted(plugin: None, rows: pa.Table) -> Pipeline:
    several = Several(enrichers=[("length", Length(unit=3.0))], since=datetime.date(2026, 1, 2))
    return pipeline(("several", several)).fit(rows, target="bought")


@pytest.fixture(scope="module")
def plain_folder(rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved pipeline of built-in steps, not to be changed."""
    folder = tmp_path_factory.mktemp("plain") / "model"
    return pipeline(trainer=LogisticRegression()).fit(rows, target="bought").save(folder)


@pytest.fixture
def folder(plain_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(plain_folder, tmp_path / "copy")


# -- there and back -----------------------------------------------------------------------------


def test_comes_back_as_it_was(fitted: Pipeline, rows: pa.Table, tmp_path: Path) -> None:
    loaded = reviewml.load(fitted.save(tmp_path / "model"))
    new = make_example_rows(80, random_state=1)
    np.testing.assert_array_equal(loaded.predict_proba(new), fitted.predict_proba(new))
    np.testing.assert_array_equal(loaded.predict(new), fitted.predict(new))
    assert loaded.features_ == fitted.features_
    assert loaded.report_ == fitted.report_
    assert loaded.roles_ == fitted.roles_
    assert loaded.schema_ == fitted.schema_
    assert loaded.classes_.tolist() == fitted.classes_.tolist()
    assert loaded.classes_.dtype == fitted.classes_.dtype
    assert loaded.task_ == fitted.task_
    assert repr(loaded) == repr(fitted)
    assert [step.state for _, step in loaded.steps] == [{}, {}, {}]


def test_explains_and_evaluates_after_loading(
    fitted: Pipeline, rows: pa.Table, tmp_path: Path
) -> None:
    loaded = reviewml.load(fitted.save(tmp_path / "model"))
    assert str(loaded.explain(rows)) == str(fitted.explain(rows))
    assert loaded.evaluate(rows).metrics["auc"] == fitted.evaluate(rows).metrics["auc"]


def test_nested_components_come_back_fitted(fitted: Pipeline, tmp_path: Path) -> None:
    before = fitted.steps_[0][1]
    after = reviewml.load(fitted.save(tmp_path / "model")).steps_[0][1]
    assert isinstance(after, Several)
    assert after.since == datetime.date(2026, 1, 2)
    assert after.enrichers[0][1].get_params() == {"unit": 3.0, "api_key": None}
    [(name, child)], [(_, original)] = after.fitted_, before.fitted_
    assert (name, child.seen_) == ("length", original.seen_)
    assert digest(child.state) == digest(original.state)


def test_saved_twice_it_is_the_same_to_the_byte(fitted: Pipeline, tmp_path: Path) -> None:
    one, other = fitted.save(tmp_path / "one"), reviewml.load(tmp_path / "one").save(tmp_path / "2")
    for name in _names(one):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_can_be_fitted_again_after_loading(
    fitted: Pipeline, rows: pa.Table, tmp_path: Path
) -> None:
    loaded = reviewml.load(fitted.save(tmp_path / "model"))
    again = loaded.fit(rows, target="bought")
    np.testing.assert_array_equal(again.predict_proba(rows), fitted.predict_proba(rows))


def test_a_pipeline_that_only_enriches(plugin: None, rows: pa.Table, tmp_path: Path) -> None:
    fitted = Pipeline([("length", Length())], text="text").fit(rows)
    loaded = reviewml.load(fitted.save(tmp_path / "model"))
    assert loaded.enrich(rows).to_arrow().equals(fitted.enrich(rows).to_arrow())
    assert not hasattr(loaded, "model_")
    assert "adds columns" in (tmp_path / "model" / "card.md").read_text(encoding="utf-8")


CLASSES: dict[str, list[Any]] = {
    "bool": [False, True],
    "int": [3, 5],
    "float": [0.5, 1.0, 2.0],
    "text": ["ja", "nein", "日本"],
}


@pytest.mark.parametrize("trainer", [LogisticRegression(), XGBoost(n_estimators=5)], ids=repr)
@pytest.mark.parametrize("kind", CLASSES)
def test_classes_keep_their_type(kind: str, trainer: Any, tmp_path: Path) -> None:
    values = [CLASSES[kind][i % len(CLASSES[kind])] for i in range(90)]
    rows = pa.table({"x": [float(i % 7) for i in range(90)], "y": values})
    trainer.set_params(task="binary" if len(CLASSES[kind]) == 2 else "multiclass")
    fitted = Pipeline([("features", Features()), ("model", trainer)]).fit(rows, target="y")
    loaded = reviewml.load(fitted.save(tmp_path / "model"))
    assert loaded.model_.classes == fitted.model_.classes
    assert [type(c) for c in loaded.model_.classes] == [type(c) for c in fitted.model_.classes]
    assert loaded.predict(rows).tolist() == fitted.predict(rows).tolist()


def test_classes_that_json_cannot_hold_are_refused(tmp_path: Path) -> None:
    days = [datetime.date(2026, 1, 1 + i % 2) for i in range(40)]
    rows = pa.table({"x": [float(i) for i in range(40)], "y": days})
    steps = [("features", Features()), ("model", LogisticRegression())]
    fitted = Pipeline(steps).fit(rows, target="y")
    with pytest.raises(RegistryError, match="Convert the target before fitting"):
        fitted.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


# -- plain data ---------------------------------------------------------------------------------

ARRAYS = arrays_of.arrays(
    st.sampled_from(["f8", "f4", "f2", "i8", "u1", "?", "U4", ">f8"]),
    arrays_of.array_shapes(min_dims=0, min_side=0, max_dims=3, max_side=4),
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(datetime.UTC))
    | st.decimals(allow_nan=False)
    | ARRAYS
)
KEYS = st.text() | st.just("$tuple") | st.integers()
PLAIN = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    """Equal in value and in type, all the way down; NaN equals NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        native = one.dtype.newbyteorder("=")
        return native == other.dtype and bool(
            np.array_equal(one, other, equal_nan=native.kind == "f")
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    if isinstance(one, float):
        return one.hex() == other.hex()
    return bool(one == other)


@given(PLAIN)
@settings(max_examples=300, deadline=None)
def test_plain_data_comes_back_exactly(value: Any) -> None:
    arrays: dict[str, Any] = {}
    text = json.dumps(encode(value, arrays), allow_nan=False)
    assert same(value, decode(json.loads(text), arrays))


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}_", fullmatch=True), PLAIN, max_size=4))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_state_survives_the_disk(plugin: None, tmp_path: Path, state: dict[str, Any]) -> None:
    step = Length().with_state(state)
    parts = saving.Parts({}, [("step", step)], None, reviewml.rows.roles.Roles(), {}, {})
    shutil.rmtree(tmp_path / "model", ignore_errors=True)
    [(_, loaded)] = saving.load(saving.save(parts, tmp_path / "model")).steps
    assert same(state, loaded.state)


def test_numpy_scalars_become_plain_numbers() -> None:
    given = {
        "a": np.float32(0.1),
        "b": np.int64(3),
        "c": np.bool_(True),
        "d": decimal.Decimal("1.10"),
    }
    found = decode(encode(given, {}), {})
    assert found == {"a": float(np.float32(0.1)), "b": 3, "c": True, "d": decimal.Decimal("1.10")}
    assert type(found["c"]) is bool


def test_moments_in_nanoseconds_are_not_cut() -> None:
    exact = pd.Timestamp("2026-01-01T00:00:00.000001")
    assert decode(encode({"at": exact}, {}), {}) == {"at": exact}
    for moment in (exact + pd.Timedelta(1, "ns"), pd.NaT):
        with pytest.raises(NotPlain, match=r"'at' is a (Timestamp|NaTType)"):
            encode({"at": moment}, {})


@pytest.mark.parametrize("value", [{1, 2}, object(), np.array([None]), np.array([1j])])
def test_what_is_not_plain_is_named(value: Any) -> None:
    with pytest.raises(NotPlain, match=r"'seen_\.0' is a|'seen_\.0 \("):
        encode({"seen_": [value]}, {})


# -- damage -------------------------------------------------------------------------------------


def _names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def _offsets(size: int) -> list[int]:
    every = {*range(0, size, max(1, size // 25)), *range(min(size, 25)), size - 1}
    return sorted(offset for offset in every if offset < size)


@pytest.mark.parametrize("mask", [0x01, 0x20, 0xFF])
def test_any_changed_byte_is_noticed(folder: Path, mask: int) -> None:
    names = _names(folder)
    assert len(names) >= 9
    for name in names:
        raw = (folder / name).read_bytes()
        for offset in _offsets(len(raw)):
            changed = bytearray(raw)
            changed[offset] ^= mask
            (folder / name).write_bytes(changed)
            with pytest.raises(DamagedModel, match=name.replace(".", r"\.")):
                reviewml.load(folder)
        (folder / name).write_bytes(raw)
    assert reviewml.load(folder).task_ == "binary"


def test_every_byte_of_the_manifest_counts(folder: Path) -> None:
    raw = (folder / "manifest.json").read_bytes()
    for offset in range(len(raw)):
        (folder / "manifest.json").write_bytes(
            raw[:offset] + bytes([raw[offset] ^ 1]) + raw[offset + 1 :]
        )
        with pytest.raises(DamagedModel, match=r"manifest\.json changed"):
            manifest.check(folder)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_random_byte_at_a_random_place(plain_folder: Path, data: st.DataObject) -> None:
    names = _names(plain_folder)
    path = plain_folder / data.draw(st.sampled_from(names))
    raw = path.read_bytes()
    offset = data.draw(st.integers(0, len(raw) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != raw[offset]))
    try:
        path.write_bytes(raw[:offset] + bytes([byte]) + raw[offset + 1 :])
        with pytest.raises(DamagedModel, match=path.name):
            reviewml.load(plain_folder)
    finally:
        path.write_bytes(raw)


def test_files_added_missing_cut_or_linked_are_noticed(folder: Path, tmp_path: Path) -> None:
    card = folder / "card.md"
    text = card.read_bytes()
    changes: dict[str, Callable[[], Any]] = {
        "notes.txt added": lambda: (folder / "notes.txt").write_text("hello"),
        "model/evil.py added": lambda: (folder / "model" / "evil.py").write_text("1 / 0"),
        "card.md missing": card.unlink,
        "card.md changed": lambda: card.write_bytes(text[:-1]),
    }
    for message, change in changes.items():
        change()
        with pytest.raises(DamagedModel, match=message):
            reviewml.load(folder)
        for added in ("notes.txt", "model/evil.py"):
            (folder / added).unlink(missing_ok=True)
        card.write_bytes(text)
    (tmp_path / "elsewhere.md").write_bytes(text)
    card.unlink()
    card.symlink_to(tmp_path / "elsewhere.md")
    with pytest.raises(DamagedModel, match=r"card\.md changed"):
        reviewml.load(folder)


def test_what_is_no_model_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="does not exist"):
        reviewml.load(tmp_path / "nothing")
    with pytest.raises(ModelNotFound, match=r"no manifest\.json"):
        reviewml.load(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelNotFound, match="not a saved model"):
        reviewml.load(tmp_path / "file")
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(DamagedModel, match=r"manifest\.json changed"):
        reviewml.load(tmp_path)


# -- what a stranger may have written -----------------------------------------------------------


def _rewritten(folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Change pipeline.json and seal it anew, as somebody who knows the format could."""
    path = folder / "pipeline.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    change(described)
    path.write_text(json.dumps(described), encoding="utf-8")
    (folder / "manifest.json").unlink()
    manifest.seal(folder)
    return folder


@pytest.mark.parametrize("name", ["os:system", "../../evil", "reviewml.cli:main", "features.py"])
def test_components_are_found_by_name_alone(folder: Path, name: str) -> None:
    _rewritten(folder, lambda described: described["steps"][0].update(name=name))
    with pytest.raises(UnknownName, match="no featurizers named"):
        reviewml.load(folder)


def test_only_steps_can_be_steps(folder: Path) -> None:
    _rewritten(folder, lambda d: d["steps"][0].update(kind="commands", name="demo"))
    with pytest.raises(DamagedModel, match="no kind of step"):
        reviewml.load(folder)


@pytest.mark.parametrize("name", ["__class__", "fit", "_model_", "a.b_"])
def test_state_is_only_what_was_learned(folder: Path, name: str) -> None:
    [path] = folder.glob("steps/*-features/state.json")
    path.write_text(json.dumps({name: 1}), encoding="utf-8")
    _rewritten(folder, lambda described: None)
    with pytest.raises(DamagedModel, match="is no state"):
        reviewml.load(folder)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        (
            "pipeline.json",
            lambda d: d["parameters"].update(backend="nowhere"),
            "parameters.backend is not known",
        ),
        (
            "pipeline.json",
            lambda d: d["parameters"].update(steps=[]),
            "parameters.steps is not known",
        ),
        ("pipeline.json", lambda d: d["roles"].update(colour="red"), "roles.colour is not known"),
        ("pipeline.json", lambda d: d.update(steps=7), "steps is a value of type int, not a list"),
        ("pipeline.json", lambda d: d["steps"][0].pop("step"), r"steps\[0\].step is missing"),
        ("pipeline.json", lambda d: d["steps"][0].pop("kind"), r"steps\[0\].kind is missing"),
        ("pipeline.json", lambda d: d["model"].pop("name"), "model.name is missing"),
        *[
            ("pipeline.json", operator.methodcaller("pop", key), f"{key} is missing")
            for key in ("parameters", "steps", "model", "roles", "columns")
        ],
        ("model", lambda d: d.pop("classes"), "a model is described by"),
        ("state.json", lambda d: d.update(columns_={"$array": "none"}), "KeyError: 'none'"),
        ("report.json", lambda d: d.update(day={"$date": "soon"}), "ValueError: Invalid iso"),
    ],
)
def test_what_save_never_writes_is_named(
    folder: Path, file: str, change: Callable[[Any], Any], said: str
) -> None:
    [path] = folder.rglob("model.json" if file == "model" else file)
    described = json.loads(path.read_text(encoding="utf-8"))
    change(described)
    path.write_text(json.dumps(described), encoding="utf-8")
    _rewritten(folder, lambda described: None)
    with pytest.raises(DamagedModel, match=f"{file}.* is not what .* writes: .*{said}"):
        reviewml.load(folder)


def test_arrays_that_are_none_are_named(folder: Path) -> None:
    (folder / "model" / "weights.safetensors").write_bytes(b"no arrays")
    _rewritten(folder, lambda described: None)
    with pytest.raises(
        DamagedModel, match=r"weights.safetensors is not what was saved: its header"
    ):
        reviewml.load(folder)


def test_step_names_are_never_paths(plugin: None, rows: pa.Table, tmp_path: Path) -> None:
    fitted = Pipeline([("../../out", Length()), ("длина", Length())][:1], text="text").fit(rows)
    loaded = reviewml.load(fitted.save(tmp_path / "inside" / "model"))
    assert loaded.steps_[0][0] == "../../out"
    assert [p.name for p in tmp_path.iterdir()] == ["inside"]


def test_a_newer_format_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr(manifest, "FORMAT", 7)
        _rewritten(folder, lambda described: None)
    with pytest.raises(RegistryError, match=r"format 7, .* formats up to 1: pip install --upgrade"):
        reviewml.load(folder)


# -- plugins and versions -----------------------------------------------------------------------


def test_a_missing_plugin_is_named(
    fitted: Pipeline, plugin: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = fitted.save(tmp_path / "model")
    plugin.undo()
    with pytest.raises(
        UnknownName, match="came with reviewml-lengths: pip install reviewml-lengths"
    ):
        reviewml.load(folder)


def test_a_component_that_means_something_else_now_is_refused(
    fitted: Pipeline, plugin: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = fitted.save(tmp_path / "model")
    plugin.setattr(Several, "version", 2)
    with pytest.raises(RegistryError, match="saved as version 1; the installed one is version 2"):
        reviewml.load(folder)


def test_a_parameter_that_is_gone_is_named(folder: Path) -> None:
    _rewritten(folder, lambda d: d["steps"][0]["parameters"].update(colour="red"))
    with pytest.raises(
        RegistryError, match=r"other parameters now .*'colour'.* pip install reviewml=="
    ):
        reviewml.load(folder)


@pytest.mark.parametrize("package", ["xgboost", "reviewml"])
def test_another_major_version_warns(folder: Path, package: str) -> None:
    path = folder / "versions.json"
    saved = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**saved, package: "99.1", "numpy": "0.1"}), encoding="utf-8")
    _rewritten(folder, lambda described: None)
    with pytest.warns(UserWarning, match=f"saved with {package} 99.1") as caught:
        reviewml.load(folder)
    assert len(caught) == 1


def test_what_cannot_be_saved_is_named(plugin: None, rows: pa.Table, tmp_path: Path) -> None:
    def refused(step: Enricher, match: str) -> None:
        with pytest.raises((RegistryError, UnknownName), match=match):
            Pipeline([("mine", step)], text="text").fit(rows).save(tmp_path / "model")
        assert list(tmp_path.iterdir()) == []

    refused(Unregistered(), "Unregistered is not registered")
    refused(Length(api_key="hunter2"), "api_key of 'length' looks like a secret")
    options: Any = {"Password": "x"}
    refused(Length(api_key=options), r"api_key\['Password'\] of 'length' looks like a secret")
    refused(Several(enrichers=[("a", Length(api_key="x"))]), "looks like a secret")
    url: Any = "s3://me:hunter2@bucket"
    refused(Several(enrichers=[("a", Length())], since=url), r"since of .* looks like a secret")
    strange: Any = object()
    nested = Several(enrichers=[("a", Length())], since=strange)
    refused(nested, r"step 'mine': 'parameters\.since' is a object")
    with pytest.raises(NotFitted):
        Pipeline([("mine", Length())]).save(tmp_path / "model")


# -- writing ------------------------------------------------------------------------------------


def test_nothing_is_overwritten(fitted: Pipeline, tmp_path: Path) -> None:
    folder = fitted.save(tmp_path / "model")
    before = {name: (folder / name).read_bytes() for name in _names(folder)}
    for taken in (folder, folder / "card.md"):
        with pytest.raises(RegistryError, match="already exists"):
            fitted.save(taken)
    assert {name: (folder / name).read_bytes() for name in _names(folder)} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    (tmp_path / "empty").mkdir()
    assert reviewml.load(fitted.save(tmp_path / "empty")).task_ == "binary"


def test_a_crash_leaves_nothing_under_the_name(
    fitted: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*arguments: Any) -> None:
        raise OSError("no space left on device")

    steps = ((manifest, "seal"), (atomic_files.os, "rename"), (atomic_files.os, "fsync"))
    for target, name in steps:
        with (
            monkeypatch.context() as broken,
            pytest.raises((OSError, RegistryError), match="space"),
        ):
            broken.setattr(target, name, crash)
            fitted.save(tmp_path / "model")
        assert list(tmp_path.iterdir()) == []


def test_people_can_read_it(fitted: Pipeline, tmp_path: Path) -> None:
    folder = fitted.save(tmp_path / "model", metrics={"auc": 0.875})
    described = json.loads((folder / "pipeline.json").read_text(encoding="utf-8"))
    assert [(s["step"], s["kind"], s["name"], s["package"]) for s in described["steps"]] == [
        ("several", "enrichers", "several", "reviewml-lengths"),
        ("features", "featurizers", "features", "reviewml"),
        ("model", "trainers", "xgboost", "reviewml"),
    ]
    assert "backend" not in described["parameters"]
    features = json.loads((folder / "features.json").read_text(encoding="utf-8"))
    assert [f["name"] for f in features] == [f.name for f in fitted.features_]
    versions = json.loads((folder / "versions.json").read_text(encoding="utf-8"))
    assert {"python", "reviewml", "numpy", "pyarrow", "xgboost", "scikit-learn"} <= set(versions)
    card = (folder / "card.md").read_text(encoding="utf-8")
    for said in (
        "# Model of bought",
        "Task: binary",
        "| True | ",
        f"- rows used: {fitted.report_['rows']['used']}",
        fitted.report_["data"]["fingerprint"],
        "- auc: 0.875",
        "| length |",
        "not of the shop",
        f"- xgboost {versions['xgboost']}",
    ):
        assert said in card, said


def test_no_review_and_no_address_is_saved(
    fitted: Pipeline, rows: pa.Table, tmp_path: Path
) -> None:
    folder = fitted.save(tmp_path / "model")
    everything = b"\n".join((folder / name).read_bytes() for name in _names(folder))
    texts = [text for text in rows.column("text").to_pylist() if text and len(text) > 10]
    assert not any(text.encode() in everything for text in texts)
    assert str(tmp_path).encode() not in everything
    assert not any(name.endswith((".pkl", ".pickle", ".joblib", ".py")) for name in _names(folder))
