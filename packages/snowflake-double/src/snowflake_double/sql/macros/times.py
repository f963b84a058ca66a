"""Functions of dates and times; weeks begin on Monday, as accounts have it that set nothing."""

from __future__ import annotations

from snowflake_double.sql.macros.texts import once

Overloads = list[tuple[str, str]]

SF = "memory.main.sf_"
T = f"{SF}text"

NUMBERS = "('BIGINT', 'INTEGER', 'SMALLINT', 'TINYINT', 'HUGEINT', 'DOUBLE', 'BOOLEAN')"


def of_number(seconds: str = "a") -> str:
    """Return a number of seconds as a time."""
    return f"make_timestamp(CAST(CAST({seconds} AS VARCHAR) AS BIGINT) * 1000000)"


def reading(then: str, function: str) -> str:
    """Return a value of no type of times as one: a text is read, a number counts seconds."""
    return once(
        f"CASE WHEN typeof(a) IN {NUMBERS} OR starts_with(typeof(a), 'DECIMAL') THEN {then} "
        f"ELSE {function}({T}(a)) END"
    )


REFUSED = "error('391900: a number as a date or a time of day')"

MACROS: dict[str, Overloads] = {
    "naive": [
        (
            "a",
            once(
                "CASE WHEN typeof(a) IN ('TIMESTAMP', 'DATE', 'TIMESTAMP_NS') "
                "THEN TRY_CAST(CAST(a AS VARCHAR) AS TIMESTAMP) "
                "WHEN typeof(a) = 'TIMESTAMP WITH TIME ZONE' "
                "THEN TRY_CAST(CAST(a AS VARCHAR) AS TIMESTAMPTZ) AT TIME ZONE 'UTC' "
                f"ELSE {reading(of_number(), 'read_moment')} END"
            ),
        ),
    ],
    "TO_TIMESTAMP_NTZ": [
        ("a", f"{SF}naive(a)"),
        (
            "a, f",
            f"CASE WHEN typeof(f) = 'VARCHAR' THEN moment_from_text({T}(a), CAST(f AS VARCHAR)) "
            "ELSE make_timestamp(CAST(CAST(a AS HUGEINT) * 1000000 // "
            "CAST(pow(10, CAST(CAST(f AS VARCHAR) AS INTEGER)) AS HUGEINT) AS BIGINT)) END",
        ),
    ],
    "TO_TIMESTAMP_LTZ": [
        ("a TIMESTAMPTZ", "a"),
        ("a TIMESTAMP", "a AT TIME ZONE 'UTC'"),
        ("a DATE", "CAST(a AS TIMESTAMP) AT TIME ZONE 'UTC'"),
        ("a", f"({reading(of_number(), 'read_utc_moment')}) AT TIME ZONE 'UTC'"),
        ("a, f", f"{SF}to_timestamp_ntz(a, f) AT TIME ZONE 'UTC'"),
    ],
    "TRY_TO_TIMESTAMP_NTZ": [
        ("a TIMESTAMP", "a"),
        ("a", f"try_read_moment({T}(a))"),
    ],
    "TRY_TO_TIMESTAMP_LTZ": [
        ("a TIMESTAMPTZ", "a"),
        ("a", f"try_read_utc_moment({T}(a)) AT TIME ZONE 'UTC'"),
    ],
    "TO_DATE": [
        ("a DATE", "a"),
        ("a TIMESTAMP", "CAST(a AS DATE)"),
        ("a TIMESTAMPTZ", "CAST(a AT TIME ZONE 'UTC' AS DATE)"),
        ("a", f"CAST(({reading(REFUSED, 'read_moment')}) AS DATE)"),
        ("a, f", f"CAST(moment_from_text({T}(a), f) AS DATE)"),
    ],
    "TRY_TO_DATE": [
        ("a DATE", "a"),
        ("a TIMESTAMP", "CAST(a AS DATE)"),
        ("a", f"CAST(try_read_moment({T}(a)) AS DATE)"),
    ],
    "TO_TIME": [
        ("a TIME", "a"),
        ("a TIMESTAMP", "CAST(a AS TIME)"),
        ("a TIMESTAMPTZ", "CAST(a AT TIME ZONE 'UTC' AS TIME)"),
        ("a", reading(REFUSED, "read_clock")),
    ],
    "TRY_TO_TIME": [("a TIME", "a"), ("a", f"try_read_clock({T}(a))")],
    # Of a whole number of days: a DATE stays one.
    "add_days": [
        ("a DATE, i INTERVAL", "CAST(a + i AS DATE)"),
        ("a TIMESTAMP, i INTERVAL", "a + i"),
        ("a TIMESTAMPTZ, i INTERVAL", "a + i"),
        ("a TIME, i INTERVAL", "error('391900: days added to a TIME')"),
        ("a, i INTERVAL", f"{SF}naive(a) + i"),
    ],
    "add_hours": [
        ("a TIME, i INTERVAL", "a + i"),
        ("a TIMESTAMP, i INTERVAL", "a + i"),
        ("a TIMESTAMPTZ, i INTERVAL", "a + i"),
        ("a, i INTERVAL", f"{SF}naive(a) + i"),
    ],
    "difference": [
        ("u, a TIME, b TIME", "date_diff(u, a, b)"),
        (
            "u, a, b",
            f"CASE WHEN u = 'week' THEN date_diff('day', date_trunc('week', {SF}naive(a)), "
            f"date_trunc('week', {SF}naive(b))) // 7 "
            f"ELSE date_diff(u, {SF}naive(a), {SF}naive(b)) END",
        ),
    ],
    "truncated_to_days": [
        ("u, a DATE", "CAST(date_trunc(u, a) AS DATE)"),
        ("u, a TIMESTAMP", "date_trunc(u, a)"),
        ("u, a TIMESTAMPTZ", "date_trunc(u, a)"),
        ("u, a", f"date_trunc(u, {SF}naive(a))"),
    ],
    "truncated_to_hours": [
        ("u, a DATE", "error('391900: DATE_TRUNC of a DATE to a part of a day')"),
        ("u, a TIMESTAMP", "date_trunc(u, a)"),
        ("u, a TIMESTAMPTZ", "date_trunc(u, a)"),
        ("u, a TIME", "CAST(date_trunc(u, DATE '1970-01-01' + a) AS TIME)"),
        ("u, a", f"date_trunc(u, {SF}naive(a))"),
    ],
    "date_field": [
        ("u, a TIME", "date_part(u, a)"),
        ("u, a", f"date_part(u, {SF}naive(a))"),
    ],
    "epoch_field": [
        (
            "n, a",
            f"CAST(floor(epoch_us({SF}naive(a))::HUGEINT * n // 1000000) AS BIGINT)",
        ),
    ],
    "nanosecond": [
        ("a", f"epoch_us({SF}naive(a)) % 1000000 * 1000"),
    ],
    "LAST_DAY": [("a", f"last_day({SF}naive(a))")],
    "ADD_MONTHS": [
        (
            "a DATE, n",
            "CAST(if(a = last_day(a), last_day(a + to_months(CAST(round(n) AS INTEGER))), "
            "a + to_months(CAST(round(n) AS INTEGER))) AS DATE)",
        ),
        (
            "a, n",
            f"if(CAST({SF}naive(a) AS DATE) = last_day({SF}naive(a)), "
            f"last_day({SF}naive(a) + to_months(CAST(round(n) AS INTEGER))) + "
            f"CAST({SF}naive(a) AS TIME), "
            f"{SF}naive(a) + to_months(CAST(round(n) AS INTEGER)))",
        ),
    ],
    "DAYNAME": [("a", f"left(dayname({SF}naive(a)), 3)")],
    "MONTHNAME": [("a", f"left(monthname({SF}naive(a)), 3)")],
    "DATE_FROM_PARTS": [
        (
            "y, m, d",
            "CAST(make_date(CAST(y AS BIGINT), 1, 1) + to_months(CAST(m AS INTEGER) - 1) + "
            "to_days(CAST(d AS INTEGER) - 1) AS DATE)",
        )
    ],
    "TIMESTAMP_NTZ_FROM_PARTS": [
        (
            "y, m, d, h, i, s",
            "make_date(CAST(y AS BIGINT), 1, 1) + to_months(CAST(m AS INTEGER) - 1) + "
            "to_days(CAST(d AS INTEGER) - 1) + to_hours(CAST(h AS BIGINT)) + "
            "to_minutes(CAST(i AS BIGINT)) + to_seconds(CAST(s AS BIGINT))",
        )
    ],
    "TIME_FROM_PARTS": [
        (
            "h, i, s",
            "CAST(TIMESTAMP '1970-01-01' + to_hours(CAST(h AS BIGINT)) + "
            "to_minutes(CAST(i AS BIGINT)) + to_seconds(CAST(s AS BIGINT)) AS TIME)",
        )
    ],
    "CONVERT_TIMEZONE": [
        (
            "z, a",
            "CASE WHEN upper(z) IN ('UTC', 'ETC/UTC') THEN CAST(a AS TIMESTAMPTZ) "
            "ELSE error('391900: time zones other than UTC') END",
        ),
        ("y, z, a", "(CAST(a AS TIMESTAMP) AT TIME ZONE y) AT TIME ZONE z"),
    ],
    "SYSDATE": [("", "now() AT TIME ZONE 'UTC'")],
    "GETDATE": [("", "now()")],
}
"""By name: parameters and body, of each overload."""

SYNONYMS = {
    "DATE": "TO_DATE",
    "TIME": "TO_TIME",
    "TO_TIMESTAMP": "TO_TIMESTAMP_NTZ",
    "TO_TIMESTAMP_TZ": "TO_TIMESTAMP_LTZ",
    "TRY_TO_TIMESTAMP": "TRY_TO_TIMESTAMP_NTZ",
    "TRY_TO_TIMESTAMP_TZ": "TRY_TO_TIMESTAMP_LTZ",
    "DATEFROMPARTS": "DATE_FROM_PARTS",
    "TIMESTAMP_FROM_PARTS": "TIMESTAMP_NTZ_FROM_PARTS",
    "TIMEFROMPARTS": "TIME_FROM_PARTS",
    "SYSTIMESTAMP": "GETDATE",
}
MACROS |= {name: MACROS[other] for name, other in SYNONYMS.items()}
