"""What earlier versions wrote is read, and found, as it was."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.compatibility import write_fixtures

import reviewml
from reviewml import LocalStore, Pipeline, SharedStore, plugins
from reviewml.enrichers import EmbeddingZeroShot
from reviewml.interfaces import EnrichmentStore
from reviewml.trainers import XGBoost

WRITTEN = Path(__file__).parent / "written"

MODULE = """
import pyarrow as pa
from reviewml.interfaces import Enricher

class Shout(Enricher):
    stored = True
    adds = {"shout": pa.string()}
    calls = 0
    %s

    def enrich(self, batch):
        type(self).calls += batch.num_rows
        texts = [text and text.upper() for text in batch.column("text").to_pylist()]
        return batch.append_column("shout", pa.array(texts, pa.string()))
"""
ROWS = pa.table({"id": ["a", "b"], "text": ["good", "bad"]})

ImportSource = Callable[[str, str], Any]


@pytest.fixture
def import_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImportSource:
    """Write a module and import its `Shout`."""
    monkeypatch.syspath_prepend(tmp_path)

    def load(module: str, line: str = "") -> Any:
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(MODULE % line))
        monkeypatch.delitem(sys.modules, module, raising=False)
        return __import__(module).Shout

    return load


def enrich(cls: Any, store: EnrichmentStore) -> pa.Table:
    return Pipeline([("shout", cls())]).on("local", store=store).enrich(ROWS).to_arrow()


def test_every_fingerprint_is_what_it_was() -> None:
    pytest.importorskip("torch")
    expected = json.loads((WRITTEN / "fingerprints.json").read_text(encoding="utf-8"))
    assert write_fixtures.fingerprint_enrichers() == expected


@pytest.mark.parametrize(("name", "store"), [("local", LocalStore), ("shared", SharedStore)])
def test_a_store_answers_for_what_it_has(
    name: str, store: Any, minilm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(WRITTEN / name, tmp_path / name)
    (tmp_path / write_fixtures.MODEL).symlink_to(minilm)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(EmbeddingZeroShot, "enrich", lambda *_: pytest.fail("a model was asked"))
    step = write_fixtures.make_stored_step().on("local", store=store(name))
    assert step.enrich(write_fixtures.list_texts()).to_arrow() == pq.read_table(
        WRITTEN / f"{name}.parquet"
    )


def test_a_saved_model_predicts_what_it_did() -> None:
    reviews = pq.read_table(WRITTEN / "reviews.parquet")
    loaded = reviewml.load(WRITTEN / "model")
    probabilities = loaded.predict_proba(reviews.drop_columns("expected"))[:, 1]
    np.testing.assert_array_equal(probabilities, reviews["expected"].to_numpy())


@pytest.mark.parametrize("trainer", ["ray-xgboost", "snowflake-xgboost"])
def test_a_model_of_a_trainer_that_was_merged_into_xgboost_predicts_what_it_did(
    trainer: str, tmp_path: Path
) -> None:
    rows = pq.read_table(WRITTEN / "trainers" / "rows.parquet")
    views = rows.select(["id", "price", "layout"])
    loaded = reviewml.load(WRITTEN / "trainers" / trainer)
    assert type(loaded["model"]) is XGBoost
    assert loaded["model"].n_estimators == 5
    saved_again = reviewml.load(loaded.save(tmp_path / "again"))
    for pipeline in (loaded, saved_again):
        probabilities = pipeline.predict_proba(views)[:, 1]
        np.testing.assert_array_equal(probabilities, rows[trainer].to_numpy())


def test_a_class_that_moves_pays_nothing(import_source: ImportSource, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    notebook, package = import_source("notebook"), import_source("package")
    computed = enrich(notebook, store)
    assert enrich(package, store) == computed
    assert (notebook.calls, package.calls) == (2, 0)


def test_a_class_with_an_identity_may_also_be_renamed(
    import_source: ImportSource, tmp_path: Path
) -> None:
    store = LocalStore(tmp_path / "store")
    line = 'identity = "acme/shout"'
    old, new = import_source("old", line), import_source("new", line)
    new.__name__ = new.__qualname__ = "Louder"
    enrich(old, store)
    enrich(new, store)
    assert (old.calls, new.calls) == (2, 0)


def test_an_identity_is_not_inherited(import_source: ImportSource) -> None:
    parent = import_source("parents", 'identity = "acme/shout"')
    child = type("Whisper", (parent,), {})
    assert child().fingerprint() != parent().fingerprint()


def test_our_classes_have_an_identity_each() -> None:
    targets = [
        entry.target
        for kind in ("enrichers", "featurizers", "trainers")
        for entry in plugins.get_catalogue().entries(kind)
        if entry.package == "reviewml" and entry.missing_extra() is None
    ]
    classes = [
        getattr(__import__(module, fromlist=[name]), name)
        for module, name in (target.split(":") for target in targets)
    ]
    identities = [vars(cls).get("identity") for cls in classes]
    assert None not in identities
    assert len(set(identities)) == len(classes)
