"""A faster way to run a model works once its agreement with the exact one was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("openvino")
pytest.importorskip("transformers")

import reviewml
from reviewml import Pipeline
from reviewml.data.frames import as_dataset
from reviewml.enrichers import ZeroShot
from reviewml.enrichers.transformers.classifier import sample_texts
from reviewml.errors import NotFitted, ParameterError
from reviewml.interfaces import Enricher
from reviewml.rows.blanks import null_blanks
from reviewml.testing.rows import make_example_rows

pytestmark = pytest.mark.usefixtures("keep_models")

ROWS = make_example_rows(40)
MIXED = ROWS.take(np.random.default_rng(0).permutation(len(ROWS)))


@pytest.fixture
def zero_shot(tiny_model: Any) -> ZeroShot:
    return ZeroShot(
        ["quality", "price"],
        text="text",
        model=str(tiny_model("bert")),
        backend="openvino",
        precision="int8",
    )


@pytest.mark.parametrize("labels_column", [None, "labels"])
def test_unmeasured_it_says_what_to_do(zero_shot: ZeroShot, labels_column: str | None) -> None:
    zero_shot.set_params(labels_column=labels_column)
    rows = pa.table({"text": ["good"], "labels": [["price"]]})
    with pytest.raises(NotFitted, match=r"'int8', and how far .* call fit\(\) on some rows"):
        zero_shot.transform(rows)
    assert "not measured yet" in zero_shot.summary()


def test_what_was_measured_is_told_and_saved(zero_shot: ZeroShot, tmp_path: Path) -> None:
    pipe = Pipeline([("about", zero_shot)], text="text").fit(ROWS)
    found = dict(pipe.steps_)["about"]
    texts = len(set(null_blanks(ROWS.column("text").combine_chunks()).to_pylist()) - {None})
    assert found.agreement_["texts"] == texts
    assert 0 < found.agreement_["largest_difference"] < 0.2
    assert found.agreement_["summary"] in found.summary()
    pipe.save(tmp_path / "saved")
    assert dict(reviewml.load(tmp_path / "saved").steps_)["about"].state == found.state


def test_another_precision_is_measured_anew(zero_shot: ZeroShot) -> None:
    zero_shot.set_params(precision="float32").fit(ROWS)
    zero_shot.transform(ROWS)
    with pytest.raises(NotFitted, match="how far that is from the exact answers was not measured"):
        zero_shot.set_params(precision="int8").transform(ROWS)


def test_what_is_measured_does_not_depend_on_the_order_of_rows(zero_shot: ZeroShot) -> None:
    measured = [zero_shot.fit(rows).state for rows in (ROWS, MIXED)]
    assert measured[0] == measured[1]


def test_what_was_measured_does_not_make_other_values(zero_shot: ZeroShot) -> None:
    before = zero_shot.fingerprint()
    assert zero_shot.fit(ROWS).fingerprint() == before
    assert zero_shot.set_params(precision="float32").fingerprint() != before


def test_the_texts_compared_are_few_different_and_those_of_any_order() -> None:
    found = [sample_texts(as_dataset(rows), 7) for rows in (ROWS, MIXED)]
    assert len(set(found[0])) == 7
    assert found[0] == found[1]
    assert None not in sample_texts(as_dataset(ROWS), 10_000)


def test_labels_that_often_differ_are_warned_of(
    zero_shot: ZeroShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reviewml.enrichers.transformers.classifier.ENOUGH", 1.01)
    with pytest.warns(UserWarning, match=r"int8'.* labels as in float32 .* Leave backend='torch'"):
        zero_shot.fit(ROWS)


def test_rows_without_texts_cannot_be_compared_on(zero_shot: ZeroShot) -> None:
    with pytest.raises(ParameterError, match="none of these rows has a text"):
        zero_shot.fit(pa.table({"text": pa.array([None, None], pa.string())}))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backend": "torch", "precision": "int8"}, "'openvino' has 'float32', 'int8'"),
        ({"backend": "openvino", "precision": "bfloat16"}, "no precision='bfloat16'"),
        ({"backend": "openvino", "device": "cuda:0"}, "runs on the CPU alone"),
        ({"backend": "onnx"}, "backend='onnx' is not known"),
    ],
)
def test_other_combinations_are_refused(
    zero_shot: Enricher, settings: dict[str, str], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        zero_shot.set_params(**settings).fit(ROWS).transform(ROWS)
