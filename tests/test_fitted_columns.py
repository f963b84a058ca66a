"""New rows have the types that a pipeline was fitted on, wherever these are left open."""

from __future__ import annotations

import datetime as dt
import json
import warnings
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from reviewml import Files, Frame, Pipeline, Table, load
from reviewml.cli import main
from reviewml.data.frames import as_dataset
from reviewml.errors import SchemaError
from reviewml.featurizers import Features
from reviewml.trainers import LogisticRegression

ROWS = 60
FITTED = pa.table(
    {
        "id": [f"{n:05}" for n in range(ROWS)],
        "price": [n % 7 + 0.5 for n in range(ROWS)],
        "pages": [n % 5 for n in range(ROWS)],
        "code": ["00501" if n % 3 else "10115" for n in range(ROWS)],
        "new": [n % 2 == 0 for n in range(ROWS)],
        "day": [dt.date(2026, 1, 1 + n % 28) for n in range(ROWS)],
        "note": [f"unused {n}" for n in range(ROWS)],
        "y": [n % 2 for n in range(ROWS)],
    }
)
COLUMNS = ("price", "pages", "code", "new", "day")


def make(table: pa.Table, kind: str, folder: Path) -> Any:
    """Return rows as a source or frame of a kind, written to a folder if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rows.{kind}"
    if kind == "csv":
        options = pa.csv.WriteOptions(quoting_style="needed")
        pa.csv.write_csv(table, path, options)
    elif kind in ("jsonl", "sparse.jsonl"):
        lines = [
            json.dumps(
                {k: v for k, v in row.items() if v is not None or kind == "jsonl"}, default=str
            )
            for row in table.to_pylist()
        ]
        path.write_text("\n".join(lines))
    elif kind == "parquet":
        pq.write_table(table, path)
    elif kind == "duckdb":
        with duckdb.connect(str(path)) as connection:
            connection.register("rows", table)
            connection.execute("CREATE TABLE rows_ AS SELECT * FROM rows")
        return Table(f"duckdb:///{path}", "SELECT * FROM rows_", id="id")
    else:
        return {"arrow": table, "pandas": table.to_pandas(), "polars": pl.from_arrow(table)}[kind]
    return Files(path, id="id")


SOURCES = ["csv", "jsonl", "sparse.jsonl", "parquet", "duckdb"]
FRAMES = ["arrow", "pandas", "polars"]


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    steps = [("f", Features()), ("m", LogisticRegression())]
    rows = make(FITTED, "csv", tmp_path_factory.mktemp("fit"))
    return Pipeline(steps).fit(rows, target="y")


def today(*, empty: tuple[str, ...] = (), typed: bool = True) -> pa.Table:
    rows = FITTED.slice(0, 6).drop_columns(["y"])
    for name in empty:
        kind = FITTED.schema.field(name).type if typed else pa.null()
        rows = rows.set_column(rows.schema.get_field_index(name), name, pa.nulls(6, kind))
    return rows


def expected(pipe: Pipeline, rows: pa.Table) -> np.ndarray:
    return pipe.transform(rows)


@pytest.mark.parametrize("kind", SOURCES + FRAMES)
@pytest.mark.parametrize("empty", [*((name,) for name in COLUMNS), COLUMNS], ids=str)
@pytest.mark.filterwarnings("ignore:no row at the head")
def test_a_column_that_is_empty_today_predicts(
    pipe: Pipeline, tmp_path: Path, kind: str, empty: tuple[str, ...]
) -> None:
    rows = make(today(empty=empty, typed=kind != "duckdb"), kind, tmp_path)
    np.testing.assert_array_equal(pipe.transform(rows), expected(pipe, today(empty=empty)))
    scored = as_dataset(pipe.predict(rows)).to_arrow() if kind in SOURCES else pipe.predict(rows)
    assert len(scored) == 6


@pytest.mark.parametrize("empty", COLUMNS)
def test_columns_of_nan_predict_whatever_they_were(pipe: Pipeline, empty: str) -> None:
    frame = today().to_pandas()
    frame[empty] = np.nan
    found = pipe.transform(frame)
    np.testing.assert_array_equal(found, expected(pipe, today(empty=(empty,))))
    dataset = as_dataset(frame)
    np.testing.assert_array_equal(pipe.transform(dataset), found)


@pytest.mark.parametrize("kind", ["csv", "parquet", "duckdb"])
def test_a_header_without_rows_predicts(pipe: Pipeline, tmp_path: Path, kind: str) -> None:
    rows = make(today().slice(0, 0), kind, tmp_path)
    assert pipe.predict(rows).to_arrow().schema.names == ["id", "prediction", "probability"]
    assert pipe.predict(rows).count() == 0


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_what_looks_like_another_type_today_is_read_as_fitted(
    pipe: Pipeline, tmp_path: Path, kind: str
) -> None:
    content = {
        "csv": "id,price,pages,code,new,day,note\n00000,1,1,10115,true,2026-01-01,1\n",
        "jsonl": json.dumps(
            {"id": "00000", "price": 1, "pages": 1, "code": "10115", "new": True}
            | {"day": "2026-01-01", "note": "1"}
        ),
    }[kind]
    (tmp_path / f"rows.{kind}").write_text(content)
    source = Files(tmp_path / f"rows.{kind}", id="id")
    row = {"price": 1.0, "pages": 1, "code": "10115", "new": True, "day": dt.date(2026, 1, 1)}
    table = pa.Table.from_pylist([{"id": "00000", **row, "note": "1"}])
    np.testing.assert_array_equal(pipe.transform(source), expected(pipe, table))
    assert pipe.predict(source).to_arrow()["id"].to_pylist() == ["00000"]


def test_files_that_differ_today_are_read_as_fitted(pipe: Pipeline, tmp_path: Path) -> None:
    header = "id,price,pages,code,new,day,note\n"
    (tmp_path / "a.csv").write_text(f"{header}1,,1,00501,true,2026-01-01,7\n")
    (tmp_path / "b.csv").write_text(f"{header}2,1,1,10115,,2026-01-01,x\n")
    features = pipe.transform(Files(tmp_path, id="id"))
    place = [feature.name for feature in pipe.features_].index("code")
    assert features[:, place].tolist() == [0, 1]


def test_types_that_the_user_gives_win(pipe: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,price,pages,code,new,day\n7,1,1,5,true,2026-01-01\n")
    with pytest.raises(SchemaError, match=r"column 'code' holds int64, but .* on string"):
        pipe.transform(Files(tmp_path, id="id", dtypes={"code": "int64"}))


def test_a_column_that_holds_something_else_is_refused(pipe: Pipeline, tmp_path: Path) -> None:
    header = "id,price,pages,code,new,day\n"
    (tmp_path / "a.csv").write_text(f"{header}7,cheap,1,5,true,2026-01-01\n8,dear,1,5,,\n")
    for rows in (Files(tmp_path), pd.read_csv(tmp_path / "a.csv", dtype={"code": str})):
        with pytest.raises(SchemaError, match=r"column 'price' holds .*, but .* fitted on double"):
            pipe.transform(rows)


def test_a_refusal_says_how_to_read_what_is_written_otherwise(
    pipe: Pipeline, tmp_path: Path
) -> None:
    lines = ["id;price;pages;code;new;day", "7;1,5;1;00501;true;1767225600"]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(SchemaError, match=r"'price' holds string.*: give decimal= or thousands="):
        pipe.transform(Files(tmp_path, id="id"))
    with pytest.raises(SchemaError, match=r"'day'.*dtypes={'day': 'timestamp\[s\]'}"):
        pipe.transform(Files(tmp_path, id="id", decimal=","))
    types = {"day": "timestamp[s]"}
    features = pipe.transform(Files(tmp_path, id="id", decimal=",", dtypes=types))
    day = pa.array([dt.date(2026, 1, 1)])
    columns = {"id": ["7"], "price": [1.5], "pages": [1], "code": ["00501"], "new": [True]}
    np.testing.assert_array_equal(features, expected(pipe, pa.table({**columns, "day": day})))


@pytest.mark.parametrize("use", ["predict", "predict_proba", "explain", "enrich", "evaluate"])
def test_every_use_of_a_pipeline_reads_as_fitted(pipe: Pipeline, tmp_path: Path, use: str) -> None:
    (tmp_path / "fitted").mkdir()
    loaded = load(pipe.save(tmp_path / "fitted/model"))
    rows = FITTED.set_column(1, "price", pa.nulls(ROWS)).slice(0, 20)
    source = make(rows, "csv", tmp_path)
    for one in (pipe, loaded):
        found = getattr(one, use)(source)
        assert found is not None
        if use in ("predict", "predict_proba", "enrich"):
            assert found.count() == 20


def test_joined_rows_are_read_as_fitted(tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    rows = "".join(f"{n},{n % 9}\n" for n in range(ROWS))
    (tmp_path / "views.csv").write_text("id,product\n" + rows)
    path.write_text("sku,weight\n" + "".join(f"{n},{n}.5\n" for n in range(9)))
    source = Files(tmp_path / "views.csv", id="id")
    steps = [("f", Features()), ("m", LogisticRegression())]
    table = as_dataset(source.join(Files(path), left_on="product", right_on="sku")).to_arrow()
    y = np.arange(ROWS) % 2
    pipe = Pipeline(steps).fit(table, y)
    path.write_text("sku,weight\n" + "".join(f"{n},\n" for n in range(9)))
    for other in (Files(path), str(path)):
        joined = source.join(other, left_on="product", right_on="sku")
        place = [feature.name for feature in pipe.features_].index("weight")
        assert np.isnan(pipe.transform(joined)[:, place]).all()


def test_keys_that_no_line_has_are_told(pipe: Pipeline, tmp_path: Path) -> None:
    rows = make(today(empty=("price",)), "sparse.jsonl", tmp_path)
    with pytest.warns(UserWarning, match="no row at the head of the files has the keys 'price'"):
        pipe.transform(rows)


def test_the_command_line_reads_as_fitted(pipe: Pipeline, tmp_path: Path) -> None:
    pipe.save(tmp_path / "model")
    make(today(empty=("price", "day")), "csv", tmp_path)
    arguments = ["predict", str(tmp_path / "model"), str(tmp_path / "rows.csv")]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert len(done.stdout.strip().splitlines()) == 7


def test_fitting_again_learns_the_types_anew(tmp_path: Path) -> None:
    steps = [("f", Features()), ("m", LogisticRegression())]
    (tmp_path / "a.csv").write_text(
        "x,y\n" + "".join(f"{'ab'[n % 2]},{n % 2}\n" for n in range(20))
    )
    pipe = Pipeline(steps).fit(Files(tmp_path / "a.csv"), target="y")
    (tmp_path / "b.csv").write_text("x,y\n" + "".join(f"{n},{n % 2}\n" for n in range(20)))
    assert pipe.fit(Files(tmp_path / "b.csv"), target="y").schema_["x"] == "int64"


def test_a_role_that_is_spelled_otherwise_today_is_told(tmp_path: Path) -> None:
    steps = [("f", Features(text_statistics=False)), ("m", LogisticRegression())]
    rows = FITTED.rename_columns(["ID", *FITTED.column_names[1:]])
    pipe = Pipeline(steps, id="ID").fit(rows, target="y")
    with pytest.warns(UserWarning, match="no column 'ID', which had the role 'id', but 'id'"):
        pipe.predict(FITTED)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipe.predict(rows.drop_columns(["y"]))
        pipe.predict(Frame(FITTED.rename_columns(["key", *FITTED.column_names[1:]]), id="key"))
