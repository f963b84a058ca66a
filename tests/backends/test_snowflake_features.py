"""Features that SQL computes have the bits of those that Python does."""

from __future__ import annotations

import contextlib
import datetime
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reviewml import Frame, Pipeline, saving
from reviewml.data.frames import as_dataset
from reviewml.featurizers import Features
from reviewml.models.scoring import ComputeNumbers
from reviewml.rows.named_lists import named_list
from reviewml.rows.roles import Roles
from reviewml.testing.rows import make_example_rows
from reviewml.trainers import LogisticRegression, XGBoost

pytest.importorskip("snowflake.snowpark")
pytest.importorskip("snowflake_double")

from snowflake_double import Double

from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.backends.snowflake.udf import package_archive, registration

if TYPE_CHECKING:
    from snowflake.snowpark import Session

ROWS = 8


@pytest.fixture(scope="module")
def session(running: Double) -> Iterator[Session]:
    with contextlib.closing(running.session()) as session:
        yield session


@pytest.fixture(scope="module")
def backend(session: Session) -> SnowflakeBackend:
    return SnowflakeBackend(session=session, store=None)


def values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Return values of a type, the ends of what it holds among them."""
    if pa.types.is_floating(kind):
        return st.floats(width=kind.bit_width, allow_nan=True)
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_decimal(kind):
        return st.decimals(-9999, 9999, places=2, allow_nan=False).map(Decimal)
    if pa.types.is_integer(kind):
        low = 0 if pa.types.is_unsigned_integer(kind) else -(2 ** (kind.bit_width - 1))
        return st.integers(low, low + 2**kind.bit_width - 1)
    if pa.types.is_string(kind):
        hostile = ["it's", '"; DROP TABLE x; --', "a\\b", "\U0001f600", "", " ", "é", "\n"]
        return st.sampled_from(hostile)
    if pa.types.is_date(kind):
        return st.dates(datetime.date(1900, 1, 1), datetime.date(2200, 1, 1))
    if pa.types.is_time(kind):
        return st.integers(0, 86_399).map(lambda second: second * PER_SECOND[kind.unit])
    # The double has no parts of microseconds.
    whole = 1_000 if kind.unit == "ns" else 1
    return st.integers(-(10**9), 7 * 10**9).flatmap(
        lambda second: st.integers(0, PER_SECOND[kind.unit] - 1).map(
            lambda part: (second * PER_SECOND[kind.unit] + part) // whole * whole
        )
    )


PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

KINDS = [
    pa.int8(),
    pa.int64(),
    pa.uint64(),
    pa.float32(),
    pa.float64(),
    pa.decimal128(10, 2),
    pa.bool_(),
    pa.string(),
    pa.date32(),
    pa.time32("s"),
    pa.time64("us"),
    *(pa.timestamp(unit, zone) for unit in PER_SECOND for zone in (None, "Asia/Tokyo")),
]

LISTS = named_list(pa.float32(), ["fits", "it's"])


def array(kind: pa.DataType, found: list[Any]) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(found, pa.int64()).cast(pa.timestamp(kind.unit)).cast(kind)
    if pa.types.is_time(kind):
        return pa.array(found, pa.int32() if kind.bit_width == 32 else pa.int64()).cast(kind)
    return pa.array(found, kind)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    columns = {
        f"{place} {kind}": array(
            kind, draw(st.lists(st.none() | values(kind), min_size=ROWS, max_size=ROWS))
        )
        for place, kind in enumerate(KINDS)
    }
    one = st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False)
    pairs = st.none() | st.lists(one, min_size=2, max_size=2)
    columns['the "list"'] = pa.array(draw(st.lists(pairs, min_size=ROWS, max_size=ROWS)), LISTS)
    columns["steady"] = pa.array([*range(ROWS)], pa.int64())
    return pa.table(columns)


def bits(matrix: Any) -> Any:
    return np.ascontiguousarray(matrix).view(np.uint32).tolist()


@pytest.mark.slow
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(table=tables())
def test_random_columns_of_every_type(backend: SnowflakeBackend, table: pa.Table) -> None:
    featurizer = Features().fit(as_dataset(table))
    rows = backend.read(table)
    here = np.concatenate([featurizer.matrix(b) for b in as_dataset(table).full_batches()])
    there, _ = ComputeNumbers(featurizer).gather(rows, in_order=True)
    assert bits(there) == bits(here)


def examples() -> pa.Table:
    return make_example_rows(60)


ROLES = Roles.of(id="id", time="time", target="bought")


def test_a_pipeline_learns_the_same_from_features_of_sql(backend: SnowflakeBackend) -> None:
    rows = examples().drop(["text"])
    steps = [("features", Features()), ("model", LogisticRegression())]
    pipe = Pipeline(steps, id="id", time="time", target="bought")
    here = pipe.fit(rows)
    there = pipe.on(backend).fit(rows)
    assert there.steps_[0][1].fingerprint() == here.steps_[0][1].fingerprint()
    np.testing.assert_allclose(there.predict_proba(rows), here.predict_proba(rows), atol=1e-12)
    assert bits(there.transform(rows)) == bits(here.transform(rows))


def test_large_numbers_are_told_apart_by_the_same_offsets(backend: SnowflakeBackend) -> None:
    near = np.arange(90)
    columns: dict[str, Any] = {
        "whole": near + 10**12,
        "largest": near + (2**63 - 100),
        "smallest": near + np.iinfo(np.int64).min,
        "wild": np.r_[[-(2**62)], near[1:] + 10**15],
        "real": near / 8 + 1e9,
        "decimal": pa.array([Decimal(10**9) + Decimal(int(n)) / 100 for n in near]),
        "moment": pa.array(near + 10**15, pa.timestamp("us")),
        "missing": pa.array([None if n % 9 == 0 else int(n) + 10**12 for n in near]),
    }
    table = pa.table({name: pa.array(column) for name, column in columns.items()})
    featurizer = Features().fit(as_dataset(table))
    assert [r["column"] for r in featurizer.columns_ if "offset" in r] == list(columns)
    rows = backend.read(table)
    assert Features().fit(rows).fingerprint() == featurizer.fingerprint()
    here = np.concatenate([featurizer.matrix(b) for b in as_dataset(table).full_batches()])
    there, _ = ComputeNumbers(featurizer).gather(rows, in_order=True)
    assert bits(there) == bits(here)


def test_columns_that_are_null_throughout_are_missing(backend: SnowflakeBackend) -> None:
    featurizer = Features().fit(as_dataset(examples().drop(["text"]), ROLES))
    rows = examples().drop(["text"])
    for name in ("price", "layout", "time"):
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, name, pa.nulls(len(rows), rows.schema.field(name).type))
    here = np.concatenate([featurizer.matrix(b) for b in as_dataset(rows, ROLES).full_batches()])
    there, _ = ComputeNumbers(featurizer).gather(backend.read(rows, ROLES), in_order=True)
    assert np.isnan(here).any()
    assert bits(there) == bits(here)


def test_what_a_featurizer_was_not_fitted_on_is_refused(backend: SnowflakeBackend) -> None:
    featurizer = Features().fit(as_dataset(examples().drop(["text"]), ROLES))
    with pytest.raises(ValueError, match="'price'"):
        ComputeNumbers(featurizer).gather(
            backend.read(examples().drop(["text", "price"]), ROLES), in_order=True
        )


TEXTS = [
    "Great!! 5/5",
    "质量很好，非常满意",
    "ดีมาก 10",
    "Ça va? ¿Sí?",
    "",
    None,
    "it's ''; --",
    "😀",
]


def with_texts() -> pa.Table:
    rows = examples()
    texts = pa.array([TEXTS[place % len(TEXTS)] for place in range(len(rows))])
    return rows.set_column(rows.schema.get_field_index("text"), "text", texts)


def fitted(**features: Any) -> Pipeline:
    steps = [("features", Features(**features)), ("model", LogisticRegression())]
    pipe = Pipeline(steps, id="id", text="text", time="time", target="bought")
    return pipe.fit(with_texts())


def test_texts_are_measured_by_our_own_code(backend: SnowflakeBackend) -> None:
    pipe = fitted(ngrams=20, min_reviews=2)
    assert len(pipe.features_) > 20
    assert bits(pipe.on(backend).transform(with_texts())) == bits(pipe.transform(with_texts()))


def by_id(table: pa.Table) -> list[Any]:
    return table.sort_by("id").to_pylist()


@pytest.mark.parametrize("target", ["bought", "layout", "price"])
def test_predictions_are_those_of_this_process(backend: SnowflakeBackend, target: str) -> None:
    rows = with_texts()
    steps = [("features", Features(ngrams=5, min_reviews=2)), ("model", LogisticRegression())]
    if target == "price":
        steps[1] = ("model", XGBoost(n_estimators=5))
        rows = rows.filter(pc.is_finite(rows.column("price")).fill_null(False))
    pipe = Pipeline(steps, id="id", text="text", time="time", target=target).fit(rows)
    here = pipe.predict(Frame(rows)).to_arrow()
    there = pipe.on(backend).predict(Frame(rows)).to_arrow()
    assert there.schema == here.schema
    assert by_id(there) == by_id(here)


def test_predictions_do_not_pass_through_this_process(
    running: Double, backend: SnowflakeBackend
) -> None:
    pipe = fitted().on(backend)
    rows = backend.read(pa.concat_tables([with_texts()] * 10), Roles.of(id="id", text="text"))
    with running.watch() as seen:
        assert pipe.predict(rows).persist().count() == 600
    assert sum(statement.rows for statement in seen.statements) < 30


def test_the_same_model_is_taken_there_once(running: Double, backend: SnowflakeBackend) -> None:
    pipe = fitted().on(backend)
    scored = pipe.predict(Frame(with_texts()))
    scored.to_arrow()
    with running.watch() as seen:
        scored.to_arrow()
    assert not [one.sql for one in seen.statements if "FUNCTION" in one.sql and "CREATE" in one.sql]


ALONE = """
import sys
sys.path.insert(0, {archive!r})
sys._xoptions["snowflake_import_directory"] = {folder!r}
import reviewml
assert reviewml.__file__.startswith({archive!r})
import pandas
from reviewml.backends.snowflake.udf.handlers import scores
rows = pandas.DataFrame({{place: [1.0, float("nan")] for place in range({width})}})
rows[{width}] = [None, '[{{"stage": "read"}}]']
[known, unread] = scores("saved.zip")(rows)
assert unread is None and abs(sum(known[1:]) - 1) < 1e-9
assert not {{"snowflake.snowpark", "snowflake.connector", "ray"}} & set(sys.modules)
"""


@pytest.mark.slow
def test_what_is_taken_there_needs_no_reviewml_there(tmp_path: Path) -> None:
    pipe = fitted()
    parts = registration.make_parts(model=pipe.model_)
    folder = saving.save(parts, tmp_path / "saved")
    registration.zip_folder(folder, tmp_path / "saved.zip")
    archive = package_archive.write_archive(tmp_path)
    code = ALONE.format(archive=str(archive), folder=f"{tmp_path}/", width=len(pipe.features_))
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env={})
