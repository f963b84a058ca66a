"""The double as Snowpark sees it."""

import datetime as dt
import json

import pandas as pd
import pytest

pytest.importorskip("fakesnow")
pytest.importorskip("snowflake.snowpark")

from snowflake.snowpark import (
    Window,
    functions,
)
from snowflake.snowpark.types import (
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
)

ROWS = [[1, "a"], [2, "é's"], [3, None]]


@pytest.fixture
def frame(session):
    return session.create_dataframe(ROWS, schema=["ID", "the text"])


def rows(frame):
    return [tuple(row) for row in frame.collect()]


def test_frames_of_values(session, frame):
    assert rows(frame) == [tuple(row) for row in ROWS]
    typed = StructType([StructField("A", LongType()), StructField("B", StringType())])
    assert rows(session.create_dataframe([[None, "x"], [1, None]], schema=typed)) == [
        (None, "x"),
        (1, None),
    ]
    assert rows(session.create_dataframe([], schema=typed)) == []


def test_frames_of_many_values(session):
    many = [[n, "x", None, dt.datetime(2020, 1, 1), b"1", 1.5, True] for n in range(200)]
    frame = session.create_dataframe(many, schema=list("ABCDEFG")).sort("A").limit(1)
    assert rows(frame) == [tuple(many[0])]


def test_frames_of_pandas(session):
    given = pd.DataFrame({"A": [1, 2], "b c": ["x", None]})
    frame = session.create_dataframe(given)
    assert rows(frame.sort("A")) == [(1, "x"), (2, None)]
    assert list(frame.to_pandas().columns) == ["A", "b c"]


def test_sql_with_parameters(session):
    assert rows(session.sql("SELECT ? AS A, ? AS B", params=[1, "é'; --"])) == [(1, "é'; --")]


def test_columns_filters_windows_and_groups(session, frame):
    numbered = frame.with_column(
        "N", functions.row_number().over(Window.order_by(functions.col("ID").desc()))
    )
    assert rows(numbered.filter(functions.col("N") < 2).select("ID", "N")) == [(3, 1)]
    grouped = frame.group_by((functions.col("ID") % 2).alias("ODD")).agg(
        functions.sum("ID").alias("S"), functions.count("*").alias("N")
    )
    assert rows(grouped.sort("ODD")) == [(0, 2, 1), (1, 4, 2)]
    assert frame.count() == 3


def test_joins_keep_what_is_left(session, frame):
    other = session.create_dataframe([[1, "x"]], schema=["ID", "OTHER"])
    assert rows(frame.join(other, "ID", "left").select("ID", "OTHER").sort("ID")) == [
        (1, "x"),
        (2, None),
        (3, None),
    ]


def test_rows_are_fetched_in_each_way(double, session, frame):
    frame.write.save_as_table("T")
    table = session.table("T").sort("ID")
    with double.watch() as seen:
        assert len(table.to_pandas()) == 3
        assert table.to_arrow().num_rows == 3
        assert [len(part) for part in table.to_pandas_batches()] == [3]
        assert [row.ID for row in table.to_local_iterator()] == [1, 2, 3]
        assert table.collect_nowait().result()[0].ID == 1
    assert seen.rows >= 15


def test_tables_and_views_are_written(session, frame):
    frame.write.save_as_table("T", mode="overwrite")
    frame.write.save_as_table("T", mode="append")
    assert session.table("T").count() == 6
    session.table("T").create_or_replace_view("V")
    assert session.table("V").schema.names == ["ID", '"the text"']
    session.table("T").create_or_replace_temp_view("TV")
    assert session.table("TV").count() == 6
    kept = session.table("T").cache_result()
    session.sql("DROP TABLE T").collect()
    assert kept.count() == 6


def test_merge(session, frame):
    frame.write.save_as_table("T")
    table = session.table("T")
    new = session.create_dataframe([[1, "new"], [9, "more"]], schema=["ID", "the text"])
    merged = table.merge(
        new,
        table["ID"] == new["ID"],
        [
            functions.when_matched().update({"the text": new["the text"]}),
            functions.when_not_matched().insert({"ID": new["ID"], "the text": new["the text"]}),
        ],
    )
    assert (merged.rows_inserted, merged.rows_updated) == (1, 1)
    assert rows(session.table("T").sort("ID"))[0] == (1, "new")
    assert session.table("T").count() == 4


def test_files_are_read(session, tmp_path):
    pd.DataFrame({"ID": [1, 2], "T": ["é", None]}).to_parquet(tmp_path / "p.parquet")
    (tmp_path / "c.csv").write_text("a,b\n1,x\n2,y\n")
    (tmp_path / "j.json").write_text('{"a": 1}')
    session.sql("CREATE STAGE S").collect()
    put = session.file.put(f"{tmp_path}/*", "@S/in", auto_compress=False)
    assert {one.status for one in put} == {"UPLOADED"}
    assert rows(session.read.parquet("@S/in/p.parquet")) == [(1, "é"), (2, None)]
    assert [json.loads(row[0]) for row in rows(session.read.json("@S/in/j.json"))] == [{"a": 1}]
    schema = StructType([StructField("A", IntegerType()), StructField("B", StringType())])
    read = session.read.schema(schema).option("skip_header", 1).csv("@S/in/c.csv")
    assert rows(read) == [(1, "x"), (2, "y")]
    out = tmp_path / "out"
    session.file.get("@S/in/j.json", str(out))
    assert (out / "j.json").read_text() == '{"a": 1}'


def test_pandas_are_written(session):
    given = pd.DataFrame({"ID": [1], "T": ["é"]})
    session.write_pandas(given, "W", auto_create_table=True)
    assert rows(session.table("W")) == [(1, "é")]
