"""Frame: rows in memory, whatever holds them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from reviewml.data.frames import as_dataset
from reviewml.enrichers import Language
from reviewml.errors import SchemaError, SourceError
from reviewml.sources.frame import Frame

TEXT = pa.array(["Sehr gut und schön"])


@pytest.mark.parametrize("column", [TEXT.cast(pa.large_string()), TEXT.dictionary_encode()])
@pytest.mark.parametrize("kind", [pa.table, pa.record_batch])
def test_text_has_one_type_however_it_is_kept(kind: Any, column: pa.Array) -> None:
    rows = as_dataset(Frame(kind({"text": column}), text="text"))
    assert rows.schema.field("text").type == pa.string()
    assert rows.enrich(Language()).column("language").to_pylist() == ["de"]


@pytest.mark.parametrize("kind", [pa.table, pa.record_batch, pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("name", ["__place__", "__errors__"])
def test_a_column_with_a_name_of_ours(kind: Any, name: str) -> None:
    with pytest.raises(SchemaError, match=f"{name}.* rename it"):
        as_dataset(Frame(kind({name: ["x"]})))


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame([[1, 2]], columns=["1", "1"]),
        pd.DataFrame([[1, 2]], columns=[1, "1"]),
        pa.table([[1], [2]], names=["1", "1"]),
        pa.record_batch([[1], [2]], names=["1", "1"]),
    ],
    ids=["pandas", "pandas, mixed", "table", "batch"],
)
def test_two_columns_of_one_name(frame: Any) -> None:
    with pytest.raises(SourceError, match="2 columns are called '1': rename all but one"):
        as_dataset(Frame(frame))
    with pytest.raises(SourceError, match="2 columns are called '1'"):
        as_dataset(frame)
