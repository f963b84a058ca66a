"""Functions of texts, numbers and times that DuckDB calls otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from reviewml.testing.snowflake import rewriting
from reviewml.testing.snowflake.statements import not_understood

if TYPE_CHECKING:
    from reviewml.testing.snowflake.sessions import Session

TEXTS = ("TEXT", "VARCHAR", "CHAR", "NCHAR", "NVARCHAR")
COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Like, exp.ILike)


def call(name: str, *arguments: exp.Expression) -> exp.Expression:
    return exp.Anonymous(this=name, expressions=list(arguments))


def if_type(
    value: exp.Expression, duck_type: str, then: exp.Expression, other: exp.Expression
) -> exp.Expression:
    """Return one expression where a value is of a type, another where it is not."""
    test = exp.EQ(this=call("TYPEOF", value.copy()), expression=exp.Literal.string(duck_type))
    return exp.Case(ifs=[exp.If(this=test, true=then)], default=other)


def octet_length(value: exp.Expression) -> exp.Expression:
    """Return the number of bytes of a text or of bytes."""
    return if_type(
        value,
        "BLOB",
        call("OCTET_LENGTH", exp.cast(value.copy(), "BLOB", dialect="duckdb")),
        call("STRLEN", exp.cast(value.copy(), "VARCHAR")),
    )


def regexp_count(text: exp.Expression, pattern: exp.Expression) -> exp.Expression:
    """Return how often a pattern is in a text."""
    return call("LEN", call("REGEXP_EXTRACT_ALL", text, pattern))


def zoned(name: str, arguments: list[exp.Expression]) -> exp.Expression:
    """Return TO_TIMESTAMP_LTZ and TO_TIMESTAMP_TZ, of a text, a time, or a number in a scale."""
    kind = exp.DataType.build("TIMESTAMPTZ", dialect="duckdb")
    if len(arguments) == 1:
        build = exp.TryCast if name.startswith("TRY_") else exp.Cast
        return build(this=arguments[0], to=kind)
    if not arguments[1].is_number:
        raise not_understood(f"{name} with a format is not known.")
    digits = int(arguments[1].name)
    number = exp.cast(arguments[0], "BIGINT")
    factor = exp.Literal.number(10 ** abs(6 - digits))
    build = exp.Mul if digits <= 6 else exp.IntDiv
    return call("MAKE_TIMESTAMPTZ", build(this=number, expression=factor))


def with_scalars(tree: exp.Expression, session: Session) -> exp.Expression:
    """Have functions mean those of DuckDB that do the same."""
    return rewriting.everywhere(tree, write)


def write(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.Trim) and node.expression:
        side = {"LEADING": "LTRIM", "TRAILING": "RTRIM"}.get(str(node.args.get("position")), "TRIM")
        return call(side, node.this, node.expression)
    if isinstance(node, exp.Div) and not (node.expression.is_number and float(node.expression.name)):
        node.set("expression", nonzero(node.expression))
        return node
    if isinstance(node, exp.TryCast) and node.to.this.name in ("TIMESTAMP", "TIMESTAMPNTZ"):
        return tried(node.this)
    if not isinstance(node, exp.Anonymous):
        return node
    name = str(node.this).upper()
    if name == "OCTET_LENGTH":
        return octet_length(*node.expressions)
    if name == "REGEXP_COUNT":
        return regexp_count(*node.expressions)
    if name in ("TRY_TO_TIMESTAMP", "TRY_TO_TIMESTAMP_NTZ") and len(node.expressions) == 1:
        return tried(node.expressions[0])
    if name.endswith(("TO_TIMESTAMP_LTZ", "TO_TIMESTAMP_TZ")):
        return zoned(name, node.expressions)
    return node


def nonzero(value: exp.Expression) -> exp.Expression:
    """Return a divisor, or an error where it is zero: DuckDB would divide by it."""
    zero = exp.EQ(this=value.copy(), expression=exp.Literal.number(0))
    error = call("ERROR", exp.Literal.string("Division by zero"))
    return exp.Case(ifs=[exp.If(this=zero, true=error)], default=value)


def tried(value: exp.Expression) -> exp.Expression:
    """Return a value as a time without a zone, NULL where it is none."""
    kind = exp.DataType.build("TIMESTAMPTZ", dialect="duckdb")
    return call("MAKE_TIMESTAMP", call("EPOCH_US", exp.TryCast(this=value, to=kind)))


def with_texts(tree: exp.Expression, session: Session) -> exp.Expression:
    """Have a VARIANT that is cast to a text, or compared with one, give the text within."""
    return rewriting.everywhere(tree, text_within)


def text_within(node: exp.Expression) -> exp.Expression:
    if isinstance(node, COMPARED):
        return compared(node)
    if not isinstance(node, exp.Cast) or node.to.this.name not in TEXTS:
        return node
    inner = node.this
    if isinstance(inner, exp.Literal | exp.JSONExtract | exp.JSONExtractScalar | exp.Case):
        return node
    unpacked = exp.JSONExtractScalar(
        this=call("TO_JSON", inner.copy()), expression=exp.Literal.string("$")
    )
    return if_type(inner, "JSON", unpacked, node.copy())


def compared(node: exp.Expression) -> exp.Expression:
    """Return a comparison in which a path that meets a text gives the text within."""
    for key, other in (("this", "expression"), ("expression", "this")):
        side = node.args.get(key)
        path = side.unnest() if side else None
        if isinstance(path, exp.JSONExtract) and is_text(
            node.args.get(other) or node.expressions
        ):
            node.set(key, scalar(path))
    return node


def is_text(value: exp.Expression | list[exp.Expression]) -> bool:
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(isinstance(v, exp.Literal) and v.is_string for v in values)


def scalar(node: exp.JSONExtract) -> exp.Expression:
    return exp.Paren(this=exp.JSONExtractScalar(this=node.this, expression=node.expression))


rewriting.BEFORE.append(with_scalars)
rewriting.AFTER.append(with_texts)

