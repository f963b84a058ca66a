"""Enriching with a store: the same values, and nothing is computed twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from reviewml import Frame, LocalStore, Pipeline
from reviewml.backends.local.backend import LocalBackend
from reviewml.errors import EnvironmentFailure, RowErrors, StoreError
from reviewml.interfaces import Dataset, Enricher
from reviewml.operations import cached_enrich as module
from reviewml.operations.cached_enrich import CachedEnrich
from reviewml.rows.blanks import null_blanks
from reviewml.rows.roles import Roles
from reviewml.testing.rows import make_example_rows

CALLS: list[list[str | None]] = []
"""The texts of each call of `enrich`, of all enrichers below."""


class Loud(Enricher):
    """Measures a text, times a factor; fails on texts that say so."""

    stored = True
    optional = ("language",)
    adds = {"loud": pa.float64(), "shape": pa.list_(pa.float32(), 2)}

    def __init__(
        self, *, text: str | None = None, factor: float = 1.0, known: str | None = None
    ) -> None:
        self.text = text
        self.factor = factor
        self.known = known

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        texts = batch.column("text").to_pylist()
        CALLS.append(texts)
        bad = [row for row, text in enumerate(texts) if text == self.known]
        if bad and self.known is not None:
            raise RowErrors({row: ValueError("known to fail") for row in bad})
        if "poison" in texts:
            raise ValueError("cannot digest it")
        loud = [None if text is None else len(text) * self.factor for text in texts]
        shape = [None if text is None else [len(text), 0.1] for text in texts]
        batch = batch.append_column("loud", pa.array(loud, pa.float64()))
        return batch.append_column("shape", pa.array(shape, self.adds["shape"]))


class Plain(Loud):
    stored = False


class Learned(Loud):
    def fit_rows(self, rows: Dataset) -> None:
        self.rows_ = rows.count()


@pytest.fixture(autouse=True)
def forgotten_calls() -> None:
    CALLS.clear()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def enriched(store: LocalStore | None, rows: pa.Table, enricher: Enricher | None = None) -> Dataset:
    roles = Roles.of(id="id", text="text")
    dataset = LocalBackend(store=store).read(rows, roles)
    return dataset.enrich(enricher or Loud(), stage="loud")


def texts() -> list[str | None]:
    return [text for call in CALLS for text in call]


def reviews(*said: str | None) -> pa.Table:
    return pa.table({"id": range(len(said)), "text": pa.array(said, pa.string())})


def test_values_are_those_without_a_store(store: LocalStore) -> None:
    rows = make_example_rows(300)
    expected = enriched(None, rows).to_arrow()
    for _ in range(2):
        assert enriched(store, rows).to_arrow().equals(expected)


def test_the_second_run_computes_nothing(store: LocalStore) -> None:
    rows = make_example_rows(300)
    enriched(store, rows).to_arrow()
    shown = null_blanks(rows.column("text").unique()).unique().to_pylist()
    assert sorted(map(str, texts())) == sorted(map(str, shown))
    CALLS.clear()
    enriched(store, rows).to_arrow()
    assert CALLS == []


def test_a_changed_review_costs_one(store: LocalStore) -> None:
    enriched(store, reviews("a", "b", "c")).count()
    CALLS.clear()
    enriched(store, reviews("c", "new", "a")).count()
    assert CALLS == [["new"]]


def test_a_changed_parameter_costs_all(store: LocalStore) -> None:
    for enricher in (Loud(), Loud(factor=2), Loud(), Loud(factor=2)):
        enriched(store, reviews("a", "b"), enricher).count()
    assert CALLS == [["a", "b"], ["a", "b"]]


def test_what_was_learned_is_part_of_the_address(store: LocalStore) -> None:
    for said in (["a"], ["a", "b"], ["c", "d"]):
        learned = Learned().fit(pa.table({"text": said}))
        enriched(store, reviews("x"), learned).count()
    assert CALLS == [["x"], ["x"]]


def test_what_columns_are_called_is_not(store: LocalStore) -> None:
    enriched(store, reviews("a", "b")).count()
    for name, parameter in (("body", "body"), ("Review Text", "Review Text")):
        frame = Frame(pa.table({name: ["b", "a"]}), text=name)
        assert LocalBackend(store=store).read(frame).enrich(Loud(text=parameter)).count() == 2
    assert CALLS == [["a", "b"]]


def test_an_optional_column_is_part_of_the_address(store: LocalStore) -> None:
    plain = reviews("a")
    for language in ("en", "de", "en"):
        enriched(store, plain.append_column("language", pa.array([language]))).count()
    enriched(store, plain).count()
    enriched(store, plain.append_column("other", pa.array(["x"]))).count()
    assert len(CALLS) == 3


def test_equal_rows_are_computed_once(store: LocalStore) -> None:
    found = enriched(store, reviews("a", "bb", "a", None, "bb", None)).to_arrow()
    assert CALLS == [["a", "bb", None]]
    assert found.column("loud").to_pylist() == [1, 2, 1, None, 2, None]


def test_an_enricher_that_does_not_say_so_is_not_kept(store: LocalStore) -> None:
    for _ in range(2):
        enriched(store, reviews("a"), Plain()).count()
    assert len(CALLS) == 2
    assert not store.folder.exists()


def test_rows_that_fail_are_tried_again(store: LocalStore) -> None:
    rows = reviews("a", "poison", "b", "poison")
    expected = enriched(None, rows)
    values = expected.to_arrow()
    errors = expected.errors.select(["id", "stage", "error"])
    for _ in range(2):
        CALLS.clear()
        found = enriched(store, rows)
        assert found.to_arrow().equals(values)
        assert found.errors.select(["id", "stage", "error"]).equals(errors)
    assert texts() == ["poison"]
    assert [shelf.rows for shelf in store.describe()] == [2]


def test_rows_that_are_said_to_fail_are_tried_again(store: LocalStore) -> None:
    rows = reviews("b", "a", "b", "c")
    for expected in ([["b", "a", "c"], ["a", "c"]], [["b"]]):
        CALLS.clear()
        found = enriched(store, rows, Loud(known="b"))
        assert found.errors.column("id").to_pylist() == [0, 2]
        assert found.to_arrow().column("loud").to_pylist() == [None, 1, None, 1]
        assert [call for call in CALLS if call][: len(expected)] == expected


def test_work_is_kept_a_few_rows_at_a_time(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(np.arange(0, 1e6, 2.5))
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(module, "FIRST_ROWS", 2)
    monkeypatch.setattr(module, "SECONDS", 5.0)
    enriched(store, reviews(*map(str, range(20)))).count()
    # Each chunk takes 2.5 s of 5 s, so twice as many rows follow.
    assert [len(call) for call in CALLS] == [2, 4, 8, 6]


@pytest.mark.parametrize(
    ("rows", "seconds", "before", "expected"),
    [(256, 0.01, 256, 1024), (256, 7680.0, 256, 1), (256, 1e5, 256, 1), (100, 60.0, 256, 50)],
)
def test_the_pace_follows_the_work(rows: int, seconds: float, before: int, expected: int) -> None:
    assert module.choose_next_rows(rows, seconds, before) == expected


def test_what_was_done_before_a_crash_is_kept(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_ROWS", 2)
    monkeypatch.setattr(module, "GROWTH", 1)
    real = Loud.enrich

    def crashing(self: Loud, batch: pa.RecordBatch) -> pa.RecordBatch:
        if "5" in batch.column("text").to_pylist():
            raise MemoryError
        return real(self, batch)

    monkeypatch.setattr(Loud, "enrich", crashing)
    rows = reviews(*map(str, range(10)))
    with pytest.raises(EnvironmentFailure, match="MemoryError"):
        enriched(store, rows).count()
    monkeypatch.setattr(Loud, "enrich", real)
    CALLS.clear()
    assert enriched(store, rows).to_arrow().column("loud").to_pylist() == [1.0] * 10
    assert texts() == ["4", "5", "6", "7", "8", "9"]


def test_unseen_rows_can_be_counted(store: LocalStore) -> None:
    enriched(store, reviews("a", "b")).count()
    before = store.describe()
    dataset = LocalBackend(store=store).read(reviews("c", "b", "c", "d"), Roles.of(text="text"))
    step = CachedEnrich(Loud(), "loud", store)
    step.setup()
    assert [len(step.look_up(batch)[0]) for batch in dataset.full_batches()] == [2]
    assert [shelf.hits for shelf in store.describe()] == [shelf.hits for shelf in before]


def test_hits_lead_to_values_too(store: LocalStore) -> None:
    enriched(store, reviews("a", "b")).count()
    other = pa.table({"id": ["x", None], "text": ["a", "b"]})
    enriched(store, other).count()
    assert store.forget(["x"]) == 1
    CALLS.clear()
    enriched(store, reviews("a", "b")).count()
    assert CALLS == [["a"]]


def test_a_pipeline_and_a_frame_use_one_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWML_STORE", str(tmp_path))
    frame = pa.table({"body": ["a", "b"]})
    Loud(text="body").transform(frame)
    pipe = Pipeline([("loud", Loud())], text="body")
    assert pipe.enrich(Frame(frame)).count() == 2
    assert pipe.on("local", store=None).enrich(Frame(frame)).count() == 2
    assert CALLS == [["a", "b"], ["a", "b"]]


def test_off_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWML_STORE", "off")
    for _ in range(2):
        Loud().transform(pa.table({"text": ["a"]}))
    assert len(CALLS) == 2


def test_derived_rows_keep_the_store(store: LocalStore) -> None:
    rows = LocalBackend(store=store).read(reviews("a", "b"), Roles.of(text="text"))
    derived = {
        "select": rows.select(["text"]),
        "filter": rows.filter(pc.field("id") >= 0),
        "limit": rows.limit(1),
        "persist": rows.enrich(Plain()).persist(),
        "join": rows.join(pa.table({"id": [0, 1], "x": [1, 2]}), on="id"),
        "read_other": rows.read_other(pa.table({"x": [1]})),
    }
    assert {name: dataset.store for name, dataset in derived.items()} == dict.fromkeys(
        derived, store
    )


def test_a_type_that_cannot_be_kept_is_refused_before_any_work(store: LocalStore) -> None:
    class Odd(Loud):
        adds = {"odd": pa.list_(pa.date32())}

    with pytest.raises(StoreError, match="'odd' is list<item: date32"):
        enriched(store, reviews("a"), Odd()).count()
    assert CALLS == []
