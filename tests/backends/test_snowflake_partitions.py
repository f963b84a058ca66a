"""Statistics that our own Python computes in the warehouse: the same, and few rows leave."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import logging
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("snowflake.snowpark")
pytest.importorskip("snowflake_double")

from snowflake_double import Double, snowflake_double

from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.backends.snowflake.udf import (
    handlers,
    package_archive,
    partition_statistics,
    registration,
    statistics_codec,
)
from reviewml.data.dataset import Dataset
from reviewml.data.frames import as_dataset
from reviewml.datasets import make_shop
from reviewml.enrichers import Language, ReviewHistory
from reviewml.enrichers.history.key_statistics import (
    KeyMoments,
    KeysBefore,
    Magnitudes,
    RatingCounts,
)
from reviewml.errors import SchemaError
from reviewml.featurizers import Features
from reviewml.featurizers.offsets import ValueSample
from reviewml.featurizers.texts import DocumentCounts
from reviewml.operations.sample import SmallestHashes
from reviewml.rows.expressions import Number
from reviewml.rows.roles import Roles
from reviewml.rows.statistics import ColumnStatistic, Count, Max, Min, Statistic, ValueCounts
from reviewml.rows.time_range import TimesByDay

ROLES = Roles.of(id="id", text="text")
N = 700
NAN, INF = float("nan"), float("inf")

TEXTS = [
    "Great fit, love it!",
    "it's ''; DROP TABLE reviews; --",
    'a\\b "c"\n\t/* */ \U0001f600 \u2028',
    "NUL \0 inside",
    "$array",
    "",
    None,
    "质量很好，非常满意",
]

VALUES: dict[str, pa.Array] = {
    "text": pa.array(TEXTS),
    "gro\"up'; --": pa.array(["None", None, "$dict", "a\0b", "it's", "\U0001f600", "", "'"]),
    "number": pa.array([1.5, None, NAN, INF, -INF, -7.25, 0.0, 0.1]),
    "whole": pa.array([2**63 - 1, None, -(2**63), 0, 1, 2, 3, 4]),
    "signed": pa.array([0.0, -0.0, NAN, NAN, None, 1.0, -0.0, INF]),
    "known": pa.array([1, 0, 1, 1, 1, 1, 0, 1]),
    "small": pa.array([3, 0, 5, 1, -9, 4, 0, 9]),
    "key": pa.array(["p1", "p2", None, "p1", "p'3", "p1", "p2", "p\0"]),
    "day": pa.array([datetime.date(2026, 1, n + 1) if n else None for n in range(8)]),
    "price": pa.array([None if n == 3 else Decimal(n) / 4 for n in range(8)], pa.decimal128(9, 2)),
    "open": pa.array([None, *[datetime.time(n, 30, 0, 250) for n in range(7)]], pa.time64("us")),
    "raw": pa.array([None, b"", b"\0\xff", *[bytes([n]) for n in range(5)]]),
    "moment": pa.array([None, *range(1_000, 8_000, 1_000)], pa.timestamp("ns", "Europe/Berlin")),
    "held": pa.array([5, None] * 4, pa.timestamp("us", "Asia/Tokyo")).dictionary_encode(),
    "flag": pa.array([None, True, False, True, True, False, None, True]),
}

STATISTICS: dict[str, Statistic] = {
    "words": DocumentCounts("text", ("text", "gro\"up'; --")),
    "moments": KeyMoments("small", "known", ("key", "flag"), -9, 9),
    "keys": KeysBefore("moment", ("key",), 0),
    "all keys": KeysBefore("moment", ("key", "whole"), None),
    "sizes": Magnitudes("number"),
    "ratings": RatingCounts("number"),
    "each day": TimesByDay("moment"),
    "some values": ValueSample("whole", Number("whole")),
    "some numbers": ValueSample("number", Number("number")),
    "sample": SmallestHashes(5, None, 3),
    "by text": SmallestHashes(3, "gro\"up'; --", 0),
    "by number": SmallestHashes(3, "number", 0),
    "by whole": SmallestHashes(3, "whole", 0),
    "by day": SmallestHashes(3, "day", 0),
    "by flag": SmallestHashes(3, "flag", 0),
    "days": ValueCounts("day", 9),
    "prices": ValueCounts("price", 9),
    "too many": ValueCounts("price", 3),
    "times": ValueCounts("open", 9),
    "numbers": ValueCounts("signed", 9),
    "first bytes": Min("raw"),
    "most true": Max("flag"),
    "latest": Max("open"),
}


@pytest.fixture(scope="module")
def running() -> Iterator[Double]:
    with snowflake_double() as double:
        yield double


@pytest.fixture(scope="module")
def backend(running: Double) -> Iterator[SnowflakeBackend]:
    with contextlib.closing(running.session()) as session:
        yield SnowflakeBackend(session=session, store=None)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have few rows in a partition, and its answer in many pieces."""
    monkeypatch.setattr(partition_statistics, "ROWS", N // 6)
    monkeypatch.setattr(statistics_codec, "LONGEST", 1_500)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    ids = pa.array([f"r{n}" for n in range(N)])
    columns = {name: pa.concat_arrays([v] * N)[:N] for name, v in VALUES.items()}
    return pa.table({"id": ids, **columns})


@pytest.fixture(scope="module")
def rows(backend: SnowflakeBackend, table: pa.Table) -> Dataset:
    return backend.read(table, ROLES).persist()


def plain(value: Any) -> Any:
    """Return what compares by types and bits."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    if isinstance(value, dict):
        pairs = sorted((repr(key), plain(inner)) for key, inner in value.items())
        return type(value), pairs
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return repr(value)


@pytest.mark.usefixtures("small")
def test_statistics_are_the_same(rows: Dataset, table: pa.Table, running: Double) -> None:
    with running.watch() as seen:
        found = rows.aggregate(STATISTICS)
    expected = as_dataset(table, ROLES).aggregate(STATISTICS)
    assert list(found) == list(expected)
    for name in STATISTICS:
        assert plain(found[name]) == plain(expected[name]), name
    [asked] = [one for one in seen.statements if "OVER (PARTITION BY" in one.sql]
    assert asked.rows > 7  # in pieces


@pytest.mark.usefixtures("small")
def test_rows_that_leave_are_as_many_as_partitions(
    rows: Dataset, running: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics_codec, "LONGEST", 1_000_000)
    with running.watch() as seen:
        rows.aggregate({"words": STATISTICS["words"], "known": Count("text")})
    [asked] = [one for one in seen.statements if "OVER (PARTITION BY" in one.sql]
    assert asked.rows == 7
    assert seen.rows < 7 + 15  # and a word of each statement

    monkeypatch.setattr(partition_statistics, "MOST", 2)
    with running.watch() as seen:
        rows.aggregate({"words": STATISTICS["words"]})
    assert [one.rows for one in seen.statements if "OVER (PARTITION BY" in one.sql] == [2]


def test_no_rows_say_what_no_rows_say_here(backend: SnowflakeBackend, table: pa.Table) -> None:
    nothing = table.slice(0, 0)
    found = backend.read(nothing, ROLES).aggregate(STATISTICS)
    expected = as_dataset(nothing, ROLES).aggregate(STATISTICS)
    assert {name: plain(value) for name, value in found.items()} == {
        name: plain(value) for name, value in expected.items()
    }


@pytest.mark.parametrize(
    "statistic",
    [SmallestHashes(2, "moment", 0), ValueCounts("moment", 9), SmallestHashes(2, "held", 0)],
)
def test_moments_keep_zone_and_nanoseconds(
    rows: Dataset, table: pa.Table, statistic: Statistic, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "reviewml")
    found = rows.aggregate({"it": statistic})["it"]
    assert plain(found) == plain(as_dataset(table, ROLES).aggregate({"it": statistic})["it"])
    assert "statistics it: this process computed them, of rows fetched" in caplog.text


@dataclasses.dataclass(frozen=True)
class Lengths(ColumnStatistic):
    """A user's own, whose part is of a type that only they know."""

    def part(self, batch: pa.RecordBatch) -> set[int]:
        return {len(text) for text in batch.column(self.column).drop_null().to_pylist()}

    def merge(self, one: set[int], other: set[int]) -> set[int]:
        return one | other


def test_statistics_of_users_are_computed_here(rows: Dataset, table: pa.Table) -> None:
    asked = {"it": Lengths("text")}
    assert rows.aggregate(asked) == as_dataset(table, ROLES).aggregate(asked)


def test_what_cannot_be_grouped_by_says_the_same(backend: SnowflakeBackend) -> None:
    nested = backend.read(pa.table({"id": ["a"], "scores": [[1.0]]}), ROLES)
    with pytest.raises(SchemaError, match="rows cannot be grouped by"):
        nested.sample(1, by="scores")


# -- what is learned from them ------------------------------------------------------------------


@pytest.mark.usefixtures("small")
def test_words_learned_are_the_same_bytes(
    backend: SnowflakeBackend, running: Double, table: pa.Table
) -> None:
    features = Features(ngrams=30, min_reviews=2)
    here = features.fit(as_dataset(table.select(["id", "text", "small"]), ROLES)).state
    there = backend.read(table.select(["id", "text", "small"]), ROLES).persist()
    with running.watch() as seen:
        found = features.fit(there).state
    assert repr(found) == repr(here)
    assert found["terms_"]
    assert seen.rows < 60


@pytest.mark.slow
def test_histories_learn_without_rows_that_leave(
    backend: SnowflakeBackend, running: Double
) -> None:
    shop = make_shop(n_products=40, n_views=1_500, random_state=1)
    views = Roles.of(id="view_id", time="viewed_at")
    reviews = Roles.of(id="review_id", text="body", rating="stars", time="posted_at")
    history = ReviewHistory(None, by="product_id", enrichers=[("language", Language())])
    here = history.looking_at(as_dataset(shop.reviews, reviews))
    here.fit(as_dataset(shop.views, views))
    there = history.looking_at(backend.read(shop.reviews, reviews).persist())
    seen_views = backend.read(shop.views, views).persist()
    with running.watch() as seen:
        there.fit(seen_views)
    assert there.fingerprint() == here.fingerprint()
    assert seen.rows < 60 < shop.reviews.num_rows


# -- on the way ---------------------------------------------------------------------------------


def test_parts_come_back_as_they_were() -> None:
    parts = {
        "$array": Counter({"$float": 2, "None": 1}),
        "a.0": (np.array([1, 2], np.uint64), np.array([[-1, 2]], np.int64)),
        "a": [np.array([7], np.uint64)],
        "groups": {None: np.array([1], np.uint64), "None": np.array([2], np.uint64)},
        "typed": Counter({True: 1, 2.5: 2, INF: 3, b"\0": 4, datetime.time(1, 2, 3, 4): 5}),
        "nothing": None,
        "float": 0.1 + 0.2,
        "long": 2**90,
    }
    found = statistics_codec.read("".join(statistics_codec.encode_parts(parts)))
    assert {name: plain(value) for name, value in found.items()} == {
        name: plain(value) for name, value in parts.items()
    }
    # They can be changed in place, as merging does.
    found["groups"][None][0] = 5


def test_parts_are_no_pickles() -> None:
    loads = "pickle.load"
    for module in (partition_statistics, statistics_codec):
        assert loads not in Path(str(module.__file__)).read_text()


ALONE = """
import sys
sys.path.insert(0, {archive!r})
sys._xoptions["snowflake_import_directory"] = {folder!r}
import reviewml
assert reviewml.__file__.startswith({archive!r})
import pandas
from reviewml.backends.snowflake.udf.handlers import parts
made = parts("saved.zip", [{schema!r}])(pandas.DataFrame({{0: ["good good", "bad"]}}))
assert list(made["PIECE"]) == [0] and '"good": 1' in made["PART"][0], made
assert not {{"snowflake.snowpark", "snowflake.connector", "ray"}} & set(sys.modules)
"""


@pytest.mark.slow
def test_what_is_taken_there_needs_no_reviewml_there(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    raw = pickle.dumps({"words": DocumentCounts("text", ("text",))})
    (tmp_path / "saved" / handlers.PICKLE).write_bytes(raw)
    registration.zip_folder(tmp_path / "saved", tmp_path / "saved.zip")
    schema = pa.schema([("text", pa.string())]).serialize().to_pybytes().hex()
    code = ALONE.format(
        archive=str(package_archive.write_archive(tmp_path)), folder=f"{tmp_path}/", schema=schema
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env={})
