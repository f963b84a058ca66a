"""Stages of the double: files put, listed, fetched, removed, read as rows and copied."""

import datetime as dt
import gzip
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

pytest.importorskip("fakesnow")
pytest.importorskip("snowflake.snowpark")

from snowflake.connector import ProgrammingError
from snowflake.connector.pandas_tools import write_pandas

FRAME = pd.DataFrame(
    {
        "ID": [1, 2],
        "t x": ["é", None],
        "F": [1.5, None],
        "TS": pd.to_datetime(["2020-01-01 10:00", None]),
        "B": [True, False],
    }
)
LINES = 'héllo, "x" \\ back\nsecond\r\nlast'


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a b é.txt").write_bytes(LINES.encode())
    (tmp_path / "b.csv").write_text('id,t\n1,"a ""q"", b\nc"\n2,\n3,\\N\n4,pl\\,ain\n')
    (tmp_path / "c.json").write_text('{"a": 1, "b": {"c": ["é"]}}\n{"a": null}\n')
    FRAME.to_parquet(tmp_path / "p.parquet")
    return tmp_path


@pytest.fixture
def stage(ask, files):
    ask("CREATE STAGE S")
    for file in sorted(files.iterdir()):
        compress = file.suffix == ".csv"
        ask(f"PUT 'file://{file}' @S/in AUTO_COMPRESS = {compress}")
    return "@S/in"


def test_files_are_put_listed_fetched_and_removed(ask, stage, tmp_path):
    names = [row[0] for row in ask("LIST @S")]
    assert names == ["s/in/a b é.txt", "s/in/b.csv.gz", "s/in/c.json", "s/in/p.parquet"]
    assert [row[0] for row in ask("LS @S/in/c")] == ["s/in/c.json"]
    assert [row[0] for row in ask("LIST @S PATTERN = '.*[.]txt'")] == ["s/in/a b é.txt"]
    out = tmp_path / "out"
    out.mkdir()
    ask(f"GET '@S/in/a b é.txt' 'file://{out}/'")
    assert (out / "a b é.txt").read_bytes() == LINES.encode()
    assert ask("REMOVE @S PATTERN = '.*json'") == [("s/in/c.json", "removed")]
    assert len(ask("LIST @S")) == 3


def test_a_path_does_not_leave_its_stage(ask, files):
    ask("CREATE STAGE S")
    with pytest.raises(ProgrammingError, match="outside"):
        ask(f"PUT file://{files}/c.json @S/../../x")


def test_stages_are_shown_and_dropped(ask):
    ask("CREATE STAGE A COMMENT = 'it''s'")
    ask("CREATE TEMPORARY STAGE B")
    ask("CREATE STAGE IF NOT EXISTS A")
    assert [(row[1], row[6], row[7]) for row in ask("SHOW STAGES")] == [
        ("A", "it's", "INTERNAL"),
        ("B", "", "INTERNAL TEMPORARY"),
    ]
    ask("DROP STAGE A")
    with pytest.raises(ProgrammingError, match=r"'[A-Z0-9]*.PUBLIC.A' does not exist"):
        ask("DESCRIBE STAGE A")


def test_lines_of_text(ask, stage):
    ask(
        "CREATE TEMPORARY FILE FORMAT LINES TYPE = CSV FIELD_DELIMITER = NONE "
        "ESCAPE_UNENCLOSED_FIELD = NONE"
    )
    assert ask(
        "SELECT $1, METADATA$FILENAME, METADATA$FILE_ROW_NUMBER "
        f"FROM {stage} (FILE_FORMAT => 'LINES', PATTERN => '.*[.]txt')"
    ) == [
        ('héllo, "x" \\ back', "in/a b é.txt", 1),
        ("second", "in/a b é.txt", 2),
        ("last", "in/a b é.txt", 3),
    ]


def test_a_file_as_one_text(ask, stage, database):
    ask(
        "CREATE FILE FORMAT WHOLE TYPE = CSV FIELD_DELIMITER = NONE RECORD_DELIMITER = NONE "
        "ESCAPE_UNENCLOSED_FIELD = NONE"
    )
    asked = f"(FILE_FORMAT => '{database}.PUBLIC.WHOLE')"
    assert ask(f"SELECT T.$1 FROM '@S/in/a b é.txt' {asked} T") == [(LINES,)]


def test_delimited_text_by_the_rules_of_snowflake(ask, stage):
    asked = "(FILE_FORMAT => (TYPE = CSV SKIP_HEADER = 1 FIELD_OPTIONALLY_ENCLOSED_BY = '\"'))"
    assert ask(f"SELECT $1::INT, $2, $3 FROM {stage}/b.csv {asked}") == [
        (1, 'a "q", b\nc', None),
        (2, None, None),
        (3, None, None),
        (4, "pl,ain", None),
    ]


def test_json(ask, stage):
    asked = "(FILE_FORMAT => (TYPE = JSON))"
    assert ask(f"SELECT $1:a::INT, $1:b:c[0]::STRING FROM {stage}/c {asked}") == [
        (1, "é"),
        (None, None),
    ]


def test_parquet(ask, stage):
    asked = "(FILE_FORMAT => (TYPE = PARQUET))"
    columns = '$1:ID::INT, $1:"t x"::STRING, $1:TS::TIMESTAMP_NTZ, $1:F::FLOAT, $1:none::STRING'
    assert ask(f"SELECT {columns} FROM {stage}/p {asked}") == [
        (1, "é", dt.datetime(2020, 1, 1, 10), 1.5, None),
        (2, None, None, None, None),
    ]


@pytest.mark.parametrize("kind", ["CSV", "JSON", "PARQUET"])
def test_a_file_without_a_byte_has_no_row(ask, stage, tmp_path, kind):
    (tmp_path / "empty").write_bytes(b"")
    ask(f"PUT file://{tmp_path}/empty @S AUTO_COMPRESS = FALSE")
    assert ask("LIST @S/empty")[0][:2] == ("s/empty", 0)
    assert ask(f"SELECT $1 FROM @S/empty (FILE_FORMAT => (TYPE = {kind}))") == []


def test_a_schema_is_inferred(ask, stage):
    ask("CREATE FILE FORMAT P TYPE = PARQUET")
    inferred = f"INFER_SCHEMA(LOCATION => '{stage}/p', FILE_FORMAT => 'P')"
    assert ask(f"SELECT COLUMN_NAME, TYPE FROM TABLE({inferred}) ORDER BY ORDER_ID") == [
        ("ID", "NUMBER(38, 0)"),
        ("t x", "TEXT"),
        ("F", "REAL"),
        ("TS", "TIMESTAMP_NTZ"),
        ("B", "BOOLEAN"),
    ]


def test_files_are_copied_once(ask, stage):
    ask('CREATE TABLE T ("t x" VARCHAR, ID INT, TS TIMESTAMP_NTZ)')
    copy = (
        f"COPY INTO T FROM {stage}/p FILE_FORMAT = (TYPE = PARQUET) "
        "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"
    )
    assert ask(copy)[0][:4] == ("in/p.parquet", "LOADED", 2, 2)
    assert ask(copy) == [("Copy executed with 0 files processed.",)]
    assert ask(f"{copy} FORCE = TRUE")[0][3] == 2
    assert ask('SELECT "t x", ID FROM T ORDER BY ID, 1') == [
        ("é", 1),
        ("é", 1),
        (None, 2),
        (None, 2),
    ]


def test_a_copy_that_selects(ask, stage, database):
    ask(f'CREATE TEMPORARY TABLE "{database}"."PUBLIC"."T" (C0 TEXT, C1 NUMBER(38, 0))')
    ask(
        f'COPY INTO "{database}"."PUBLIC"."T" (C0, C1) FROM (SELECT $1:"t x"::TEXT, '
        f'$1:"ID"::NUMBER(38, 0) FROM @"{database}"."PUBLIC"."S"/in/p) '
        "FILE_FORMAT = (TYPE = PARQUET)"
    )
    assert ask("SELECT * FROM T ORDER BY C1") == [("é", 1), (None, 2)]


def test_a_copy_loads_all_or_nothing(ask, tmp_path):
    ask("CREATE STAGE S")
    ask("CREATE TABLE T (A INT)")
    for name, text in (("1.csv", "1\n2\n"), ("2.csv", "3\nno number\n")):
        (tmp_path / name).write_text(text)
        ask(f"PUT file://{tmp_path}/{name} @S")
    with pytest.raises(ProgrammingError, match="no number"):
        ask("COPY INTO T FROM @S FILE_FORMAT = (TYPE = CSV)")
    assert ask("SELECT COUNT(*) FROM T") == [(0,)]


def test_options_that_are_not_known_are_refused(ask, stage):
    for option in ("DATE_FORMAT = 'YYYY'", "ENCODING = 'LATIN1'"):
        with pytest.raises(ProgrammingError, match=r"its README"):
            ask(f"CREATE OR REPLACE FILE FORMAT F TYPE = CSV {option}")
    with pytest.raises(ProgrammingError, match=r"VALIDATION_MODE.*\n.*its README"):
        ask(f"COPY INTO T FROM {stage} VALIDATION_MODE = RETURN_ERRORS")


@pytest.mark.parametrize("kind", ["", "temp"])
def test_write_pandas(connection, ask, kind):
    done, parts, rows, _ = write_pandas(
        connection,
        FRAME,
        "it's a frame",
        auto_create_table=True,
        use_logical_type=True,
        overwrite=True,
        table_type=kind,
    )
    assert (done, parts, rows) == (True, 1, 2)
    assert ask('SELECT * FROM "it\'s a frame" ORDER BY ID') == [
        (1, "é", 1.5, dt.datetime(2020, 1, 1, 10), True),
        (2, None, None, None, False),
    ]


def test_compressed_files_are_what_they_were(ask, stage, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    ask(f"GET {stage}/b.csv.gz file://{out}")
    assert gzip.decompress(Path(out / "b.csv.gz").read_bytes()) == (tmp_path / "b.csv").read_bytes()


def test_rows_of_a_query_are_unloaded_to_parquet(ask, tmp_path):
    ask("CREATE STAGE S")
    ask('CREATE TABLE T (A BIGINT, "t x" VARCHAR, F DOUBLE, TS TIMESTAMP_NTZ, V VARIANT)')
    ask("""INSERT INTO T SELECT 1, 'é '';"', 0.1, '2020-01-01 10:00', PARSE_JSON('{"a": [1]}')""")
    ask("INSERT INTO T (A) VALUES (NULL)")
    copy = "COPY INTO '@S/out/' FROM (SELECT * FROM T) FILE_FORMAT = (TYPE = parquet) HEADER = TRUE"
    [(count, _, size)] = ask(copy)
    assert (count, size > 0) == (2, True)
    ask(f"GET @S/out/ 'file://{tmp_path}/'")
    [file] = tmp_path.glob("*.parquet")
    read = pq.read_table(file)
    moment = dt.datetime(2020, 1, 1, 10)
    assert [column.to_pylist() for column in read.columns] == [
        [1, None],
        ["é ';\"", None],
        [0.1, None],
        [moment, None],
        ['{"a":[1]}', None],
    ]
    assert read.column_names == ["A", "t x", "F", "TS", "V"]

    with pytest.raises(ProgrammingError, match="already existing"):
        ask(copy)
    assert ask(f"{copy} OVERWRITE = TRUE")[0][0] == 2
    ask(
        "COPY INTO @S/none/ FROM (SELECT 1 AS A WHERE FALSE) "
        "FILE_FORMAT = (TYPE = parquet) HEADER = TRUE"
    )
    assert ask("LIST @S/none") == []


@pytest.mark.parametrize(
    ("query", "rest", "error"),
    [
        ("SELECT 1 AS A", "FILE_FORMAT = (TYPE = CSV) HEADER = TRUE", "CSV"),
        ("SELECT 1 AS A", "FILE_FORMAT = (TYPE = PARQUET)", "HEADER = TRUE"),
        ("SELECT 1 AS A", "FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE SINGLE = TRUE", "SINGLE"),
        ("SELECT 1 AS A", "PARTITION BY (A) FILE_FORMAT = (TYPE = PARQUET)", "PARTITION"),
        (
            "SELECT '2020-01-01'::TIMESTAMP_LTZ AS T",
            "FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE",
            "'T' is a TIMESTAMP_LTZ",
        ),
    ],
)
def test_what_is_not_unloaded_is_refused(ask, query, rest, error):
    ask("CREATE STAGE S")
    with pytest.raises(ProgrammingError, match=error):
        ask(f"COPY INTO @S/out FROM ({query}) {rest}")
    assert ask("LIST @S") == []
