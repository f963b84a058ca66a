"""Whatever is given for rows or targets works, or is refused in our words, without quoting it."""

import datetime
import decimal
import fractions
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

from reviewml import Files, Frame, Pipeline
from reviewml.data.frames import as_dataset
from reviewml.enrichers.transformers.candidate_labels import fill_template
from reviewml.errors import ParameterError, ReviewmlError, SchemaError, SourceError
from reviewml.featurizers import Features
from reviewml.trainers import LogisticRegression

N = 24
CANARY = "canary that nobody may quote"
MARS = pa.timestamp("us", "Mars/Olympus")


def rows() -> pd.DataFrame:
    at = range(N)
    return pd.DataFrame(
        {
            "id": [f"r{i}" for i in at],
            "text": [f"{CANARY}, number {i}" for i in at],
            "price": [float(i % 7) for i in at],
            "size": ["SML"[i % 3] for i in at],
            "at": pd.date_range("2024-01-01", periods=N, tz="UTC"),
            "y": [i % 7 > 3 for i in at],
        }
    )


def with_pandas(make: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: rows().assign(x=make())


def with_arrow(make: Callable[[], Any], name: str = "x") -> Callable[[], pa.Table]:
    def table() -> pa.Table:
        known = pa.Table.from_pandas(rows(), preserve_index=False)
        if name in known.column_names:
            return known.set_column(known.column_names.index(name), name, make())
        return known.append_column(name, make())

    return table


def cells(*values: Any) -> Callable[[], pd.Series]:
    return lambda: pd.Series(list(values) * (N // len(values)), dtype=object)


def encoded(values: Any) -> pa.Array:
    return pa.RunEndEncodedArray.from_arrays(pa.array([N // 2, N], pa.int32()), pa.array(values))


COLUMNS: dict[str, Callable[[], Any]] = {
    "run-end encoded numbers": lambda: encoded([1.0, 2.0]),
    "run-end encoded texts": lambda: encoded([CANARY, "b"]),
    "dictionary": lambda: pa.array(["a", "b"] * (N // 2)).dictionary_encode(),
    "dictionary of nulls": lambda: pa.DictionaryArray.from_arrays([0, 1] * (N // 2), ["a", None]),
    "dictionary of a dictionary": lambda: pa.DictionaryArray.from_arrays(
        [0, 1] * (N // 2), pa.array(["a", "b"]).dictionary_encode()
    ),
    "duration": lambda: pa.array([1, 2] * (N // 2), pa.duration("ns")),
    "months": lambda: pa.array([pa.MonthDayNano([1, 2, 3])] * N),
    "decimal256": lambda: pa.array([decimal.Decimal(10) ** 60] * N, pa.decimal256(76, 0)),
    "UUID": lambda: pa.array([b"0" * 16] * N, pa.uuid()),
    "JSON": lambda: pa.array(['{"a":1}', '{"a":2}'] * (N // 2), pa.json_()),
    "tensor": lambda: pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), [2]),
        pa.array([[1.0, 2.0]] * N, pa.list_(pa.float32(), 2)),
    ),
    "lists of none": lambda: pa.array([[]] * N, pa.list_(pa.float64(), 0)),
    "list views": lambda: pa.array([[1.0]] * N, pa.list_view(pa.float64())),
    "map": lambda: pa.array([[("a", 1)]] * N, pa.map_(pa.string(), pa.int64())),
    "struct": lambda: pa.array([{"a": CANARY}] * N),
    "empty struct": lambda: pa.array([{}] * N, pa.struct([])),
    "sparse union": lambda: pa.UnionArray.from_sparse(
        pa.array([0] * N, pa.int8()), [pa.array([1] * N)]
    ),
    "dense union": lambda: pa.UnionArray.from_dense(
        pa.array([0] * N, pa.int8()), pa.array(range(N), pa.int32()), [pa.array([1] * N)]
    ),
    "bytes": lambda: pa.array([b"\xff" + CANARY.encode()] * N),
    "binary views": lambda: pa.array([CANARY.encode()] * N, pa.binary_view()),
    "halves": lambda: pa.array(np.arange(N).astype(np.float16)),
    "nanoseconds": lambda: pa.array([1, 2] * (N // 2), pa.time64("ns")),
    "unknown time zone": lambda: pa.array([1, 2] * (N // 2), MARS),
    "far times": lambda: pa.array([2**62, -(2**62)] * (N // 2), pa.timestamp("s")),
    "null": lambda: pa.nulls(N),
}

SERIES: dict[str, Callable[[], Any]] = {
    "sparse": lambda: pd.arrays.SparseArray([0.0, 1.0] * (N // 2)),
    "mixed categories": lambda: pd.Categorical([1, "b"] * (N // 2)),
    "period": lambda: pd.period_range("2024-01", periods=N, freq="M"),
    "interval": lambda: pd.interval_range(0, N),
    "complex": lambda: np.arange(N) * 1j,
    "long double": lambda: np.arange(N).astype(np.longdouble),
    "infinite": lambda: np.array([np.inf, -np.inf] * (N // 2)),
    "mixed": cells(CANARY, 1),
    "numbers and a text": cells(1.5, 2.5, 3.5, CANARY),
    "lists of anything": cells([CANARY], [1]),
    "dicts of anything": cells({"a": CANARY}, {"a": 1}),
    "dicts of dicts": cells({"a": {"b": 1}}, {"a": {"c": CANARY}}),
    "objects": cells(object()),
    "sets": cells({1}),
    "matrices": cells(np.ones((2, 2))),
    "large numbers": cells(10**50),
    "small decimals": cells(decimal.Decimal("1e-60"), decimal.Decimal("1e30")),
    "times with and without a zone": cells(
        datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    ),
    "fractions": cells(fractions.Fraction(1, 3)),
    "half a pair": cells(CANARY + "\ud800"),
    "frames": cells(pd.Series([1])),
}

OTHERS: dict[str, Callable[[], Any]] = {
    "an empty name": lambda: rows().rename(columns={"price": ""}),
    "a name with NUL": lambda: rows().rename(columns={"price": "a\0b"}),
    "names that are numbers": lambda: rows().rename(columns={"price": 3, "size": 4}),
    "a name that is None": lambda: rows().rename(columns={"price": None}),
    "a name that is half a pair": lambda: rows().rename(columns={"price": "\ud800"}),
    "names twice": lambda: pd.concat([rows(), rows()[["price"]]], axis=1),
    "levels of columns": lambda: rows().set_axis(
        pd.MultiIndex.from_product([["a"], rows().columns]), axis=1
    ),
    "levels of rows": lambda: rows().set_index(["id", "size"], drop=False),
    "a matrix": rows()[["price"]].to_numpy,
    "a vector": lambda: np.arange(N),
    "records": lambda: rows()[["price"]].to_records(index=False),
    "a series": lambda: rows()["price"],
    "a series of polars": lambda: pl.Series("price", [1.0] * N),
    "an array of Arrow": lambda: pa.array([1.0] * N),
    "a list of dicts": lambda: rows().to_dict("records"),
    "a dict of lists": lambda: rows().to_dict("list"),
    "a sparse matrix": lambda: scipy.sparse.csr_matrix(np.eye(N)),
    "None": lambda: None,
    "bytes": lambda: b"x.csv",
    "an empty path": lambda: "",
    "a path with NUL": lambda: "a\0b.csv",
    "a generator": lambda: iter([1]),
    "no row": lambda: rows().iloc[:0],
    "no column": pd.DataFrame,
    "no column of Arrow": lambda: pa.table({}),
    "nothing known": lambda: rows().assign(price=None, size=None, text=None),
    "polars": lambda: pl.from_pandas(rows()),
    "lazy polars": lambda: pl.from_pandas(rows()).lazy(),
    "objects of polars": lambda: pl.from_pandas(rows()).with_columns(
        pl.Series("o", [object()] * N, dtype=pl.Object)
    ),
    "enum of polars": lambda: pl.from_pandas(rows()).with_columns(
        pl.col("size").cast(pl.Enum(["S", "M", "L"]))
    ),
    "wide integers of polars": lambda: pl.from_pandas(rows()).with_columns(
        pl.col("price").cast(pl.Int128)
    ),
}

INPUTS = {
    **OTHERS,
    **{f"a column: {name}": with_pandas(make) for name, make in SERIES.items()},
    **{f"a column: {name}": with_arrow(make) for name, make in COLUMNS.items()},
    **{f"the id: {name}": with_arrow(make, "id") for name, make in COLUMNS.items()},
    **{f"the text: {name}": with_arrow(make, "text") for name, make in COLUMNS.items()},
    **{f"the time: {name}": with_arrow(make, "at") for name, make in COLUMNS.items()},
}


def pipeline(**roles: str) -> Pipeline:
    steps = [("features", Features()), ("model", LogisticRegression())]
    return Pipeline(steps, id="id", text="text", **roles)


@pytest.fixture(scope="module")
def fitted() -> Pipeline:
    with warnings.catch_warnings(action="ignore"):
        return pipeline().fit(rows(), target="y")


@pytest.fixture(autouse=True)
def no_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("REVIEWML_STORE", "off")
    with warnings.catch_warnings(action="ignore"):
        yield


METHODS: dict[str, Callable[[Pipeline, Any, Path], Any]] = {
    "fit": lambda _, X, __: pipeline(time="at").fit(X, target="y"),
    "predict": lambda fitted, X, _: fitted.predict(X),
    "evaluate": lambda fitted, X, _: fitted.evaluate(X, target="y"),
    "explain": lambda fitted, X, _: fitted.explain(X),
    "plan": lambda _, X, __: pipeline().plan(X),
    "to_pandas": lambda _, X, __: as_dataset(X).to_pandas(),
    "write Parquet": lambda _, X, path: as_dataset(X).write(path / "x.parquet"),
    "write CSV": lambda _, X, path: as_dataset(X).write(path / "x.csv"),
    "write JSON": lambda _, X, path: as_dataset(X).write(path / "x.jsonl"),
    "join": lambda _, X, __: (
        as_dataset(X).join(as_dataset(rows()[["id"]].assign(z=1)), on="id").to_arrow()
    ),
}


def refused_in_our_words(work: Callable[[], Any]) -> bool:
    """Do some work, which may be refused; whatever else is raised is raised."""
    try:
        work()
    except ReviewmlError as error:
        assert CANARY not in "".join(traceback.format_exception(error))
        assert len(str(error)) > 20
        return True
    return False


@pytest.mark.parametrize("name", INPUTS)
def test_any_input_works_or_is_refused_in_our_words(
    name: str, fitted: Pipeline, tmp_path: Path
) -> None:
    for method in METHODS.values():
        refused_in_our_words(lambda: method(fitted, INPUTS[name](), tmp_path))  # noqa: B023


TARGETS: dict[str, Callable[[], Any]] = {
    "too short": lambda: [True, False],
    "two columns": lambda: np.ones((N, 2)),
    "a cube": lambda: np.ones((N, 1, 1)),
    "a number": lambda: 1,
    "a text": lambda: "y",
    "all masked": lambda: np.ma.array(np.arange(N), mask=True),
    "infinite": lambda: [float("inf"), 1.0, 2.5, 3.5] * (N // 4),
    "NaN": lambda: [float("nan")] * N,
    "None": lambda: [None] * N,
    "complex": lambda: np.arange(N) * 1j,
    "mixed": lambda: np.array([CANARY, 1] * (N // 2), dtype=object),
    "years": lambda: np.array([1, 2] * (N // 2), dtype="timedelta64[Y]"),
    "period": lambda: pd.Series(pd.period_range("2024-01", periods=N, freq="M")),
    "interval": lambda: pd.Series(pd.interval_range(0, N)),
    "a sparse matrix": lambda: scipy.sparse.csr_matrix(np.eye(N)),
    "two columns of pandas": lambda: rows()[["y", "price"]],
    "two columns of Arrow": lambda: pa.table({"a": [1] * N, "b": [1] * N}),
    "ragged": lambda: [[1], [1, 2]] * (N // 2),
    "objects": lambda: [object()] * N,
    "dicts": lambda: [{"a": 1}, {"a": 2}] * (N // 2),
    "large numbers": lambda: [10**50, 1] * (N // 2),
    "half a pair": lambda: ["\ud800", CANARY] * (N // 2),
    "a generator": lambda: iter([True] * N),
    "a set": lambda: {1, 2},
    "records": lambda: rows()[["price", "size"]].to_records(index=False),
    "fractions": lambda: [fractions.Fraction(1, 3), fractions.Fraction(1, 2)] * (N // 2),
    "months": lambda: pa.array([pa.MonthDayNano([1, 2, 3])] * N),
    "UUID": lambda: pa.array([b"0" * 16, b"1" * 16] * (N // 2), pa.uuid()),
    "unknown time zone": lambda: pa.array([1, 2] * (N // 2), MARS),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_that_cannot_be_learned_are_refused_in_our_words(
    name: str, fitted: Pipeline
) -> None:
    X = rows().drop(columns="y")
    assert refused_in_our_words(lambda: pipeline().fit(X, TARGETS[name]()))
    refused_in_our_words(lambda: fitted.evaluate(X, TARGETS[name]()))
    refused_in_our_words(lambda: fitted.score(X, TARGETS[name]()))


GOOD = [i % 7 > 3 for i in range(N)]


@pytest.mark.parametrize(
    "y",
    [
        GOOD,
        np.array(GOOD),
        np.array(GOOD)[:, None],
        pd.Series(GOOD),
        pd.DataFrame({"y": GOOD}),
        pl.Series("y", GOOD),
        pl.DataFrame({"y": GOOD}),
        pa.array(GOOD),
        pa.chunked_array([GOOD]),
        pa.table({"y": GOOD}),
        pd.Series(pd.arrays.SparseArray(GOOD)),
        pd.Series(pd.Categorical(GOOD)),
        np.ma.array(GOOD, mask=False),
    ],
    ids=lambda y: f"{type(y).__module__}.{type(y).__name__}",
)
def test_targets_of_every_library_are_the_same(y: Any, fitted: Pipeline) -> None:
    X = rows().drop(columns="y")
    pipe = pipeline().fit(X, y)
    np.testing.assert_array_equal(pipe.predict(X), fitted.predict(X))
    assert pipe.score(X, y) == fitted.score(X, GOOD)


def test_what_is_masked_is_not_learned() -> None:
    y = np.ma.array(np.arange(N) % 7 * 1.5, mask=np.arange(N) < 4)
    assert pipeline().fit(rows().drop(columns="y"), y).report_["rows"]["no_target"] == 4


def test_a_score_needs_every_target(fitted: Pipeline) -> None:
    with pytest.raises(ReviewmlError, match=f"y has no value in 1 of {N} rows"):
        fitted.score(rows(), [None, *GOOD[1:]])
    with pytest.raises(SchemaError, match="y goes with a frame"):
        fitted.score("rows.csv", GOOD)


@pytest.mark.parametrize("make", [COLUMNS["unknown time zone"], COLUMNS["sparse union"]])
def test_a_column_that_nobody_can_read_is_named(make: Callable[[], Any]) -> None:
    with pytest.raises(SchemaError, match="column 'x' is"):
        as_dataset(with_arrow(make)())


def test_a_time_zone_that_nobody_knows_is_refused_for_files_too(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("at,b\n2024-01-01,1\n")
    with pytest.raises(SchemaError, match="no time zone 'Mars/Olympus'"):
        as_dataset(Files(tmp_path / "x.csv", dtypes={"at": "timestamp[us, tz=Mars/Olympus]"}))


def test_what_a_file_cannot_hold_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    table = as_dataset(with_arrow(COLUMNS["months"])())
    for name in ("x.csv", "x.parquet"):
        with pytest.raises(SchemaError, match="column 'x' is month_day_nano_interval"):
            table.write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_run_end_encoded_columns_are_read_as_what_they_hold() -> None:
    table = as_dataset(with_arrow(COLUMNS["run-end encoded numbers"])()).to_arrow()
    assert table.column("x").to_pylist() == [1.0] * (N // 2) + [2.0] * (N // 2)


def test_levels_of_columns_are_explained() -> None:
    with pytest.raises(SourceError, match="have 2 levels: give each one name"):
        as_dataset(Frame(OTHERS["levels of columns"]()))


@pytest.mark.parametrize("template", [None, 3, b"{}", ["{}"]])
def test_a_template_that_is_no_text_is_refused(template: Any) -> None:
    with pytest.raises(ParameterError, match=f"hypothesis_template is a {type(template).__name__}"):
        fill_template(template, ["good"])


@pytest.mark.parametrize(
    "template",
    ["{.real}", "{0.__class__}", "{[0]}", "{:>9}", "{!r}", "{} {}", "{label}", "{", "{1}"],
)
def test_a_template_takes_nothing_but_the_label(template: str) -> None:
    with pytest.raises(ParameterError, match="cannot be filled in"):
        fill_template(template, ["good"])


@pytest.mark.parametrize("template", ["{}", "{0}, or {0}", "{{}} {}"])
def test_labels_are_filled_into_a_template(template: str) -> None:
    assert fill_template(template, ["good", "{}"]) == [template.format(x) for x in ("good", "{}")]


@pytest.mark.parametrize("role", ["id", "text", "rating", "time", "target"])
def test_a_role_is_the_name_of_a_column(role: str) -> None:
    with pytest.raises(SchemaError, match=f"{role}=3 is a int: give a column's name"):
        Pipeline(pipeline().steps, **{role: 3}).fit(rows())


def test_a_column_without_a_name_can_have_any_role() -> None:
    table = rows()
    for column, role in {"id": "id", "text": "text", "at": "time", "y": "target"}.items():
        roles = {"id": "id", "text": "text", "time": "at", "target": "y"} | {role: ""}
        pipe = Pipeline(pipeline().steps, **roles).fit(table.rename(columns={column: ""}))
        expected = Pipeline(pipeline().steps, **(roles | {role: column})).fit(table)
        np.testing.assert_array_equal(
            pipe.predict_proba(table.rename(columns={column: ""})), expected.predict_proba(table)
        )
        assert pipe.report_["split"].replace("''", f"'{column}'") == expected.report_["split"]


def test_rows_are_grouped_by_a_column_without_a_name() -> None:
    table = rows().drop(columns=["at", "id"])
    split = pipeline_of_sizes().fit(table, target="y", group="size").report_["split"]
    unnamed = table.rename(columns={"size": ""})
    assert pipeline_of_sizes().fit(unnamed, target="y", group="").report_["split"] == split.replace(
        "'size'", "''"
    )


def pipeline_of_sizes() -> Pipeline:
    return Pipeline(pipeline().steps, text="text")


@pytest.mark.parametrize("n", [-1, "a", 1.5, None])
def test_a_number_of_rows_is_a_whole_number(n: Any) -> None:
    for take in (lambda data: data.limit(n), lambda data: data.sample(n)):
        with pytest.raises(SourceError, match="expected a number of rows"):
            take(as_dataset(rows()))


@pytest.mark.parametrize("verb", ["select", "drop_duplicates"])
def test_one_text_is_no_list_of_columns(verb: str) -> None:
    rows = pa.table({"a": [1], "text": ["a"]})
    for relation in (as_dataset(rows), Frame(rows)):
        for name in ("a", "text"):
            with pytest.raises(
                ParameterError, match=rf"{verb}\(.*{name}.*is one text: give a list"
            ):
                getattr(relation, verb)(name)
