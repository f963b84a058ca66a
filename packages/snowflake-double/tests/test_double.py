"""The double as the connector sees it: values, names, sessions, transactions, the log."""

import datetime as dt
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from decimal import Decimal

import pytest

pytest.importorskip("fakesnow")
pytest.importorskip("snowflake.snowpark")

from snowflake.connector import ProgrammingError
from snowflake_double import snowflake_double
from snowflake_double.names import quoted
from snowflake_double.statements import normalised

TEXTS = [
    "",
    "it's",
    'say "hello"',
    "back\\slash",
    "semi; colon -- no comment /* nor this */ $$",
    "two\nlines\r\n\ttab",
    "nul \0 within",
    "日本語 и ещё é 😀",
    "'; DROP TABLE T; --",
    "%s ? :1 {x} $1 @stage",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_bound_text_comes_back_byte_for_byte(ask, text):
    assert ask("SELECT %s", (text,)) == [(text,)]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_bound_on_the_server_comes_back_byte_for_byte(double, text):
    with double.connect(paramstyle="qmark") as connection:
        assert connection.cursor().execute("SELECT ?", (text,)).fetchall() == [(text,)]


@pytest.mark.parametrize("text", TEXTS)
def test_a_literal_text_comes_back_byte_for_byte(ask, text):
    written = text.translate(str.maketrans({"\\": "\\\\", "'": "''", "\0": "\\0"}))
    assert ask(f"SELECT '{written}' AS T") == [(text,)]


@pytest.mark.parametrize(
    "name", ["a b", 'q"uote', "it's", "semi;--", "new\nline", "日本語", "😀", "/*x*/", "a.b"]
)
def test_a_quoted_name_is_kept(ask, name):
    ask(f"CREATE TABLE {quoted(name)} ({quoted(name)} VARCHAR(10))")
    ask(f"INSERT INTO {quoted(name)} VALUES ('x')")
    assert ask(f"SELECT {quoted(name)} FROM {quoted(name)}") == [("x",)]
    assert ask(f"DESCRIBE TABLE {quoted(name)}")[0][0] == name
    ask(f"DROP TABLE {quoted(name)}")


def test_values_of_each_type_and_their_nulls(ask):
    ask(
        "CREATE TABLE T (I INT, N NUMBER(10, 2), F FLOAT, S VARCHAR, B BOOLEAN, D DATE, T TIME, "
        "TS TIMESTAMP_NTZ, TZ TIMESTAMP_LTZ, X BINARY, V VARIANT)"
    )
    ask("INSERT INTO T (I) VALUES (NULL)")
    ask(
        "INSERT INTO T SELECT 1, 2.25, 1.5, 'x', TRUE, '2020-01-02', '03:04:05', "
        "'2020-01-02 03:04:05.123456', '2020-01-02 03:04:05', TO_BINARY('6162', 'HEX'), "
        "PARSE_JSON('{\"a\": 1}')"
    )
    empty, full = ask("SELECT * FROM T ORDER BY I NULLS FIRST")
    assert empty == (None,) * 11
    assert full == (
        1,
        Decimal("2.25"),
        1.5,
        "x",
        True,
        dt.date(2020, 1, 2),
        dt.time(3, 4, 5),
        dt.datetime(2020, 1, 2, 3, 4, 5, 123456),
        dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        b"ab",
        '{\n  "a": 1\n}',
    )


def test_values_bound_on_the_server_keep_their_types(double):
    values = (
        1,
        1.5,
        True,
        None,
        b"ab",
        dt.date(2020, 1, 2),
        dt.time(3, 4, 5),
        dt.datetime(2020, 1, 2, 3, 4, 5),
    )
    with double.connect(paramstyle="qmark") as connection:
        marks = ", ".join("?" * len(values))
        (row,) = connection.cursor().execute(f"SELECT {marks}", values).fetchall()
    assert row == values


def test_many_rows_are_bound_at_once(double, database):
    with double.connect(database=database, schema="PUBLIC", paramstyle="qmark") as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE T (A INT, B VARCHAR)")
        cursor.executemany("INSERT INTO T VALUES (?, ?)", [[n, None] for n in range(300)])
        assert cursor.rowcount == 300
        counted = cursor.execute("SELECT COUNT(*), COUNT(B), SUM(A) FROM T").fetchall()
    assert counted == [(300, 0, 44850)]


def test_many_rows_come_in_parts(double, connection):
    cursor = connection.cursor()
    with double.watch() as seen:
        cursor.execute("SELECT SEQ4() AS A FROM TABLE(GENERATOR(ROWCOUNT => 25000))")
        parts = [len(list(part)) for part in cursor.get_result_batches()]
    assert parts == [10000, 10000, 5000]
    assert seen.rows == 25000


def test_results_of_arrow_and_pandas(connection):
    cursor = connection.cursor()
    cursor.execute("SELECT 1 AS A, 'x' AS B UNION ALL SELECT NULL, NULL ORDER BY 1")
    assert cursor.fetch_arrow_all().to_pydict() == {"A": [1, None], "B": ["x", None]}
    assert list(cursor.execute("SELECT 1 AS A").fetch_pandas_all()["A"]) == [1]


def test_the_log_tells_statements_tags_and_rows(double, ask):
    with double.watch() as seen:
        ask("ALTER SESSION SET QUERY_TAG = 'it''s {\"step\": 1}'")
        ask("SELECT 1 -- why\n UNION   ALL SELECT 2")
        ask("ALTER SESSION UNSET QUERY_TAG")
        ask("CREATE TABLE T (A INT)")
    assert seen.sql[1] == "SELECT 1 UNION ALL SELECT 2"
    assert [one.tag for one in seen.statements[1:]] == ['it\'s {"step": 1}'] * 2 + [""]
    assert [one.rows for one in seen.statements] == [0, 2, 0, 0]
    assert seen.rows == 2


def test_a_statement_that_fails_is_logged(double, ask):
    with double.watch() as seen, pytest.raises(ProgrammingError):
        ask("SELECT * FROM NOWHERE")
    assert seen.sql == ["SELECT * FROM NOWHERE"]


def test_a_session_knows_who_and_where_it_is(double):
    with double.connect(
        database="DB1", schema="SC1", warehouse="WH1", role="R1", user="u1"
    ) as connection:
        cursor = connection.cursor()
        asked = "CURRENT_WAREHOUSE(), CURRENT_ROLE(), CURRENT_DATABASE(), CURRENT_SCHEMA()"
        assert cursor.execute(f"SELECT {asked}").fetchone() == ("WH1", "R1", "DB1", "SC1")
        cursor.execute("USE WAREHOUSE WH2")
        cursor.execute('USE ROLE "r 2"')
        assert cursor.execute(f"SELECT {asked}").fetchone()[:2] == ("WH2", "r 2")
        assert (connection.database, connection.schema) == ("DB1", "SC1")


def test_a_temporary_table_is_its_sessions_alone_and_shadows_another(double, database):
    one, other = (double.connect(database=database, schema="PUBLIC") for _ in range(2))
    one.cursor().execute("CREATE TABLE T AS SELECT 'for all' AS A")
    one.cursor().execute(f'CREATE SCOPED TEMPORARY TABLE "{database}".PUBLIC.T (A VARCHAR)')
    one.cursor().execute("INSERT INTO T VALUES ('mine')")
    assert one.cursor().execute("SELECT T.A FROM T").fetchall() == [("mine",)]
    assert other.cursor().execute("SELECT A FROM PUBLIC.T").fetchall() == [("for all",)]
    assert one.cursor().execute("DESC TABLE T").fetchall()[0][:2] == ("A", "VARCHAR(16777216)")
    one.cursor().execute("DROP TABLE T")
    assert one.cursor().execute("SELECT A FROM T").fetchall() == [("for all",)]


def test_what_is_temporary_goes_with_the_session(double, database):
    with double.connect(database=database, schema="PUBLIC") as connection:
        connection.cursor().execute("CREATE TEMPORARY TABLE GONE (A INT)")
        connection.cursor().execute("CREATE TEMPORARY STAGE GONE")
        connection.cursor().execute("LIST @GONE")
    with double.connect(database=database, schema="PUBLIC") as connection:
        for sql in ("SELECT * FROM GONE", "LIST @GONE"):
            with pytest.raises(ProgrammingError, match="GONE' does not exist"):
                connection.cursor().execute(sql)


def test_a_transaction_is_seen_when_it_is_committed(double, database):
    one, other = (double.connect(database=database, schema="PUBLIC") for _ in range(2))
    count = "SELECT COUNT(*) FROM T"
    one.cursor().execute("CREATE TABLE T (A INT)")
    for end, seen in (("ROLLBACK", 0), ("COMMIT", 1)):
        one.cursor().execute("BEGIN")
        one.cursor().execute("INSERT INTO T VALUES (1)")
        assert one.cursor().execute(count).fetchone() == (1,)
        assert other.cursor().execute(count).fetchone() == (0,)
        one.cursor().execute(end)
        assert other.cursor().execute(count).fetchone() == (seen,)


def test_sessions_work_at_once(double, database):
    failed = []

    def work(number):
        try:
            with double.connect(database=database, schema=f"S{number}") as connection:
                cursor = connection.cursor()
                cursor.execute("CREATE TABLE T (A INT)")
                for n in range(10):
                    cursor.execute("INSERT INTO T VALUES (%s)", (n,))
                assert cursor.execute("SELECT SUM(A) FROM T").fetchone() == (45,)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_databases_and_schemas(ask):
    ask("CREATE DATABASE ELSEWHERE")
    assert ask("SELECT CURRENT_DATABASE(), CURRENT_SCHEMA()") == [("ELSEWHERE", "PUBLIC")]
    ask("CREATE SCHEMA S2")
    ask("CREATE TABLE ELSEWHERE.S2.T AS SELECT 1 AS A")
    ask("USE SCHEMA PUBLIC")
    assert ask("SELECT A FROM S2.T") == [(1,)]
    assert [row[1] for row in ask("SHOW TABLES IN SCHEMA ELSEWHERE.S2")] == ["T"]
    found = ask("SELECT TABLE_NAME FROM ELSEWHERE.INFORMATION_SCHEMA.TABLES")
    assert ("T",) in found
    ask("DROP DATABASE ELSEWHERE")
    with pytest.raises(ProgrammingError, match="'ELSEWHERE' does not exist"):
        ask("DROP DATABASE ELSEWHERE")


def test_statements_that_return_later(connection):
    cursor = connection.cursor()
    cursor.execute_async("SELECT 7")
    cursor.get_results_from_sfqid(cursor.sfqid)
    assert cursor.fetchall() == [(7,)]


def test_what_returns_later_sends_no_rows(connection, double):
    cursor = connection.cursor()
    with double.watch() as watched:
        cursor.execute_async("SHOW PARAMETERS")
        again = f"SELECT COUNT(*) FROM TABLE(RESULT_SCAN('{cursor.sfqid}'))"
        assert cursor.execute(again).fetchone()[0] > 0
    assert [one.rows for one in watched.statements] == [0, 1]


def test_an_earlier_result_is_read_again(connection):
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE T (A INT)")
    cursor.execute("SHOW TABLES")
    again = f"SELECT \"name\" FROM TABLE(RESULT_SCAN('{cursor.sfqid}'))"
    assert cursor.execute(again).fetchall() == [("T",)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT FROBNICATE(1)",
        "SELECT LIST_TRANSFORM([1], X -> X)",
        "SELECT * FROM READ_CSV('/etc/passwd')",
        "PRAGMA VERSION",
        "ATTACH ':memory:' AS X",
        "INSTALL HTTPFS",
        "COPY (SELECT 1) TO '/tmp/x'",
        "ALTER WAREHOUSE W RESUME",
        "CREATE PIPE P AS SELECT 1",
        "CREATE PROCEDURE P() RETURNS INT LANGUAGE SQL AS 'SELECT 1'",
        "CREATE FUNCTION F() RETURNS INT LANGUAGE SQL AS '1'",
        "CREATE STAGE S URL = 's3://bucket'",
        "GRANT SELECT ON TABLE T TO ROLE R",
        "EXPLAIN SELECT 1",
        "UNDROP TABLE T",
        "CALL P()",
    ],
)
def test_what_is_not_known_is_refused_with_the_place_of_the_list(ask, sql):
    with pytest.raises(ProgrammingError, match=r"in its README\."):
        ask(sql)


def test_files_of_this_machine_are_out_of_reach(ask):
    with pytest.raises(ProgrammingError, match="does not exist"):
        ask("SELECT * FROM '/etc/passwd'")


def test_a_path_that_is_not_known_is_refused(double):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{double.server.address}/api/v2/warehouses")
    assert refused.value.code == 404
    assert b"GET /api/v2/warehouses is not known" in refused.value.read()


def test_what_is_missing_is_told_as_snowflake_does(ask):
    with pytest.raises(ProgrammingError, match="Object 'NOPE' does not exist") as refused:
        ask("SELECT * FROM NOPE")
    assert (refused.value.errno, refused.value.sqlstate) == (2003, "42S02")
    with pytest.raises(ProgrammingError, match="already exists") as refused:
        ask("CREATE STAGE S")
        ask("CREATE STAGE S")
    assert refused.value.errno == 2002


def test_a_double_that_is_reset_has_forgotten_all():
    with snowflake_double() as double:
        port = double.server.port
        double.connect().cursor().execute("CREATE TABLE T (A INT)")
        double.cortex.sentiment = str
        double.reset()
        assert double.server.port == port
        assert not double.statements
        assert double.cortex.sentiment is not str
        with pytest.raises(ProgrammingError, match="'T' does not exist"):
            double.connect().cursor().execute("SELECT * FROM T")


@pytest.mark.slow  # it starts Python
@pytest.mark.parametrize("end", ["pass", "raise ValueError('the end')", "double.reset()"])
def test_a_script_ends_with_its_clients_left_open(end):
    script = f"""
from snowflake_double import snowflake_double
with snowflake_double() as double:
    kept = double.session(), double.connect()
    kept[0].sql("SELECT 1").collect()
    {end}
"""
    done = subprocess.run(
        [sys.executable, "-c", script], timeout=60, capture_output=True, text=True
    )
    assert done.returncode == ("raise" in end)
    assert ("the end" in done.stderr) == ("raise" in end)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1 ;", "SELECT 1"),
        ("SELECT '  ;--' -- gone\n", "SELECT '  ;--'"),
        ('SELECT "a  b" /* gone */ , $$ x  y $$', 'SELECT "a  b" , $$ x  y $$'),
        ("SELECT 'it\\'s  ''so'''", "SELECT 'it\\'s  ''so'''"),
    ],
)
def test_statements_are_normalised_outside_of_quotes(sql, expected):
    assert normalised(sql) == expected
