"""What the double computes, expression by expression."""

import datetime as dt
import json
from decimal import Decimal

import pytest

pytest.importorskip("fakesnow")
pytest.importorskip("snowflake.snowpark")

from snowflake.connector import ProgrammingError

DOCUMENT = {
    "c": [{"x": "é"}, 2, None],
    "k": {"x y": 5},
    "labels": ["a", "b"],
    "t": "2020-01-02T03:04:05",
    "f": ["nan", "inf", 1.5, True, None],
}


@pytest.fixture(scope="module")
def compute(double):
    with double.connect(database="COMPUTE", schema="PUBLIC") as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE D AS SELECT PARSE_JSON(%s) AS V", (json.dumps(DOCUMENT),))
        yield lambda expression: cursor.execute(f"SELECT {expression} FROM D").fetchone()[0]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("V:c[0]:x::STRING", "é"),
        ("V:c[0].x::STRING", "é"),
        ("V['c'][0]['x']::STRING", "é"),
        ("V['c'][1]::INT", 2),
        ("V['k']['x y']::INT", 5),
        ('V:k:"x y"::INT', 5),
        ("GET(V, 'labels')[1]::STRING", "b"),
        ("V[LOWER('T')]::TIMESTAMP_NTZ", dt.datetime(2020, 1, 2, 3, 4, 5)),
        ("V:c[2]::STRING", None),
        ("V:c[2] IS NULL", False),
        ("V:nothing IS NULL", True),
        ("V:labels[0] = 'a'", True),
        ("V:labels[0] IN ('a', 'x')", True),
        ("V:k::STRING", '{"x y":5}'),
        ("TYPEOF(V:k)", "OBJECT"),
        ("GET(V:f, 1)::FLOAT", float("inf")),
        ("GET(V:f, 3)::BOOLEAN", True),
        ("GET(V:f, 4)::FLOAT", None),
        ("'x'::VARIANT::STRING", "x"),
        ("ARRAY_SIZE(V:labels)", 2),
        ("ARRAY_CONTAINS('a'::VARIANT, V:labels)", True),
        ("ARRAY_CONTAINS('z'::VARIANT, V:labels)", False),
        ("ARRAY_TO_STRING(V:labels, '-')", "a-b"),
        ("TRY_PARSE_JSON('{')", None),
        ("COUNT_IF(V:k IS NULL)", 0),
    ],
)
def test_paths_and_casts_of_variants(compute, expression, expected):
    assert compute(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ARRAY_CONSTRUCT(1, 'a', NULL, TRUE)", [1, "a", None, True]),
        ("[1, 'a', {'Key': 2}]", [1, "a", {"Key": 2}]),
        ("ARRAY_CONSTRUCT(OBJECT_CONSTRUCT('a', 1))", [{"a": 1}]),
        ("OBJECT_CONSTRUCT('a', 1, 'b', NULL, 'c', ARRAY_CONSTRUCT('x'))", {"a": 1, "c": ["x"]}),
        (
            "ARRAY_CAT(V:labels, ARRAY_CONSTRUCT(1, OBJECT_CONSTRUCT('q', 1)))",
            ["a", "b", 1, {"q": 1}],
        ),
        ("ARRAY_APPEND(V:labels, 'c')", ["a", "b", "c"]),
        ("ARRAY_SLICE(V:labels, 0, 1)", ["a"]),
        ("ARRAY_DISTINCT(ARRAY_CONSTRUCT(1, 1, 2))", [1, 2]),
        ("OBJECT_KEYS(V:k)", ["x y"]),
        ("OBJECT_INSERT(V:k, 'z', 1)", {"x y": 5, "z": 1}),
        ("OBJECT_DELETE(V:k, 'x y')", {}),
        ("SPLIT('a,b', ',')", ["a", "b"]),
    ],
)
def test_arrays_and_objects(compute, expression, expected):
    assert json.loads(compute(expression)) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("SHA2('é')", "4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c"),
        (
            "HEX_ENCODE(SHA2_BINARY('é'))",
            "4A99557E4033C3539DE2EB65472017CAD5F9557F7A0625A09F1C3F6E2BA69C4C",
        ),
        ("MD5('é')", "66ddcd97cfdeabb2f6fb8a999b4bc76f"),
        ("HASH('a') = HASH('a')", True),
        ("LENGTH('é😀')", 2),
        ("OCTET_LENGTH('é😀')", 6),
        ("OCTET_LENGTH(TO_BINARY('6162', 'HEX'))", 2),
        ("REGEXP_COUNT('aXbXc', 'X')", 2),
        ("REGEXP_REPLACE('abc', 'b', 'x')", "axc"),
        ("LTRIM('xa', 'x')", "a"),
        ("BASE64_ENCODE('é')", "w6k="),
        ("BASE64_DECODE_STRING('w6k=')", "é"),
        ("TRY_CAST('x' AS INT)", None),
        ("TRY_CAST('x' AS TIMESTAMP_NTZ)", None),
        ("TRY_TO_NUMBER('x')", None),
        ("ZEROIFNULL(NULL)", 0),
        ("IFF(TRUE, 'a', 'b')", "a"),
        ("NVL(NULL, 3)", 3),
        ("DIV0(1, 0)", 0),
        ("EQUAL_NULL(NULL, NULL)", True),
        ("DAYOFWEEKISO('2020-01-05'::DATE)", 7),
        ("DATEDIFF(DAY, '2020-01-01'::DATE, '2020-01-03'::DATE)", 2),
        ("DATEDIFF('second', '2020-01-01'::TIMESTAMP, '2020-01-02'::TIMESTAMP)", 86400),
        ("DATE_PART(EPOCH_SECOND, '2020-01-01'::TIMESTAMP)", 1577836800),
        (
            "DATE_PART(EPOCH_MICROSECOND, '2020-01-01 00:00:00.123456'::TIMESTAMP_NTZ)",
            1577836800123456,
        ),
        (
            "TO_TIMESTAMP_LTZ(1577836800123456, 6)",
            dt.datetime(2020, 1, 1, 0, 0, 0, 123456, tzinfo=dt.UTC),
        ),
        (
            "'2020-01-01 10:00 +02:00'::TIMESTAMP_TZ",
            dt.datetime(2020, 1, 1, 8, tzinfo=dt.UTC),
        ),
        ("TO_TIMESTAMP_NTZ(1577836800, 0)", dt.datetime(2020, 1, 1)),
        ("DATEADD(MICROSECOND, 5, '00:00:00'::TIME)", dt.time(0, 0, 0, 5)),
        ("TO_NUMBER('12.5', 10, 1)", Decimal("12.5")),
        ("TO_VARCHAR(COALESCE(SUM(190), 0))", "190"),
        ("9007199254740993::NUMBER + 0", 9007199254740993),
    ],
)
def test_functions(compute, expression, expected):
    assert compute(expression) == expected


def test_sums_of_numbers_are_exact(ask):
    ask("CREATE TABLE T (A NUMBER(38, 0))")
    ask("INSERT INTO T VALUES (9007199254740993), (1)")
    assert ask("SELECT SUM(A) FROM T") == [(9007199254740994,)]


@pytest.mark.parametrize("sql", ["SELECT 1 / A FROM (SELECT 0 AS A)", "SELECT TO_NUMBER('words')"])
def test_what_snowflake_fails_on_fails(ask, sql):
    with pytest.raises(ProgrammingError):
        ask(sql)


def test_columns_without_a_name_are_called_as_in_snowflake(connection):
    cursor = connection.cursor()
    cursor.execute("SELECT count(*), 'a b', current_role(), $1 FROM VALUES (1) GROUP BY $1")
    assert [one.name for one in cursor.description] == ["COUNT(*)", "'a b'", "CURRENT_ROLE()", "$1"]


def test_flatten_keeps_the_order(ask):
    ask("CREATE TABLE D AS SELECT 1 AS ID, PARSE_JSON(%s) AS V", (json.dumps(DOCUMENT),))
    flattened = "D, LATERAL FLATTEN(INPUT => V:c) F"
    assert ask(f"SELECT F.INDEX, F.VALUE:x::STRING, F.PATH FROM {flattened}") == [
        (0, "é", "[0]"),
        (1, None, "[1]"),
        (2, None, "[2]"),
    ]
    assert ask("SELECT ID, VALUE::STRING FROM D, TABLE(FLATTEN(V:labels))") == [(1, "a"), (1, "b")]
    assert ask("SELECT ID, F.VALUE FROM D, LATERAL FLATTEN(V:nothing, OUTER => TRUE) F") == [
        (1, None)
    ]
    assert ask('SELECT KEY FROM TABLE(FLATTEN(PARSE_JSON(\'{"b": 1, "a": 2}\')))') == [
        ("a",),
        ("b",),
    ]


def test_asof_join_takes_the_last_before_and_keeps_what_has_none(ask):
    ask("CREATE TABLE L AS SELECT $1 AS K, $2 AS T FROM VALUES (1, 10), (1, 3), (2, 5)")
    ask("CREATE TABLE R AS SELECT $1 AS K, $2 AS T, $3 AS V FROM VALUES (1, 5, 'x'), (1, 9, 'y')")
    assert ask(
        "SELECT L.K, L.T, A.V, B.V FROM L "
        "ASOF JOIN R A MATCH_CONDITION (L.T > A.T) ON L.K = A.K "
        "ASOF JOIN R B MATCH_CONDITION (L.T >= B.T) ON L.K = B.K ORDER BY 1, 2"
    ) == [(1, 3, None, None), (1, 10, "y", "y"), (2, 5, None, None)]


def test_merge_counts_what_it_did(connection, ask):
    ask("CREATE TABLE T AS SELECT $1 AS ID, $2 AS S FROM VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    ask("CREATE TABLE N AS SELECT $1 AS ID, $2 AS S FROM VALUES (1, 'z'), (3, NULL), (9, 'n')")
    cursor = connection.cursor()
    cursor.execute(
        "MERGE INTO T AS OLD USING (SELECT * FROM N) AS NEW ON OLD.ID = NEW.ID "
        "WHEN MATCHED AND NEW.S IS NULL THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET OLD.S = NEW.S "
        "WHEN NOT MATCHED THEN INSERT (ID, S) VALUES (NEW.ID, NEW.S)"
    )
    assert [one.name for one in cursor.description] == [
        "number of rows inserted",
        "number of rows updated",
        "number of rows deleted",
    ]
    assert cursor.fetchall() == [(1, 1, 1)]
    assert ask("SELECT * FROM T ORDER BY ID") == [(1, "z"), (2, "b"), (9, "n")]


def test_merge_refuses_to_change_a_row_twice(ask):
    ask("CREATE TABLE T AS SELECT 1 AS ID, 'a' AS S")
    with pytest.raises(ProgrammingError, match="more than once"):
        ask(
            "MERGE INTO T USING (SELECT $1 AS ID FROM VALUES (1), (1)) N ON T.ID = N.ID "
            "WHEN MATCHED THEN UPDATE SET S = 'x'"
        )


def test_gathered_values_leave_out_nulls_and_are_empty_for_no_row(ask):
    ask("CREATE TABLE T AS SELECT $1 AS X FROM VALUES ('b'), (NULL), ('a'), ('b')")
    asked = (
        "ARRAY_AGG(X) WITHIN GROUP (ORDER BY X DESC), ARRAY_SIZE(ARRAY_AGG(DISTINCT X)), "
        "LISTAGG(X, '-') WITHIN GROUP (ORDER BY X), ARRAY_AGG(OBJECT_CONSTRUCT('x', X))"
    )
    (row,) = ask(f"SELECT {asked} FROM T")
    assert json.loads(row[0]) == ["b", "b", "a"]
    assert row[1:3] == (2, "a-b-b")
    assert len(json.loads(row[3])) == 4
    assert ask(f"SELECT {asked} FROM T WHERE X = 'z'") == [("[]", 0, "", "[]")]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE DYNAMIC TABLE D TARGET_LAG = '1 minute' WAREHOUSE = W AS SELECT 1 AS A",
        "CREATE MATERIALIZED VIEW V AS SELECT 1 AS A",
        "CREATE EXTERNAL TABLE E (A INT) LOCATION = @X",
        "ALTER SESSION SET TIMEZONE = 'Europe/Berlin'",
        "SELECT * FROM T AT(OFFSET => -60)",
        "INSERT ALL INTO T VALUES (1) SELECT 1",
    ],
)
def test_what_would_be_done_by_half_is_refused(ask, sql):
    ask("CREATE TABLE T (A INT)")
    with pytest.raises(ProgrammingError, match=r"its README"):
        ask(sql)


def test_tables_change(ask):
    ask("CREATE TABLE T (A INT)")
    ask("ALTER TABLE T ADD COLUMN IF NOT EXISTS B FLOAT")
    ask("ALTER TABLE T ADD COLUMN IF NOT EXISTS B FLOAT")
    assert ask("INSERT INTO T VALUES (1, 1), (2, 2)") == [(2,)]
    assert ask("UPDATE T SET B = 3 WHERE A = 1") == [(1, 0)]
    assert ask("DELETE FROM T WHERE A = 2") == [(1,)]
    ask("CREATE OR REPLACE VIEW V AS SELECT A, B * 2 AS C FROM T")
    assert ask("SELECT * FROM V") == [(1, 6.0)]
    assert [row[:2] for row in ask("DESCRIBE VIEW V")] == [("A", "NUMBER(38,0)"), ("C", "FLOAT")]
    ask("TRUNCATE TABLE T")
    assert ask("SELECT * FROM T QUALIFY ROW_NUMBER() OVER (ORDER BY A) = 1") == []
