"""What Snowflake's documentation says of functions and constructs: the double says the same."""

import datetime as dt
import re
from decimal import Decimal

import pytest

pytest.importorskip("fakesnow")
pytest.importorskip("snowflake.snowpark")

from snowflake.connector import ProgrammingError
from snowflake_double.cortex.answers import FUNCTIONS as CORTEX
from snowflake_double.sql import dialect, knowing

DAY = dt.date(2020, 1, 31)
MOMENT = "'2020-01-02 03:04:05.678'::TIMESTAMP_NTZ"

TEXTS = [
    ("TRIM('  a  ') || '|'", "a|"),
    ("LTRIM('  a  ') || '|'", "a  |"),
    ("RTRIM('  a  ') || '|'", "  a|"),
    ("LTRIM('xxa', 'x')", "a"),
    ("RTRIM(RTRIM('1.500', '0'), '.')", "1.5"),
    ("TRIM('*-a-*', '*-')", "a"),
    ("LENGTH('é😀')", 2),
    ("LEN(TO_BINARY('616263'))", 3),
    ("CHAR_LENGTH(12)", 2),
    ("OCTET_LENGTH('é')", 2),
    ("UPPER(PARSE_JSON('\"x\"'))", "X"),
    ("LOWER('AbC')", "abc"),
    ("CONCAT('a', NULL)", None),
    ("CONCAT('a', 1, 2.50)", "a12.50"),
    ("CONCAT_WS('-', 'a', 'b', 'c')", "a-b-c"),
    ("CONCAT_WS('-', 'a', NULL)", None),
    ("1.50 || 'a'", "1.50a"),
    ("TRUE || 'a'", "truea"),
    ("1.0::FLOAT || 'a'", "1a"),
    ("NULL || 'a'", None),
    ("TO_BINARY('61') || TO_BINARY('62')", b"ab"),
    ("SUBSTR('abc', 0, 2)", "ab"),
    ("SUBSTR('abc', -2)", "bc"),
    ("SUBSTR('abc', 1, -1)", ""),
    ("SUBSTRING('abcdef', 2, 3)", "bcd"),
    ("SUBSTR('abc', 9)", ""),
    ("LEFT('abc', -1)", ""),
    ("LEFT('abc', 9)", "abc"),
    ("RIGHT('abc', 2)", "bc"),
    ("SPLIT_PART('a,b', ',', 0)", "a"),
    ("SPLIT_PART('a,b', ',', -1)", "b"),
    ("SPLIT_PART('a,b', ',', 9)", ""),
    ("SPLIT_PART('a,b', '', 1)", "a,b"),
    ("SPLIT('a,b', ',')::VARCHAR", '["a","b"]'),
    ("STARTSWITH('abc', 'ab')", True),
    ("ENDSWITH('abc', 'bc')", True),
    ("CONTAINS('abc', 'x')", False),
    ("CONTAINS('abc', NULL)", None),
    ("CHARINDEX('b', 'abcb', 3)", 4),
    ("CHARINDEX('z', 'abc')", 0),
    ("POSITION('b' IN 'abc')", 2),
    ("POSITION('b', 'abc')", 2),
    ("REPLACE('abcb', 'b')", "ac"),
    ("REPLACE('abc', 'b', NULL)", None),
    ("REPEAT('ab', 2)", "abab"),
    ("REVERSE('abc')", "cba"),
    ("SPACE(2) || '|'", "  |"),
    ("LPAD('1', 3, '0')", "001"),
    ("LPAD('abc', 2)", "ab"),
    ("RPAD('a', 3, 'xy')", "axy"),
    ("ASCII('')", 0),
    ("ASCII('a')", 97),
    ("TRANSLATE('abc', 'ab', 'x')", "xc"),
    ("MD5('a')", "0cc175b9c0f1b6a831c399e269772661"),
    ("MD5_HEX('a')", "0cc175b9c0f1b6a831c399e269772661"),
    ("SHA1('a')", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
    ("SHA1_HEX('a')", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
    ("LEFT(SHA2('a', 256), 8)", "ca978112"),
    ("LEFT(SHA2_HEX('a'), 8)", "ca978112"),
    ("LEFT(HEX_ENCODE(SHA2_BINARY('a')), 8)", "CA978112"),
    ("HEX_ENCODE('é')", "C3A9"),
    ("HEX_DECODE_STRING('C3A9')", "é"),
    ("HEX_DECODE_BINARY('6162')", b"ab"),
    ("BASE64_ENCODE('é')", "w6k="),
    ("BASE64_DECODE_STRING('w6k=')", "é"),
    ("BASE64_DECODE_BINARY('YWI=')", b"ab"),
    ("TO_BINARY('6162')", b"ab"),
    ("TO_BINARY('YWI=', 'BASE64')", b"ab"),
    ("TO_BINARY('ab', 'UTF-8')", b"ab"),
    ("TRY_TO_BINARY('xx')", None),
    ("TO_VARCHAR(TO_BINARY('6162'))", "6162"),
    ("TO_VARCHAR(TO_BINARY('6162'), 'UTF-8')", "ab"),
    ("TO_CHAR(TO_BINARY('6162'), 'BASE64')", "YWI="),
    ("TO_BINARY('6162')::VARCHAR", "6162"),
    ("'abcdef'::VARCHAR(3)", "abc"),
    ("REGEXP_LIKE('abc', 'b')", False),
    ("REGEXP_LIKE('abc', '.B.', 'i')", True),
    ("REGEXP_LIKE('a\\n', 'a.')", False),
    ("REGEXP_LIKE('a\\n', 'a.', 's')", True),
    ("RLIKE('abc', 'a.*')", True),
    ("'abc' RLIKE 'a.'", False),
    ("REGEXP_REPLACE('abcb', 'b')", "ac"),
    ("REGEXP_REPLACE('abc', '(b)', '[\\\\1]')", "a[b]c"),
    ("REGEXP_SUBSTR('abc', 'B', 1, 1, 'i')", "b"),
    ("REGEXP_SUBSTR('a1b2', '[a-z]([0-9])', 1, 2, 'e')", "2"),
    ("REGEXP_SUBSTR('abc', 'z')", None),
    ("REGEXP_COUNT('abcb', 'b')", 2),
    ("'abc' LIKE 'A%'", False),
    ("'abc' ILIKE 'A%'", True),
    ("'a_c' LIKE 'a^_c' ESCAPE '^'", True),
    ("'abc' LIKE ANY ('x%', 'a%')", True),
    ("'a' = 'a '", False),
    ("'a' < 'B'", False),
]

TIMES = [
    (f"TO_CHAR({MOMENT}, 'YYYY-MM-DD HH24:MI:SS.FF9')", "2020-01-02 03:04:05.678000000"),
    (
        f"TO_CHAR(DATEADD(HOUR, 12, {MOMENT}), 'DY, DD MON YY HH12:MI PM')",
        "Thu, 02 Jan 20 03:04 PM",
    ),
    (f"TO_VARCHAR({MOMENT}, 'YYYYMMDD')", "20200102"),
    ("TO_CHAR('2020-01-02'::DATE, 'MM/DD/YYYY')", "01/02/2020"),
    ("TO_CHAR('03:04:05'::TIME, 'HH24:MI')", "03:04"),
    ("TO_CHAR('2020-01-02 00:00:00Z'::TIMESTAMP_LTZ, 'YYYY-MM-DD')", "2020-01-02"),
    ("'2020-01-02'::TIMESTAMP_NTZ::VARCHAR", "2020-01-02 00:00:00.000"),
    ("'2020-01-02'::DATE::VARCHAR", "2020-01-02"),
    ("'03:04:05.5'::TIME::VARCHAR", "03:04:05"),
    ("'2020-01-02 03:04:05.6789'::TIMESTAMP_NTZ(3)", dt.datetime(2020, 1, 2, 3, 4, 5, 678000)),
    ("TRY_CAST('2020-01-02 03:04:05.6789' AS TIMESTAMP(0))", dt.datetime(2020, 1, 2, 3, 4, 5)),
    ("TRY_CAST('never' AS TIMESTAMP_NTZ(3))", None),
    (f"{MOMENT} || '|'", "2020-01-02 03:04:05.678|"),
    ("DATEADD(DAY, 1, D)", dt.date(2020, 2, 1)),
    ("DATEADD('month', 1, D)", dt.date(2020, 2, 29)),
    ("DATEADD(HOUR, 1, D)", dt.datetime(2020, 1, 31, 1)),
    ("DATEADD(MINUTE, -1, '00:00:30'::TIME)", dt.time(23, 59, 30)),
    ("TIMEADD(SECOND, 1, '2020-01-01'::TIMESTAMP)", dt.datetime(2020, 1, 1, 0, 0, 1)),
    ("TIMESTAMPADD(DAY, 1, '2020-01-01')", dt.datetime(2020, 1, 2)),
    ("D + INTERVAL '1 month'", dt.date(2020, 2, 29)),
    ("D - INTERVAL '1 day'", dt.date(2020, 1, 30)),
    ("D + 1", dt.date(2020, 2, 1)),
    ("D - '2020-01-01'::DATE", 30),
    ("DATEDIFF(YEAR, '2019-12-31'::DATE, '2020-01-01'::DATE)", 1),
    ("DATEDIFF(WEEK, '2020-01-05'::DATE, '2020-01-06'::DATE)", 1),
    ("DATEDIFF('minute', '2020-01-01 00:00:59'::TIMESTAMP, '2020-01-01 00:01:00'::TIMESTAMP)", 1),
    ("TIMEDIFF(HOUR, '10:59:00'::TIME, '11:01:00'::TIME)", 1),
    ("TIMESTAMPDIFF(DAY, '2020-01-01', '2020-01-03')", 2),
    ("DATE_TRUNC('week', '2020-01-05'::DATE)", dt.date(2019, 12, 30)),
    ("DATE_TRUNC(QUARTER, '2020-05-05'::TIMESTAMP)", dt.datetime(2020, 4, 1)),
    (f"DATE_TRUNC('hour', {MOMENT})", dt.datetime(2020, 1, 2, 3)),
    ("DATE_PART(EPOCH_SECOND, '2020-01-01'::TIMESTAMP)", 1577836800),
    ("DATE_PART('nanosecond', '2020-01-01 00:00:00.000005'::TIMESTAMP)", 5000),
    ("EXTRACT(YEAR FROM D)", 2020),
    ("YEAR('2020-01-02')", 2020),
    ("QUARTER(D)", 1),
    ("MONTH(D)", 1),
    ("DAY(D)", 31),
    ("DAYOFMONTH(D)", 31),
    ("DAYOFYEAR(D)", 31),
    ("DAYOFWEEK('2020-01-05'::DATE)", 0),
    ("DAYOFWEEKISO('2020-01-05'::DATE)", 7),
    ("DAYOFWEEK_ISO('2020-01-05'::DATE)", 7),
    ("WEEK('2021-01-01'::DATE)", 53),
    ("WEEKOFYEAR('2021-01-01'::DATE)", 53),
    ("WEEKISO('2021-01-01'::DATE)", 53),
    ("YEAROFWEEK('2021-01-01'::DATE)", 2020),
    ("YEAROFWEEKISO('2021-01-01'::DATE)", 2020),
    (f"HOUR({MOMENT})", 3),
    (f"MINUTE({MOMENT})", 4),
    (f"SECOND({MOMENT})", 5),
    ("DAYNAME('2020-01-05'::DATE)", "Sun"),
    ("MONTHNAME(D)", "Jan"),
    ("LAST_DAY('2020-02-03'::DATE)", dt.date(2020, 2, 29)),
    ("ADD_MONTHS('2020-02-29'::DATE, 1)", dt.date(2020, 3, 31)),
    ("DATE_FROM_PARTS(2020, 1, 32)", dt.date(2020, 2, 1)),
    ("DATEFROMPARTS(2020, 0, 1)", dt.date(2019, 12, 1)),
    ("TIMESTAMP_NTZ_FROM_PARTS(2020, 1, 2, 3, 4, 5)", dt.datetime(2020, 1, 2, 3, 4, 5)),
    ("TIMESTAMP_FROM_PARTS(2020, 1, 2, 3, 4, 5)", dt.datetime(2020, 1, 2, 3, 4, 5)),
    ("TIME_FROM_PARTS(1, 2, 3)", dt.time(1, 2, 3)),
    ("TIMEFROMPARTS(1, 2, 3)", dt.time(1, 2, 3)),
    ("TO_DATE('2020-01-31 10:00:00')", DAY),
    ("TO_DATE('31/01/2020', 'DD/MM/YYYY')", DAY),
    ("TO_DATE('31536000')", dt.date(1971, 1, 1)),
    ("DATE('2020-01-31')", DAY),
    ("TRY_TO_DATE('2020-13-01')", None),
    ("TO_TIME('10:20:30.5')", dt.time(10, 20, 30, 500000)),
    ("TIME('10:20')", dt.time(10, 20)),
    ("TRY_TO_TIME('25:00:00')", None),
    ("TO_TIMESTAMP(1577836800)", dt.datetime(2020, 1, 1)),
    ("TO_TIMESTAMP_NTZ('1577836800123')", dt.datetime(2020, 1, 1, 0, 0, 0, 123000)),
    ("TO_TIMESTAMP_NTZ(1577836800123, 3)", dt.datetime(2020, 1, 1, 0, 0, 0, 123000)),
    ("TO_TIMESTAMP_NTZ('2020-01-02T03:04:05+02:00')", dt.datetime(2020, 1, 2, 3, 4, 5)),
    (
        "TO_TIMESTAMP_LTZ('2020-01-02T03:04:05+02:00')",
        dt.datetime(2020, 1, 2, 1, 4, 5, tzinfo=dt.UTC),
    ),
    (
        "TO_TIMESTAMP_TZ('2020-01-02T03:04:05+02:00') = '2020-01-02T01:04:05Z'::TIMESTAMP_LTZ",
        True,
    ),
    ("TRY_TO_TIMESTAMP('x')", None),
    ("TRY_TO_TIMESTAMP_NTZ('2020-01-02')", dt.datetime(2020, 1, 2)),
    ("TRY_TO_TIMESTAMP_LTZ('x')", None),
    ("TRY_TO_TIMESTAMP_TZ('x')", None),
    (
        "CONVERT_TIMEZONE('UTC', 'Europe/Berlin', '2020-01-01'::TIMESTAMP_NTZ)",
        dt.datetime(2020, 1, 1, 1),
    ),
    ("CURRENT_DATE() = CURRENT_TIMESTAMP()::DATE", True),
    ("SYSDATE() <= DATEADD(MINUTE, 1, CURRENT_TIMESTAMP()::TIMESTAMP_NTZ)", True),
    ("DATEDIFF(DAY, GETDATE(), SYSTIMESTAMP()) BETWEEN -1 AND 1", True),
    ("LOCALTIMESTAMP() IS NULL", False),
    ("TRY_CAST('x' AS TIMESTAMP_NTZ)", None),
]

NUMBERS = [
    ("10 / 4", Decimal("2.500000")),
    ("-7 / 3", Decimal("-2.333333")),
    ("2 / 3", Decimal("0.666667")),
    ("7 / 2::FLOAT", 3.5),
    ("MOD(-5, 3)", -2),
    ("5.5 % 2", Decimal("1.5")),
    ("DIV0(1, 0)", 0),
    ("DIV0(2, 3)", Decimal("0.666667")),
    ("DIV0NULL(1, NULL)", 0),
    ("DIV0(NULL, 0)", None),
    ("ABS(-1.5)", Decimal("1.5")),
    ("SIGN(-2.5)", -1),
    ("CEIL(2.1)", 3),
    ("CEILING(-2.1)", -2),
    ("FLOOR(-2.1)", -3),
    ("ROUND(2.5)", 3),
    ("ROUND(-2.5)", -3),
    ("ROUND(2.5::FLOAT)", 3),
    ("ROUND(1250, -2)", 1300),
    ("TRUNC(-2.789, 2)", Decimal("-2.78")),
    ("TRUNCATE(2.789)", 2),
    ("2.5::FLOAT::INT", 3),
    ("-2.5::FLOAT::NUMBER", -3),
    ("'2.5'::INT", 3),
    ("2.5::NUMBER(10, 0)", 3),
    ("TRUE::INT", 1),
    ("TO_NUMBER('1.5')", 2),
    ("TO_DECIMAL('12.55', 10, 1)", Decimal("12.6")),
    ("TO_NUMERIC('12')", 12),
    ("TRY_TO_NUMBER('x')", None),
    ("TRY_TO_DECIMAL('12.345', 10, 2)", Decimal("12.35")),
    ("TRY_TO_NUMERIC('')", None),
    ("TO_DOUBLE('1e3')", 1000.0),
    ("TRY_TO_DOUBLE('x')", None),
    ("TO_BOOLEAN('on')", True),
    ("'No'::BOOLEAN", False),
    ("TRY_TO_BOOLEAN('x')", None),
    ("BOOLAND(1, 0)", False),
    ("BOOLOR(1, 0)", True),
    ("BITAND(6, 3)", 2),
    ("BITOR(6, 3)", 7),
    ("BITXOR(6, 3)", 5),
    ("SQRT(4)", 2.0),
    ("CBRT(8)", 2.0),
    ("SQUARE(3)", 9.0),
    ("POWER(2, 3)", 8.0),
    ("POW(2, -1)", 0.5),
    ("EXP(0)", 1.0),
    ("LN(1)", 0.0),
    ("ROUND(LOG(2, 8), 9)", 3.0),
    ("ACOS(1) + ASIN(0) + ATAN(0) + ATAN2(0, 1)", 0.0),
    ("SIN(0) + TAN(0) + SINH(0) + TANH(0)", 0.0),
    ("COS(0) + COSH(0)", 2.0),
    ("ROUND(COT(RADIANS(45)), 9)", 1.0),
    ("DEGREES(PI())", 180.0),
    ("NVL(NULL, 3)", 3),
    ("NVL2(NULL, 1, 2)", 2),
    ("IFNULL(NULL, 1)", 1),
    ("COALESCE(NULL, NULL, 2)", 2),
    ("NULLIF(1, 1)", None),
    ("NULLIFZERO(0)", None),
    ("ZEROIFNULL(NULL)", 0),
    ("IFF(NULL, 1, 2)", 2),
    ("EQUAL_NULL(NULL, NULL)", True),
    ("GREATEST(1, NULL)", None),
    ("LEAST(1, 2.5)", 1),
    ("DECODE(NULL, NULL, 'n', 'z')", "n"),
    ("DECODE(3, 1, 'a')", None),
    ("HASH('a') = HASH('a')", True),
    ("UUID_STRING() = UUID_STRING()", False),
    ("RANDOM() IS NULL", False),
    ("LENGTH(LAST_QUERY_ID())", 36),
    ("9007199254740993::NUMBER + 0", 9007199254740993),
    ("1.50::NUMBER(10, 2)::VARCHAR", "1.50"),
    ("0.1::FLOAT::VARCHAR", "0.1"),
    ("1e2::FLOAT::VARCHAR", "100"),
]

OF_ROWS = [
    ("SUM(X)", 7),
    ("AVG(X)", Decimal("2.333333")),
    ("COUNT(X)", 3),
    ("COUNT_IF(X > 1)", 2),
    ("MIN(X)", 1),
    ("MAX(X)", 4),
    ("ANY_VALUE(1)", 1),
    ("MEDIAN(X)", Decimal("2.000")),
    ("VARIANCE(X)", Decimal("2.333333")),
    ("VARIANCE_SAMP(X)", Decimal("2.333333")),
    ("VAR_SAMP(X)", Decimal("2.333333")),
    ("VARIANCE_POP(X)", Decimal("1.555556")),
    ("VAR_POP(X)", Decimal("1.555556")),
    ("ROUND(STDDEV(X), 6)", 1.527525),
    ("ROUND(STDDEV_SAMP(X), 6)", 1.527525),
    ("ROUND(STDDEV_POP(X), 6)", 1.247219),
    ("ROUND(CORR(X, 2 * X), 9)", 1.0),
    ("ROUND(COVAR_POP(X, X), 6)", 1.555556),
    ("ROUND(COVAR_SAMP(X, X), 6)", 2.333333),
    ("APPROX_COUNT_DISTINCT(X)", 3),
    ("HLL(X)", 3),
    ("BOOLAND_AGG(X > 0)", True),
    ("BOOLOR_AGG(X > 9)", False),
    ("MAX_BY(T, X)", "c"),
    ("MIN_BY(T, X)", "a"),
    ("LISTAGG(T)", "abc"),
    ("LISTAGG(T, '-') WITHIN GROUP (ORDER BY X DESC)", "c-b-a"),
    ("ARRAY_AGG(X) WITHIN GROUP (ORDER BY X DESC)::VARCHAR", "[4,2,1]"),
    ("ARRAYAGG(T)::VARCHAR", '["a","b","c"]'),
    ("OBJECT_AGG(T, X):b::INT", 2),
    ("PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY X)", 2),
    ("PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY X)", 2),
]
"""Aggregates of rows with X 1, 2, 4 and NULL, and T a, b, c and NULL."""

OF_WINDOWS = [
    ("ROW_NUMBER() OVER (ORDER BY X)", [1, 2, 3]),
    ("RANK() OVER (ORDER BY 1)", [1, 1, 1]),
    ("DENSE_RANK() OVER (ORDER BY X DESC)", [3, 2, 1]),
    ("PERCENT_RANK() OVER (ORDER BY X)", [0.0, 0.5, 1.0]),
    ("CUME_DIST() OVER (ORDER BY 1)", [1.0, 1.0, 1.0]),
    ("NTILE(2) OVER (ORDER BY X)", [1, 1, 2]),
    ("LAG(X) OVER (ORDER BY X)", [None, 1, 2]),
    ("LEAD(X, 1, 0) OVER (ORDER BY X)", [2, 4, 0]),
    ("FIRST_VALUE(X) OVER (ORDER BY X)", [1, 1, 1]),
    ("LAST_VALUE(X) OVER (ORDER BY X)", [4, 4, 4]),
    ("NTH_VALUE(X, 2) OVER (ORDER BY X)", [2, 2, 2]),
    ("SUM(X) OVER (ORDER BY X)", [1, 3, 7]),
    ("AVG(X) OVER (ORDER BY X)", [Decimal("1.000000"), Decimal("1.500000"), Decimal("2.333333")]),
]
"""Of rows with X 1, 2 and 4."""

VARIANTS = [
    ("V:a || 'y'", "xy"),
    ("V:a LIKE 'x%'", True),
    ("V:a = T", True),
    ("T = V:a", True),
    ("V:a", '"x"'),
    ("V:b", "[\n  1,\n  2\n]"),
    ("V::VARCHAR", '{"a":"x","b":[1,2]}'),
    ("COALESCE(V:z, 'none')", '"none"'),
    ("CASE WHEN FALSE THEN V:a ELSE 'q' END::VARCHAR", "q"),
    ("V:b[0]::INT + 1", 2),
    ("PARSE_JSON('')", None),
    ('PARSE_JSON(\'{"b":1,"a":2}\')::VARCHAR', '{"a":2,"b":1}'),
    ("TRY_PARSE_JSON('{')", None),
    ("TO_JSON(V:b)", "[1,2]"),
    ("TO_VARIANT('x')::VARCHAR", "x"),
    ("OBJECT_CONSTRUCT('b', 1, 'a', NULL)::VARCHAR", '{"b":1}'),
    ("OBJECT_CONSTRUCT_KEEP_NULL('a', NULL)::VARCHAR", '{"a":null}'),
    ("OBJECT_INSERT(V, 'z', 1):z::INT", 1),
    ("OBJECT_DELETE(V, 'b')::VARCHAR", '{"a":"x"}'),
    ("OBJECT_PICK(V, 'a')::VARCHAR", '{"a":"x"}'),
    ("OBJECT_KEYS(V)::VARCHAR", '["a","b"]'),
    ("GET(V, 'a')::VARCHAR", "x"),
    ("TYPEOF(V:b)", "ARRAY"),
    ("IS_ARRAY(V:b)", True),
    ("IS_OBJECT(V)", True),
    ("STRIP_NULL_VALUE(V:a)::VARCHAR", "x"),
    ("ARRAY_SIZE(V:b)", 2),
    ("ARRAY_CONTAINS(2::VARIANT, V:b)", True),
    ("ARRAY_POSITION(2::VARIANT, V:b)", 1),
    ("ARRAY_CONSTRUCT(1, 'a', NULL)::VARCHAR", '[1,"a",null]'),
    ("ARRAY_CONSTRUCT_COMPACT(1, NULL)::VARCHAR", "[1]"),
    ("ARRAY_COMPACT(PARSE_JSON('[1, null]'))::VARCHAR", "[1]"),
    ("ARRAY_APPEND(V:b, 3)::VARCHAR", "[1,2,3]"),
    ("ARRAY_PREPEND(V:b, 0)::VARCHAR", "[0,1,2]"),
    ("ARRAY_CAT(V:b, V:b)::VARCHAR", "[1,2,1,2]"),
    ("ARRAY_DISTINCT(PARSE_JSON('[1, 1, 2]'))::VARCHAR", "[1,2]"),
    ("ARRAY_EXCEPT(V:b, PARSE_JSON('[1]'))::VARCHAR", "[2]"),
    ("ARRAY_EXCEPT(PARSE_JSON('[1, 1, 2]'), PARSE_JSON('[1]'))::VARCHAR", "[1,2]"),
    ("ARRAY_INTERSECTION(V:b, PARSE_JSON('[1]'))::VARCHAR", "[1]"),
    ("ARRAY_MAX(V:b)::INT", 2),
    ("ARRAY_MIN(V:b)::INT", 1),
    ("ARRAY_REMOVE(V:b, 1::VARIANT)::VARCHAR", "[2]"),
    ("ARRAY_REVERSE(V:b)::VARCHAR", "[2,1]"),
    ("ARRAY_SLICE(V:b, 0, -1)::VARCHAR", "[1]"),
    ("ARRAY_SORT(PARSE_JSON('[2, 1]'))::VARCHAR", "[1,2]"),
    ("ARRAY_TO_STRING(V:b, '-')", "1-2"),
    ("ARRAYS_OVERLAP(V:b, PARSE_JSON('[2]'))", True),
]

ALL = [*TEXTS, *TIMES, *NUMBERS, *OF_ROWS, *OF_WINDOWS, *VARIANTS]


@pytest.fixture(scope="module")
def select(double):
    with double.connect(database="SEMANTICS", schema="PUBLIC") as connection:
        cursor = connection.cursor()
        cursor.execute(
            "CREATE TABLE ROWS3 AS SELECT $1 AS X, $2 AS T FROM VALUES "
            "(1, 'a'), (2, 'b'), (4, 'c'), (NULL, NULL)"
        )
        cursor.execute(
            "CREATE TABLE DOCUMENTS AS SELECT 'x' AS T, '2020-01-31'::DATE AS D, "
            'PARSE_JSON(\'{"b": [1, 2], "a": "x"}\') AS V'
        )
        yield lambda sql: cursor.execute(sql).fetchall()


@pytest.mark.parametrize(("expression", "expected"), [*TEXTS, *TIMES, *NUMBERS, *VARIANTS])
def test_an_expression_gives_what_snowflake_documents(select, expression, expected):
    assert select(f"SELECT {expression} FROM DOCUMENTS") == [(expected,)]


@pytest.mark.parametrize(("expression", "expected"), OF_ROWS)
def test_an_aggregate_gives_what_snowflake_documents(select, expression, expected):
    assert select(f"SELECT {expression} FROM ROWS3") == [(expected,)]


@pytest.mark.parametrize(("expression", "expected"), OF_WINDOWS)
def test_a_window_gives_what_snowflake_documents(select, expression, expected):
    found = select(f"SELECT {expression} FROM ROWS3 WHERE X IS NOT NULL ORDER BY X")
    assert [row[0] for row in found] == expected


WITHOUT_VALUE = {"FLATTEN", "GENERATOR", "IDENTIFIER", "TABLE", "CAST", "AI_CLASSIFY"}
"""What stands in no expression, or has tests of its own."""


def test_every_function_that_is_known_has_a_documented_answer():
    cases = " ".join(expression for expression, _ in ALL)
    tested = set(re.findall(r"\b([A-Z_0-9]+) ?\(", cases))
    tables = (dialect.PARSED, dialect.WITH_SYNTAX, *(set(one) for one in knowing.KNOWN))
    known = set().union(*tables) - set(CORTEX) - WITHOUT_VALUE
    known -= {name for name in known if name.startswith(("CURRENT_", "SEQ"))}
    assert sorted(known - tested) == []
    assert {"TO_CHAR", "DATEADD", "ARRAY_SIZE"} <= known


@pytest.mark.parametrize(
    "expression",
    [
        "TO_CHAR(12.5, '999')",
        f"TO_CHAR({MOMENT}, 'YYYY \"Q\"Q')",
        "'2020-01-01Z'::TIMESTAMP_LTZ::VARCHAR",
        "1e-30::FLOAT::VARCHAR",
        "SUBSTR('abc', -9)",
        "SHA2('a', 512)",
        "REGEXP_REPLACE('abc', 'b', 'x', 2)",
        "REGEXP_LIKE('a', 'a', 'm')",
        "REGEXP_INSTR('abc', 'b')",
        "INITCAP('a b')",
        "SOUNDEX('a')",
        "JAROWINKLER_SIMILARITY('a', 'b')",
        "APPROX_PERCENTILE(1, 0.5)",
        "HASH_AGG(1)",
        "UNIFORM(1, 10, 1)",
        "RANDSTR(5, 1)",
        "MONTHS_BETWEEN(D, D)",
        "NEXT_DAY(D, 'fr')",
        "TIME_SLICE(D, 1, 'MONTH')",
        "DATE_TRUNC('hour', D)",
        "DATEADD(CENTURY, 1, D)",
        "CONVERT_TIMEZONE('Europe/Berlin', CURRENT_TIMESTAMP())",
        "STRFTIME(D, '%Y')",
        "LIST_VALUE(1)",
        "READ_CSV('x')",
        "LISTAGG(T) OVER ()",
        "TO_DATE('01.02.2020')",
    ],
)
def test_what_is_not_known_to_be_right_is_refused(select, expression):
    with pytest.raises(ProgrammingError, match=r"double|its README"):
        select(f"SELECT {expression} FROM DOCUMENTS")


@pytest.mark.parametrize(
    "expression",
    [
        "1 / 0",
        "MOD(1, 0)",
        "SQRT(-1)",
        "LN(0)",
        "'x'::INT",
        "'maybe'::BOOLEAN",
        "'2020-02-30'::DATE",
        "PARSE_JSON('{')",
        'PARSE_JSON(\'{"a": 1, "a": 2}\')',
        "9223372036854775807 + 1",
    ],
)
def test_what_fails_in_snowflake_fails(select, expression):
    with pytest.raises(ProgrammingError):
        select(f"SELECT {expression} FROM DOCUMENTS")


def test_calls_within_calls_are_computed_once_each(select):
    chain = " || ".join(["T"] * 30)
    nested = "T"
    for _ in range(4):
        nested = f"TO_CHAR(TRIM({nested} || 'y'))"
    number = "1" + " / 1" * 5
    assert select(f"SELECT LENGTH({chain}), {nested}, {number} FROM DOCUMENTS") == [
        (30, "xyyyy", Decimal("1.000000"))
    ]


def test_keys_are_noted_and_not_enforced(ask):
    ask(
        "CREATE TABLE T (A INT PRIMARY KEY, B INT UNIQUE, C INT, CONSTRAINT K UNIQUE (C), "
        "FOREIGN KEY (C) REFERENCES T (A))"
    )
    assert ask("INSERT INTO T VALUES (1, 1, 1), (1, 1, 1)") == [(2,)]
    with pytest.raises(ProgrammingError):
        ask("INSERT INTO T VALUES (NULL, 1, 1)")
    with pytest.raises(ProgrammingError, match="SHOW PRIMARY KEYS is not known"):
        ask("SHOW PRIMARY KEYS")


def test_columns_of_using_come_first(ask):
    ask("CREATE TABLE L AS SELECT 1 AS X, 2 AS K, 4 AS J")
    ask("CREATE TABLE R AS SELECT 3 AS Y, 2 AS K, 5 AS J")
    assert ask("SELECT * FROM L JOIN R USING (K)") == [(2, 1, 4, 3, 5)]
    assert ask("SELECT * FROM L JOIN R USING (J, K)") == []
    assert ask("SELECT * FROM L LEFT JOIN R USING (J, K)") == [(4, 2, 1, None)]
    with pytest.raises(ProgrammingError, match="NATURAL"):
        ask("SELECT * FROM L NATURAL JOIN R")


def test_columns_count_from_where_and_by_what_they_are_told(ask):
    ask("CREATE TABLE T (ID INT AUTOINCREMENT START 10 INCREMENT 5, S VARCHAR)")
    ask("INSERT INTO T (S) VALUES ('x'), ('y')")
    assert ask("SELECT ID FROM T ORDER BY ID") == [(10,), (15,)]
    ask("CREATE TABLE U (ID INT IDENTITY (100, 10), S VARCHAR)")
    ask("INSERT INTO U (S) VALUES ('x'), ('y')")
    assert ask("SELECT ID FROM U ORDER BY ID") == [(100,), (110,)]
    ask("CREATE SEQUENCE S START = 5 INCREMENT = 2")
    assert ask("SELECT S.NEXTVAL") == [(5,)]
    assert ask("SELECT S.NEXTVAL") == [(7,)]


def test_variants_are_stored_in_columns_of_texts_as_the_text_within(ask):
    ask("CREATE TABLE T (S VARCHAR, N INT)")
    ask("INSERT INTO T SELECT PARSE_JSON('\"x\"'), 2.5::FLOAT")
    ask("INSERT INTO T (N, S) SELECT 1, '2020-01-02'::TIMESTAMP_NTZ")
    assert ask("SELECT S, N FROM T ORDER BY N DESC") == [("x", 3), ("2020-01-02 00:00:00.000", 1)]
    ask("UPDATE T SET S = PARSE_JSON('\"y\"') WHERE N = 3")
    ask(
        "MERGE INTO T USING (SELECT 1 AS N, PARSE_JSON('\"z\"') AS V) G ON T.N = G.N "
        "WHEN MATCHED THEN UPDATE SET S = G.V WHEN NOT MATCHED THEN INSERT (S) VALUES (G.V)"
    )
    assert ask("SELECT S FROM T ORDER BY N") == [("z",), ("y",)]


def test_names_that_differ_by_case_alone_are_not_the_same(ask):
    ask('CREATE TABLE "t" ("a" INT)')
    for sql in ("SELECT * FROM T", 'SELECT A FROM "t"', 'SELECT "A" FROM (SELECT 1 AS "a")'):
        with pytest.raises(ProgrammingError, match=r"does not exist|invalid identifier"):
            ask(sql)
    for sql in ("CREATE TABLE T (A INT)", 'SELECT 1 AS "b", 2 AS B'):
        with pytest.raises(ProgrammingError, match="by case alone"):
            ask(sql)
    assert ask('SELECT "a" FROM "t"') == []


def test_elements_come_in_their_order(ask):
    ask(
        "CREATE TABLE T AS SELECT $1 AS ID, PARSE_JSON($2) AS V FROM VALUES "
        "(1, '[3, 1, 2]'), (2, '[[9, 8], [7]]'), (3, '[]')"
    )
    assert ask(
        "SELECT ID, F.INDEX, F.VALUE::VARCHAR FROM T, LATERAL FLATTEN(INPUT => V) F WHERE ID < 2"
    ) == [(1, 0, "3"), (1, 1, "1"), (1, 2, "2")]
    assert ask(
        "SELECT G.VALUE::INT FROM T, LATERAL FLATTEN(V) F, LATERAL FLATTEN(F.VALUE) G WHERE ID = 2"
    ) == [(9,), (8,), (7,)]


def test_the_rows_of_the_last_statement_are_read_again(ask):
    ask("CREATE TABLE T AS SELECT 1 AS A")
    ask("SHOW TABLES")
    assert ask('SELECT "name", "rows" FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))') == [("T", 1)]


def test_tables_are_shown_as_they_are(connection, ask):
    ask("CREATE TABLE T AS SELECT $1 AS A FROM VALUES (1), (2)")
    ask("CREATE TEMPORARY TABLE U (A INT)")
    ask("CREATE VIEW V AS SELECT * FROM T")
    cursor = connection.cursor()
    cursor.execute("SHOW TABLES")
    names = [one.name for one in cursor.description]
    shown = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    assert [(row["name"], row["kind"], row["rows"]) for row in shown] == [
        ("T", "TABLE", 2),
        ("U", "TEMPORARY", 0),
    ]
    age = dt.datetime.now(dt.UTC) - shown[0]["created_on"]
    assert age < dt.timedelta(hours=1)
    assert [row[1] for row in ask("SHOW TERSE TABLES LIKE 't'")] == ["T"]
    assert [row[1] for row in ask("SHOW VIEWS")] == ["V"]
    with pytest.raises(ProgrammingError, match="does not exist"):
        ask("SHOW TABLES IN SCHEMA NOWHERE")
