"""Samples: groups of any value, and numbers of rows that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from reviewml import Frame
from reviewml.data.frames import as_dataset
from reviewml.errors import SchemaError, SourceError
from reviewml.interfaces import Dataset


@pytest.fixture
def rows() -> Dataset:
    prices = pa.array([1.5, float("nan"), None, 1.5, float("nan"), -float("inf")])
    return as_dataset(pa.table({"price": prices, "tags": [["a"]] * 6, "n": range(6)}))


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.float16()])
def test_nan_is_a_group_as_null_is(rows: Dataset, kind: pa.DataType) -> None:
    table = rows.to_arrow()
    table = table.set_column(0, "price", table["price"].cast(kind))
    found = as_dataset(table).sample(1, by="price").column("price").to_pylist()
    assert sorted(str(price) for price in found if price in (1.5, -float("inf"))) == ["-inf", "1.5"]
    assert len(found) == 3


def test_rows_cannot_be_grouped_by_lists(rows: Dataset) -> None:
    with pytest.raises(SchemaError, match=r"sample: 'tags' is list<.*grouped by"):
        rows.sample(1, by="tags")


@pytest.mark.parametrize(
    "ask",
    [lambda rows: rows.limit(-1), lambda rows: rows.sample(-1)],
    ids=["limit", "sample"],
)
def test_no_number_of_rows_is_negative(rows: Dataset, ask: Callable[[Any], Any]) -> None:
    for source in (rows, Frame(rows.to_arrow())):
        with pytest.raises(SourceError, match=r"(limit|sample)\(-1\): .* 0 or more"):
            ask(source)


@pytest.mark.parametrize("by", [None, "price"])
def test_none_of_no_rows(rows: Dataset, by: str | None) -> None:
    none = rows.limit(0)
    assert none.count() == 0
    assert none.sample(3, by=by).to_arrow().schema == rows.schema
    assert none.sample(3, by=by).count() == rows.sample(0, by=by).count() == 0
