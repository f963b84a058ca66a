"""What a plan says of work that is dear, and of work that was paid for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from reviewml import Pipeline
from reviewml.enrichers import Language, Quality, ZeroShot
from reviewml.fitting.cost_plan import Plan
from reviewml.interfaces import Dataset, Enricher

pytest.importorskip("transformers")

TEXTS = [f"Review number {number} is about the price." for number in range(40)]


def planned(pipe: Pipeline, texts: list[str]) -> Plan:
    return pipe.plan(pa.table({"text": texts}))


@pytest.fixture
def pipe(tiny_model: Any, tmp_path: Any) -> Pipeline:
    about = ZeroShot(["price", "size"], model=str(tiny_model("bert")))
    steps = [("language", Language()), ("about", about)]
    return Pipeline(steps, text="text").on("local", store=tmp_path / "store")


def test_equal_texts_are_counted_once(pipe: Pipeline) -> None:
    step = planned(pipe, TEXTS * 3).steps[1]
    assert (step.rows, step.stored) == (40, 0)


def test_what_the_store_knows_is_not_planned_again(pipe: Pipeline) -> None:
    pipe.enrich(pa.table({"text": TEXTS[:30]})).to_arrow()
    step = planned(pipe, TEXTS).steps[1]
    assert (step.rows, step.stored) == (10, 30)
    pipe.enrich(pa.table({"text": TEXTS})).to_arrow()
    done = planned(pipe, TEXTS).steps[1]
    assert (done.rows, done.stored, done.seconds, done.effort) == (0, 40, 0.0, {})


def test_no_model_is_loaded_where_the_store_knows_all(
    pipe: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe.enrich(pa.table({"text": TEXTS})).to_arrow()

    def load(*_: Any) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr(ZeroShot, "_load", load)
    made = planned(
        Pipeline([*pipe.steps, ("again", Quality())], text="text", backend=pipe.backend), TEXTS
    )
    assert [step.rows for step in made.steps] == [40, 0, 40]
    assert made.sampled == 40


def test_tokens_are_those_that_the_model_will_be_given(pipe: Pipeline, tiny_model: Any) -> None:
    step = planned(pipe, TEXTS).steps[1]
    enricher = ZeroShot(["price", "size"], text="text", model=str(tiny_model("bert")))
    before = enricher.effort()["tokens"]
    enricher.transform(pa.table({"text": TEXTS}))
    assert step.effort["tokens"] == pytest.approx(enricher.effort()["tokens"] - before, rel=0.01)
    assert step.effort["forward passes"] > 0
    assert step.seconds > 0


def test_a_plan_keeps_nothing(pipe: Pipeline) -> None:
    planned(pipe, TEXTS)
    assert planned(pipe, TEXTS).steps[1].stored == 0


def test_it_is_shown(pipe: Pipeline) -> None:
    pipe.enrich(pa.table({"text": TEXTS[:30]})).to_arrow()
    assert "10 to do, 30 in the store" in str(planned(pipe, TEXTS))
    assert "tokens" in str(planned(pipe, TEXTS))


class Learner(Enricher):
    """Takes as long to learn whatever the rows, as one that asks about a sample of texts."""

    stored = True
    adds = {"known": pa.bool_()}

    def fit_rows(self, rows: Dataset) -> None:
        time.sleep(0.3)
        self.learned_ = True

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.append_column("known", batch.column("text").is_valid())


def test_learning_from_a_sample_is_not_planned_for_each_row(tmp_path: Path) -> None:
    pipe = Pipeline([("learner", Learner())], text="text").on("local", store=tmp_path / "store")
    step = planned(pipe, [str(number) for number in range(20_000)]).steps[0]
    assert 0.3 < step.seconds < 2
    assert (step.rows, step.stored) == (20_000, 0)
