"""Functions in Python that the double runs, as Snowpark registers them and as SQL defines them."""

import datetime as dt
import json
import sys
import zipfile
from decimal import Decimal

import pandas as pd
import pytest

pytest.importorskip("fakesnow")
pytest.importorskip("snowflake.snowpark")

from snowflake.connector import ProgrammingError
from snowflake.snowpark import functions
from snowflake.snowpark.types import (
    ArrayType,
    FloatType,
    IntegerType,
    LongType,
    PandasDataFrameType,
    PandasSeriesType,
    StringType,
    StructField,
    StructType,
    VariantType,
)

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
PYTHON = f"LANGUAGE PYTHON RUNTIME_VERSION = '{VERSION}'"


@pytest.fixture
def table(session):
    session.sql("CREATE TABLE T (A INT, B VARCHAR)").collect()
    session.sql("INSERT INTO T VALUES (2, 'x'), (1, 'é'), (NULL, NULL)").collect()
    return session.table("T").sort(functions.col("A").desc_nulls_last())


def values(frame):
    return [row[0] for row in frame.collect()]


def test_a_function_of_values(session, table):
    def joined(a: int, b: str) -> str:
        return f"{a}{b}"

    session.udf.register(joined, name="JOINED", packages=["pandas"])
    called = functions.call_udf("JOINED", functions.col("A"), functions.col("B"))
    assert values(table.select(called)) == ["2x", "1é", "NoneNone"]
    assert session.sql("SELECT joined(3, 'q')").collect()[0][0] == "3q"


@pytest.mark.parametrize("size", [None, 1, 2])
def test_a_function_of_batches(session, table, size):
    longest = []

    def doubled(frame):
        longest.append(len(frame))
        return frame[0] * 2.5

    double = session.udf.register(
        doubled,
        return_type=PandasSeriesType(FloatType()),
        input_types=[PandasDataFrameType([LongType(), StringType()])],
        max_batch_size=size,
    )
    assert values(table.select(double("A", "B"))) == [5.0, 2.5, None]


def test_variants_and_arrays_go_in_and_come_out(session, table):
    described = session.udf.register(
        lambda v: {"got": v, "kind": type(v).__name__},
        return_type=VariantType(),
        input_types=[VariantType()],
    )
    rows = values(
        table.select(described(functions.to_variant(functions.array_construct("A", "B"))))
    )
    assert json.loads(rows[0]) == {"got": [2, "x"], "kind": "list"}
    extended = session.udf.register(
        lambda a: [*a, "end"], return_type=ArrayType(), input_types=[ArrayType()]
    )
    assert json.loads(values(table.select(extended(functions.array_construct("B"))))[1]) == [
        "é",
        "end",
    ]


@pytest.mark.parametrize(
    ("kind", "sql", "expected"),
    [
        ("INT", "1", "int 1"),
        ("NUMBER(10, 2)", "1.25", "Decimal 1.25"),
        ("FLOAT", "1", "float 1.0"),
        ("VARCHAR", "'é'", "str é"),
        ("BOOLEAN", "TRUE", "bool True"),
        ("BINARY", "TO_BINARY('6162', 'HEX')", "bytes b'ab'"),
        ("DATE", "'2020-01-02'::DATE", "date 2020-01-02"),
        ("TIME", "'03:04:05'::TIME", "time 03:04:05"),
        ("TIMESTAMP_NTZ", "'2020-01-02'::TIMESTAMP_NTZ", "datetime 2020-01-02 00:00:00"),
        ("VARIANT", "PARSE_JSON('[1]')", "list [1]"),
        ("OBJECT", "OBJECT_CONSTRUCT('a', 1)", "dict {'a': 1}"),
        ("VARCHAR", "NULL", "NoneType None"),
    ],
)
def test_values_are_those_of_python(ask, kind, sql, expected):
    ask(
        f"CREATE TEMPORARY FUNCTION TOLD(X {kind}) RETURNS VARCHAR {PYTHON} HANDLER = 'told' AS "
        "'def told(x): return f\"{type(x).__name__} {x}\"'"
    )
    assert ask(f"SELECT TOLD({sql})") == [(expected,)]


@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [
        ("INT", "1", 1),
        ("NUMBER(10, 2)", "Decimal('1.25')", Decimal("1.25")),
        ("FLOAT", "1.5", 1.5),
        ("BOOLEAN", "True", True),
        ("BINARY", "b'ab'", b"ab"),
        ("DATE", "date(2020, 1, 2)", dt.date(2020, 1, 2)),
        ("TIMESTAMP_NTZ", "datetime(2020, 1, 2)", dt.datetime(2020, 1, 2)),
        ("VARIANT", "{'a': [1, None, 'é']}", '{\n  "a": [\n    1,\n    null,\n    "é"\n  ]\n}'),
        ("INT", "None", None),
    ],
)
def test_answers_are_those_of_snowflake(ask, kind, code, expected):
    ask(
        f"CREATE FUNCTION GIVEN() RETURNS {kind} {PYTHON} HANDLER = 'given' AS $$\n"
        "from datetime import date, datetime\nfrom decimal import Decimal\n"
        f"def given():\n    return {code}\n$$"
    )
    assert ask("SELECT GIVEN()") == [(expected,)]


def test_batches_have_the_types_of_pandas(ask):
    ask(
        "CREATE TEMPORARY FUNCTION DTYPES(A INT, B VARCHAR, C FLOAT, D BOOLEAN, E TIMESTAMP_NTZ) "
        f"RETURNS VARCHAR {PYTHON} HANDLER = 'dtypes' PACKAGES = ('pandas') AS $$\n"
        "import pandas\nfrom _snowflake import vectorized\n"
        "@vectorized(input=pandas.DataFrame)\n"
        "def dtypes(frame):\n"
        "    return [' '.join(map(str, frame.dtypes))] * len(frame)\n$$"
    )
    assert ask("SELECT DTYPES(1, 'x', 1.5::FLOAT, TRUE, '2020-01-01'::TIMESTAMP_NTZ)") == [
        ("Int64 string float64 boolean datetime64[ns]",)
    ]


def test_a_strict_function_is_not_asked_about_null(ask):
    ask(
        f"CREATE FUNCTION F(X INT) RETURNS INT {PYTHON} STRICT IMMUTABLE HANDLER = 'f' "
        "AS 'def f(x): return x + 1'"
    )
    assert ask("SELECT F(NULL), F(1)") == [(None, 2)]


def test_code_from_a_stage(ask, tmp_path):
    (tmp_path / "words.py").write_text(
        "import table\ndef count(text):\n    return table.NUMBERS[text]\n"
    )
    (tmp_path / "data.txt").write_text("7")
    with zipfile.ZipFile(tmp_path / "table.zip", "w") as archive:
        archive.writestr(
            "table.py",
            "import pathlib, sys\n"
            "place = pathlib.Path(sys._xoptions['snowflake_import_directory'])\n"
            "NUMBERS = {'x': int((place / 'data.txt').read_text())}\n",
        )
    ask("CREATE STAGE CODE")
    for name in ("words.py", "table.zip", "data.txt"):
        ask(f"PUT file://{tmp_path}/{name} @CODE AUTO_COMPRESS = FALSE")
    ask(
        f"CREATE FUNCTION COUNTED(T VARCHAR) RETURNS INT {PYTHON} HANDLER = 'words.count' "
        "IMPORTS = ('@CODE/words.py', '@CODE/table.zip', '@CODE/data.txt')"
    )
    assert ask("SELECT COUNTED('x')") == [(7,)]
    assert "_snowflake" not in sys.modules


def test_a_failure_is_told(ask):
    ask(
        f"CREATE FUNCTION F(X INT) RETURNS INT {PYTHON} HANDLER = 'f' "
        "AS 'def f(x): raise ValueError(\"no é\")'"
    )
    with pytest.raises(ProgrammingError, match="ValueError: no é in function F") as refused:
        ask("SELECT F(1)")
    assert refused.value.errno == 100357


def test_functions_are_replaced_shown_and_dropped(ask):
    for number in (1, 2):
        ask(
            f"CREATE OR REPLACE FUNCTION F() RETURNS INT {PYTHON} HANDLER = 'f' "
            f"AS 'def f(): return {number}'"
        )
        assert ask("SELECT F()") == [(number,)]
    assert ask("SHOW USER FUNCTIONS")[0][0] == "F"
    ask("DROP FUNCTION F()")
    ask("DROP FUNCTION IF EXISTS F()")
    with pytest.raises(ProgrammingError, match="Unknown function F"):
        ask("SELECT F()")


class Repeated:
    def process(self, a: int, b: str):
        for n in range(a):
            yield n, f"{b}!"

    def end_partition(self):
        yield 99, "end"


class Tenfold:
    def end_partition(self, frame):
        frame = frame.copy()
        frame.columns = ["A", "B"]
        frame["A"] = frame["A"] * 10
        return frame


@pytest.fixture
def repeated(session):
    schema = StructType([StructField("I", IntegerType()), StructField("S", StringType())])
    session.udtf.register(
        Repeated, schema, input_types=[IntegerType(), StringType()], name="REPEATED"
    )


def test_rows_for_each_row(session, table, repeated):
    kept = table.filter("A IS NOT NULL")
    rows = kept.join_table_function("REPEATED", functions.col("A"), functions.col("B")).collect()
    assert [tuple(row) for row in rows] == [
        (2, "x", 0, "x!"),
        (2, "x", 1, "x!"),
        (1, "é", 0, "é!"),
        (None, None, 99, "end"),
    ]


def test_rows_for_each_partition(session, table, repeated):
    kept = table.filter("A IS NOT NULL")
    called = functions.call_table_function("REPEATED", functions.col("A"), functions.col("B"))
    rows = kept.join_table_function(called.over(partition_by="B", order_by="A")).collect()
    assert sorted((tuple(row) for row in rows), key=str) == [
        (1, "é", 0, "é!"),
        (2, "x", 0, "x!"),
        (2, "x", 1, "x!"),
        (None, "x", 99, "end"),
        (None, "é", 99, "end"),
    ]


def test_rows_of_a_function_alone(session, repeated):
    rows = session.table_function("REPEATED", functions.lit(1), functions.lit("k")).collect()
    assert [tuple(row) for row in rows] == [(0, "k!"), (99, "end")]


def test_partitions_in_pandas(session, table):
    session.udtf.register(
        Tenfold,
        PandasDataFrameType([IntegerType(), StringType()], ["X", "Y"]),
        input_types=[PandasDataFrameType([IntegerType(), StringType()])],
        name="TENFOLD",
    )
    called = functions.call_table_function("TENFOLD", "A", "B").over(partition_by=functions.lit(1))
    rows = table.select(called).collect()
    assert {tuple(row) for row in rows} == {(20, "x"), (10, "é"), (None, None)}


def test_groups_in_pandas(session, table):
    def first(group: pd.DataFrame) -> pd.DataFrame:
        return group.head(1)

    schema = StructType([StructField("A", IntegerType()), StructField("B", StringType())])
    rows = table.group_by("B").apply_in_pandas(first, output_schema=schema).collect()
    assert {tuple(row) for row in rows} == {(2, "x"), (1, "é"), (None, None)}
