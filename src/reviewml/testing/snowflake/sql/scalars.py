"""Functions of texts, numbers and times that DuckDB calls otherwise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from reviewml.testing.snowflake.sql import rewriting
from reviewml.testing.snowflake.statements import not_understood

if TYPE_CHECKING:
    from reviewml.testing.snowflake.sessions import Session

TEXTS = ("TEXT", "VARCHAR", "CHAR", "NCHAR", "NVARCHAR")
COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Like, exp.ILike)


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))


def if_type(value: exp.Expr, duck_type: str, then: exp.Expr, other: exp.Expr) -> exp.Expr:
    """Return one expression where a value is of a type, another where it is not."""
    test = exp.EQ(this=call("TYPEOF", value.copy()), expression=exp.Literal.string(duck_type))
    return exp.Case(ifs=[exp.If(this=test, true=then)], default=other)


def octet_length(value: exp.Expr) -> exp.Expr:
    """Return the number of bytes of a text or of bytes."""
    return if_type(
        value,
        "BLOB",
        call("OCTET_LENGTH", exp.cast(value.copy(), "BLOB", dialect="duckdb")),
        call("STRLEN", exp.cast(value.copy(), "VARCHAR")),
    )


def regexp_count(text: exp.Expr, pattern: exp.Expr) -> exp.Expr:
    """Return how often a pattern is in a text."""
    return call("LEN", call("REGEXP_EXTRACT_ALL", text, pattern))


def zoned(name: str, arguments: list[exp.Expr]) -> exp.Expr:
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
    scaled = exp.Mul if digits <= 6 else exp.IntDiv
    return call("MAKE_TIMESTAMPTZ", scaled(this=number, expression=factor))


def with_scalars(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have functions mean those of DuckDB that do the same."""
    return rewriting.everywhere(tree, write)


SEQUENCES = (exp.Seq1, exp.Seq2, exp.Seq4, exp.Seq8)


def write(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Window) and node.args.get("order") and node.find(*SEQUENCES):
        node.set("order", None)  # rows of GENERATOR are in that order
        return node
    if isinstance(node, exp.CountIf):
        counted = exp.If(this=node.this, true=exp.Literal.number(1))
        return exp.Count(this=exp.Case(ifs=[counted]))
    if isinstance(node, exp.ToNumber) and not node.args.get("safe"):
        return number(node)
    if isinstance(node, exp.Trim) and node.expression:
        side = {"LEADING": "LTRIM", "TRAILING": "RTRIM"}.get(str(node.args.get("position")), "TRIM")
        return call(side, node.this, node.expression)
    if isinstance(node, exp.Div) and not (
        node.expression.is_number and float(node.expression.name)
    ):
        node.set("expression", nonzero(node.expression))
        return node
    if isinstance(node, exp.TryCast) and node.to.this.name in ("TIMESTAMP", "TIMESTAMPNTZ"):
        return tried(node.this)
    return named(node) if isinstance(node, exp.Anonymous) else node


def named(node: exp.Anonymous) -> exp.Expr:
    """Return a function that sqlglot knows by its name alone as one of DuckDB's."""
    name = str(node.this).upper()
    if name == "HASH":  # DuckDB's has no sign, and one bit more than NUMBER would get here
        half = exp.BitwiseRightShift(this=node.copy(), expression=exp.Literal.number(1))
        return exp.cast(half, "BIGINT")
    if name == "OCTET_LENGTH":
        return octet_length(*node.expressions)
    if name == "REGEXP_COUNT":
        return regexp_count(*node.expressions)
    if name in ("TRY_TO_TIMESTAMP", "TRY_TO_TIMESTAMP_NTZ") and len(node.expressions) == 1:
        return tried(node.expressions[0])
    if name.endswith(("TO_TIMESTAMP_LTZ", "TO_TIMESTAMP_TZ")):
        return zoned(name, node.expressions)
    return node


def number(node: exp.ToNumber) -> exp.Expr:
    """Return TO_NUMBER as a cast, which fails where a text is no number."""
    if node.args.get("format"):
        raise not_understood("TO_NUMBER with a format is not known.")
    sizes = [one.name if (one := node.args.get(key)) else None for key in ("precision", "scale")]
    precision, scale = sizes[0] or "38", sizes[1] or "0"
    return exp.cast(node.this, exp.DataType.build(f"DECIMAL({precision}, {scale})"))


def nonzero(value: exp.Expr) -> exp.Expr:
    """Return a divisor, or an error where it is zero: DuckDB would divide by it."""
    zero = exp.EQ(this=value.copy(), expression=exp.Literal.number(0))
    error = call("ERROR", exp.Literal.string("Division by zero"))
    return exp.Case(ifs=[exp.If(this=zero, true=error)], default=value)


def tried(value: exp.Expr) -> exp.Expr:
    """Return a value as a time without a zone, NULL where it is none."""
    kind = exp.DataType.build("TIMESTAMPTZ", dialect="duckdb")
    return call("MAKE_TIMESTAMP", call("EPOCH_US", exp.TryCast(this=value, to=kind)))


def with_texts(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have a VARIANT that is cast to a text, or compared with one, give the text within."""
    return rewriting.everywhere(tree, text_within)


def text_within(node: exp.Expr) -> exp.Expr:
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


def compared(node: exp.Expr) -> exp.Expr:
    """Return a comparison in which a path that meets a text gives the text within."""
    for key, other in (("this", "expression"), ("expression", "this")):
        side = node.args.get(key)
        path = side.unnest() if side else None
        if isinstance(path, exp.JSONExtract) and is_text(node.args.get(other) or node.expressions):
            node.set(key, scalar(path))
    return node


def is_text(value: exp.Expr | list[exp.Expr]) -> bool:
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(isinstance(v, exp.Literal) and v.is_string for v in values)


def scalar(node: exp.JSONExtract) -> exp.Expr:
    return exp.Paren(this=exp.JSONExtractScalar(this=node.this, expression=node.expression))


PLAIN = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def with_quotes(tree: exp.Expr, session: Session) -> exp.Expr:
    """Quote the names that need it: fakesnow writes some of them without."""
    for name in tree.find_all(exp.Identifier):
        if not PLAIN.fullmatch(name.name):
            name.set("quoted", True)
    return tree


rewriting.BEFORE.append(with_scalars)
rewriting.AFTER += [with_texts, with_quotes]
