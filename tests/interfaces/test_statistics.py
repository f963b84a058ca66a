"""Statistics: extremes that Python cannot hold, and numbers that equal others or nothing."""

from __future__ import annotations

import datetime
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest

from reviewml.data.frames import as_dataset
from reviewml.rows.statistics import Max, Min, ValueCounts

LATE = datetime.datetime(2026, 1, 31)


@pytest.mark.parametrize(
    ("kind", "known", "least", "most"),
    [
        (pa.date32(), LATE.date(), datetime.date.min, datetime.date.max),
        (pa.timestamp("s"), LATE, datetime.datetime.min, datetime.datetime.max),
        (
            pa.timestamp("us", "America/New_York"),
            LATE.replace(tzinfo=datetime.UTC),
            datetime.datetime.min.replace(tzinfo=datetime.UTC),
            datetime.datetime.max.replace(tzinfo=datetime.UTC),
        ),
    ],
    ids=str,
)
def test_moments_beyond_the_calendar(kind: pa.DataType, known: Any, least: Any, most: Any) -> None:
    width = pa.int32() if kind == pa.date32() else pa.int64()
    far = 10**7 if kind == pa.date32() else 10**18
    odd = pa.array([far, -far], width).cast(kind)
    column = pa.chunked_array([pa.array([known, None], kind), odd])
    found = as_dataset(pa.table({"at": column})).aggregate({"least": Min("at"), "most": Max("at")})
    assert found == {"least": least, "most": most}
    alone = as_dataset(pa.table({"at": column[:2]})).aggregate({"least": Min("at")})
    assert alone == {"least": known}


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.float16()], ids=str)
def test_zeros_are_one_value_and_nan_is_none(kind: pa.DataType) -> None:
    nan = float("nan")
    parts = [[0.0, -0.0, nan, 1.5], [nan, None, -0.0], [nan]]
    table = pa.table({"x": pa.chunked_array([pa.array(p, pa.float64()).cast(kind) for p in parts])})
    found = as_dataset(table).aggregate({"counts": ValueCounts("x", 2)})["counts"]
    assert repr(found) == repr(Counter({0.0: 3, 1.5: 1}))
