"""Calls of Snowflake's functions as calls of macros, where it takes more than a change of name."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from sqlglot import exp

from snowflake_double.sql import macros
from snowflake_double.statements import not_understood

UNITS = {
    "YEAR": "Y YY YYY YYYY YR YEARS YRS",
    "QUARTER": "Q QTR QTRS QUARTERS",
    "MONTH": "MM MON MONS MONTHS",
    "WEEK": "W WK WEEKS WEEKOFYEAR WOY WY",
    "DAY": "D DD DAYS DAYOFMONTH",
    "HOUR": "H HH HR HOURS HRS",
    "MINUTE": "M MI MIN MINUTES MINS",
    "SECOND": "S SEC SECONDS SECS",
    "MILLISECOND": "MS MSEC MILLISECONDS",
    "MICROSECOND": "US USEC MICROSECONDS",
}
"""Units of time, and how else each is written."""

CODES = {other: unit for unit, others in UNITS.items() for other in [unit, *others.split()]}
OF_DAYS = ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY")
FIELDS = {
    "YEAR": "year",
    "YEAROFWEEK": "isoyear",
    "YEAROFWEEKISO": "isoyear",
    "QUARTER": "quarter",
    "MONTH": "month",
    "WEEK": "week",
    "WEEKOFYEAR": "week",
    "WEEKISO": "week",
    "DAY": "day",
    "DAYOFMONTH": "day",
    "DAYOFWEEK": "dayofweek",
    "DAYOFWEEKISO": "isodow",
    "DAYOFWEEK_ISO": "isodow",
    "DOW": "dayofweek",
    "DAYOFYEAR": "dayofyear",
    "HOUR": "hour",
    "MINUTE": "minute",
    "SECOND": "second",
}
"""Parts of dates and times, and what DuckDB calls them."""

EPOCHS = {
    "EPOCH": 1,
    "EPOCH_SECOND": 1,
    "EPOCH_SECONDS": 1,
    "EPOCH_MILLISECOND": 10**3,
    "EPOCH_MILLISECONDS": 10**3,
    "EPOCH_MICROSECOND": 10**6,
    "EPOCH_MICROSECONDS": 10**6,
    "EPOCH_NANOSECOND": 10**9,
    "EPOCH_NANOSECONDS": 10**9,
}
Arguments = list[exp.Expr]


TEXT_OR_BYTES = frozenset(map(macros.in_duckdb, ["text", "LEFT"]))
"""Macros whose answers are written as text already."""


def macro(name: str, *arguments: exp.Expr) -> exp.Expr:
    """Return a call of a macro."""
    return exp.Anonymous(this=macros.in_duckdb(name), expressions=list(arguments))


def is_written(value: exp.Expr) -> bool:
    """Return whether a value is a text or bytes already, whatever its columns are."""
    return isinstance(value, exp.Anonymous) and value.this in TEXT_OR_BYTES


def as_text(value: exp.Expr) -> exp.Expr:
    """Return a value as Snowflake writes it where a text is expected."""
    if is_written(value) or (isinstance(value, exp.Literal) and value.is_string):
        return value
    return macro("text", value)


def joined(values: Arguments) -> exp.Expr:
    """Return texts, or the bytes of two values, one after the other.

    The texts of a long chain stand side by side: DuckDB binds the arguments of a macro once for
    each of its overloads, so that macros within macros would take it forever.
    """
    if len(values) == 2:
        return macro("concat", *values)
    pieces = [macro("piece", value) for value in values]
    return reduce(lambda left, right: exp.DPipe(this=left, expression=right), pieces)


def unit_of(node: exp.Expr) -> str:
    """Return the unit that the first argument of a function of times names."""
    name = node.name.upper()
    if not isinstance(node, exp.Column | exp.Literal | exp.Var | exp.Identifier) or (
        name not in CODES
    ):
        raise not_understood(f"the unit of time {node.sql('snowflake')[:50]} is not known.")
    return CODES[name]


def interval(unit: str, number: exp.Expr) -> exp.Expr:
    """Return so many units as an interval of DuckDB, fractions rounded as Snowflake does."""
    kind = "INTEGER" if unit in OF_DAYS else "BIGINT"
    rounded = exp.cast(exp.Anonymous(this="ROUND", expressions=[number]), kind, dialect="duckdb")
    return exp.Anonymous(this=f"TO_{unit}S", expressions=[rounded])


def added(arguments: Arguments) -> exp.Expr:
    """Return DATEADD."""
    unit, number, value = arguments
    name = unit_of(unit)
    return macro("add_days" if name in OF_DAYS else "add_hours", value, interval(name, number))


def difference(arguments: Arguments) -> exp.Expr:
    """Return DATEDIFF."""
    unit, *values = arguments
    return macro("difference", exp.Literal.string(unit_of(unit).lower()), *values)


def truncated(arguments: Arguments) -> exp.Expr:
    """Return DATE_TRUNC."""
    unit, value = arguments
    name = unit_of(unit)
    own = "truncated_to_days" if name in OF_DAYS else "truncated_to_hours"
    return macro(own, exp.Literal.string(name.lower()), value)


def date_field(name: str, value: exp.Expr) -> exp.Expr:
    """Return a part of a date or a time."""
    if name in EPOCHS:
        return macro("epoch_field", exp.Literal.number(EPOCHS[name]), value)
    if name in ("NANOSECOND", "NS", "NSEC"):
        return macro("nanosecond", value)
    field = FIELDS.get(name) or FIELDS.get(CODES.get(name, ""))
    if not field:
        raise not_understood(f"the part {name} of a date is not known.")
    return macro("date_field", exp.Literal.string(field), value)


def joined_by(arguments: Arguments) -> exp.Expr:
    """Return CONCAT_WS."""
    separator, first, *others = arguments
    return joined([first, *[one for other in others for one in (separator.copy(), other)]])


def regexp_replace(arguments: Arguments) -> exp.Expr:
    """Return REGEXP_REPLACE of all that matches."""
    texts, options = arguments[:3], arguments[3:]
    if [one.name for one in options] not in ([], ["1"], ["1", "0"], ["1", "0", "c"]):
        raise not_understood(
            "REGEXP_REPLACE from a position, of one occurrence or with parameters."
        )
    return macro("REGEXP_REPLACE", *texts)


def field_function(name: str) -> Callable[[Arguments], exp.Expr]:
    return lambda arguments: date_field(name, *arguments)


BUILDERS: dict[str, Callable[[Arguments], exp.Expr]] = {
    **dict.fromkeys(["DATEADD", "TIMEADD", "TIMESTAMPADD"], added),
    **dict.fromkeys(["DATEDIFF", "TIMEDIFF", "TIMESTAMPDIFF"], difference),
    "DATE_TRUNC": truncated,
    "DATE_PART": lambda arguments: date_field(arguments[0].name.upper(), arguments[1]),
    **{name: field_function(name) for name in FIELDS if name != "DOW"},
    "CONCAT": joined,
    "CONCAT_WS": joined_by,
    "REGEXP_REPLACE": regexp_replace,
}
"""By name: what a call with these arguments becomes."""


def built(node: exp.Anonymous) -> exp.Expr:
    """Return a call of a function as one of DuckDB, if it is one of those of this package."""
    name = str(node.this).upper()
    if name in BUILDERS:
        try:
            return BUILDERS[name](node.expressions)
        except (ValueError, TypeError) as error:  # more or fewer arguments
            raise not_understood(f"{name} of {len(node.expressions)} arguments.") from error
    if name in macros.FUNCTIONS:
        return macro(name, *node.expressions)
    return node
