"""StoreContract: what every enrichment store must do."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from reviewml.data.store import EnrichmentStore
from reviewml.errors import ParameterError, SchemaError, StoreError
from reviewml.operations.value_store import Shelf
from reviewml.rows.named_lists import named_list
from reviewml.rows.row_keys import LINKS, hash_id_column, hash_rows
from reviewml.steps.enricher import Enricher

COLUMNS = pa.schema(
    {
        "score": pa.float64(),
        "small": pa.float32(),
        "label": pa.string(),
        "count": pa.uint64(),
        "sure": pa.bool_(),
        "at": pa.timestamp("us", "UTC"),
        "raw": pa.binary(),
        "vector": pa.list_(pa.float32(), 2),
        "scores": pa.list_(pa.float64()),
        "aspects": pa.list_(pa.struct({"name": pa.string(), "score": pa.float32()})),
    }
)

NAN = float("nan")

VALUES = pa.RecordBatch.from_pylist(
    [
        {
            "score": 0.1 + 0.2,
            "small": 0.1,
            "label": "größer\0客户",
            "count": 2**64 - 1,
            "sure": True,
            "at": -1,
            "raw": b"\0\xff",
            "vector": [0.1, -0.0],
            "scores": [1e-300, NAN],
            "aspects": [{"name": "fit", "score": 0.1}, {"name": None, "score": NAN}],
        },
        {"score": NAN, "label": "", "sure": False, "scores": [], "aspects": []},
        {"score": -0.0, "vector": [None, 1.0], "scores": [None], "aspects": [None]},
        dict.fromkeys(COLUMNS.names),
    ],
    schema=COLUMNS,
)
"""Values of all kinds, each with what is easily lost of it."""

SHELF = Shelf("a" * 64, "Many", COLUMNS)


class Measured(Enricher):
    """Says how long a text is, and is kept."""

    stored = True
    adds = {"characters": pa.int64()}

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        lengths = pa.compute.utf8_length(batch.column("text")).cast(pa.int64())
        return batch.append_column("characters", lengths)


def hash_texts(texts: Sequence[str]) -> pa.Array:
    """Return the keys of rows that have only a text."""
    return hash_rows(pa.record_batch({"text": texts}))


def make_links_between(ids: Sequence[Any], texts: Sequence[str]) -> pa.RecordBatch:
    """Return links from ids to the keys of texts."""
    columns = [hash_id_column(pa.array(ids)), hash_texts(texts)]
    return pa.RecordBatch.from_arrays(columns, schema=LINKS)


NO_LINKS = pa.RecordBatch.from_pylist([], schema=LINKS)


class StoreContract:
    """Subclass it and override `store`."""

    texts = ("a", "b", "c", "d")

    @pytest.fixture
    def store(self) -> EnrichmentStore:
        """Return the store under test, empty."""
        raise NotImplementedError("override the fixture `store`")

    @pytest.fixture
    def filled(self, store: EnrichmentStore) -> EnrichmentStore:
        """Return it with values under `SHELF`, each led to by its own id."""
        store.prepare(SHELF)
        store.add(
            SHELF, hash_texts(self.texts), VALUES, make_links_between([1, 2, 3, 4], self.texts)
        )
        return store

    def test_starts_empty(self, store: EnrichmentStore) -> None:
        assert store.describe() == []
        places, values = store.find(SHELF, hash_texts(self.texts))
        assert (len(places), len(values), values.schema) == (0, 0, COLUMNS)

    def test_values_come_back_to_the_last_bit(self, filled: EnrichmentStore) -> None:
        places, values = filled.find(SHELF, hash_texts([*reversed(self.texts), "new"]))
        assert values.schema == COLUMNS
        # As text, so that NaN equals itself and no bit of a float is lost.
        values_found = dict(zip(places.tolist(), map(repr, values.to_pylist()), strict=True))
        assert values_found == dict(enumerate(map(repr, reversed(VALUES.to_pylist()))))

    @pytest.mark.parametrize("name", COLUMNS.names)
    def test_one_column_comes_back(self, store: EnrichmentStore, name: str) -> None:
        shelf = Shelf(name, name, pa.schema([COLUMNS.field(name)]))
        for row in range(len(VALUES)):
            key, value = hash_texts([self.texts[row]]), VALUES.select([name]).slice(row, 1)
            store.add(shelf, key, value, NO_LINKS)
            assert repr(store.find(shelf, key)[1].to_pylist()) == repr(value.to_pylist())

    def test_refuses_what_it_cannot_hold(self, store: EnrichmentStore) -> None:
        for kind in (pa.null(), pa.list_(pa.date32()), pa.struct({"x": pa.decimal128(9)})):
            with pytest.raises(StoreError, match="'odd' is "):
                store.prepare(Shelf("f", "Odd", pa.schema({"odd": kind})))

    def test_values_that_are_there_stay(self, filled: EnrichmentStore) -> None:
        other = VALUES.take(pa.array([1, 0, 0, 0]))
        filled.add(SHELF, hash_texts(["a", "e", "f", "g"]), other, NO_LINKS)
        _, values = filled.find(SHELF, hash_texts(["a"]))
        assert repr(values.to_pylist()) == repr(VALUES.slice(0, 1).to_pylist())
        assert [shelf.rows for shelf in filled.describe()] == [7]

    def test_shelves_are_apart(self, filled: EnrichmentStore) -> None:
        other = Shelf("b" * 64, "Many", COLUMNS)
        filled.prepare(other)
        assert len(filled.find(other, hash_texts(self.texts))[0]) == 0

    def test_known_counts_as_no_use(self, filled: EnrichmentStore) -> None:
        before = filled.describe()
        assert filled.known(SHELF, hash_texts(["new", "b", "a"])).tolist() == [False, True, True]
        assert filled.describe() == before

    def test_counts_what_it_found(self, filled: EnrichmentStore) -> None:
        filled.find(SHELF, hash_texts(["a", "new", "b", "c"]))
        [summary] = filled.describe()
        assert (summary.hits, summary.misses, summary.hit_rate) == (3, 1, 0.75)
        assert (summary.enricher, summary.rows) == ("Many", 4)
        assert summary.columns == tuple(COLUMNS.names)
        assert summary.bytes > VALUES.nbytes / 2

    def test_forgets_what_ids_led_to(self, filled: EnrichmentStore) -> None:
        filled.link(make_links_between(["two"], ["b"]))
        assert filled.forget(["two", 3, "unknown"]) == 2
        assert filled.known(SHELF, hash_texts(self.texts)).tolist() == [True, False, False, True]
        assert filled.forget(["two", "3"]) == 0

    def test_forgets_any_collection_of_ids(self, filled: EnrichmentStore) -> None:
        for ids in ({"1"}, pd.Series([2]), (number for number in ["3"]), np.array([4])):
            assert filled.forget(ids) == 1
        assert filled.forget([None, math.nan]) == 0

    @pytest.mark.parametrize("ids", ["one", b"one", 3, None, {"one": 1}, [["one"]], [object()]])
    def test_what_is_no_list_of_ids_is_refused(self, filled: EnrichmentStore, ids: Any) -> None:
        with pytest.raises(ParameterError, match=r"ids= (is|holds) a"):
            filled.forget(ids)
        assert filled.known(SHELF, hash_texts(self.texts)).all()

    def test_forgets_on_all_shelves(self, filled: EnrichmentStore) -> None:
        other = Shelf("b" * 64, "Many", COLUMNS)
        filled.add(other, hash_texts(self.texts), VALUES, NO_LINKS)
        assert filled.forget(["1"]) == 2

    def test_prunes_what_nobody_uses(self, filled: EnrichmentStore) -> None:
        assert filled.prune("1d") == 0
        assert filled.prune("0s") == 4
        assert filled.describe() == []
        # A run that is under way goes on.
        filled.add(SHELF, hash_texts(self.texts), VALUES, NO_LINKS)
        assert filled.known(SHELF, hash_texts(self.texts)).all()

    def test_can_be_pickled(self, filled: EnrichmentStore) -> None:
        # Bytes that we made ourselves a moment ago.
        copied = pickle.loads(pickle.dumps(filled))  # noqa: S301
        assert copied.known(SHELF, hash_texts(self.texts)).all()

    def test_is_seeded_from_a_scored_table(self, store: EnrichmentStore) -> None:
        scored = pa.table(
            {"text": ["a", "bb", "cc", "a"], "characters": pa.array([1, 2, None, 1], pa.int64())}
        )
        assert store.seed(Measured(), scored) == 2
        assert store.seed(Measured(), scored) == 0
        is_known = store.known(Shelf.of(Measured()), hash_texts(["a", "bb", "cc"]))
        np.testing.assert_array_equal(is_known, [True, True, False])

    def test_seeds_of_another_type_are_refused(self, store: EnrichmentStore) -> None:
        wrong = pa.table({"text": ["a"], "characters": ["1"]})
        with pytest.raises(SchemaError, match="'characters' is string, and Measured adds int64"):
            store.seed(Measured(), wrong)
        with pytest.raises(SchemaError, match="'characters'"):
            store.seed(Measured(), wrong.select(["text"]))

    def test_seeds_for_other_labels_are_refused(self, store: EnrichmentStore) -> None:
        kind = named_list(pa.float32(), ["price", "fit"])
        scored = pa.table({"text": ["a"], "scores": pa.array([[0.9, 0.1]], kind)})
        other = named_list(pa.float32(), ["fit", "price"])
        enricher = type("Scored", (Measured,), {"adds": {"scores": other}})()
        with pytest.raises(SchemaError, match="scored with other labels, or in another order"):
            store.seed(enricher, scored)

    def test_seeds_of_what_is_not_kept_are_refused(self, store: EnrichmentStore) -> None:
        cheap = type("Cheap", (Measured,), {"stored": False})()
        with pytest.raises(ParameterError, match="Cheap computes its values again"):
            store.seed(cheap, pa.table({"text": ["a"], "characters": [1]}))
