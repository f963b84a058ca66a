"""Functions of texts, numbers and times that DuckDB calls otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import exp

from snowflake_double.sql import rewriting
from snowflake_double.sql.calls import (
    added,
    as_text,
    built,
    date_field,
    is_written,
    joined,
    macro,
)
from snowflake_double.statements import not_understood

if TYPE_CHECKING:
    from snowflake_double.sessions import Session

TEXTS = ("TEXT", "VARCHAR", "CHAR", "NCHAR", "NVARCHAR")
COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Like, exp.ILike)


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))


def if_type(value: exp.Expr, duck_type: str, then: exp.Expr, other: exp.Expr) -> exp.Expr:
    """Return one expression where a value is of a type, another where it is not."""
    test = exp.EQ(this=call("TYPEOF", value.copy()), expression=exp.Literal.string(duck_type))
    return exp.Case(ifs=[exp.If(this=test, true=then)], default=other)


def with_scalars(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have functions mean those of DuckDB that do the same."""
    return rewriting.everywhere(tree, write)


SEQUENCES = (exp.Seq1, exp.Seq2, exp.Seq4, exp.Seq8)


def write(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Window) and node.args.get("order") and node.find(*SEQUENCES):
        node.set("order", None)  # rows of GENERATOR are in that order
        return node
    if isinstance(node.this, exp.Distinct):
        return node
    for kinds, rewrite in WRITERS.items():
        if isinstance(node, kinds):
            return rewrite(node)
    return node


def chain(node: exp.Expr) -> exp.Expr:
    """Return a chain of ``||`` whose values are written as text."""
    if isinstance(node.parent, exp.DPipe):
        return node
    return joined([one.copy() for one in node.flatten(unnest=False)])


def count_if(node: exp.Expr) -> exp.Expr:
    counted = exp.If(this=node.this, true=exp.Literal.number(1))
    return exp.Count(this=exp.Case(ifs=[counted]))


def position(node: exp.Expr) -> exp.Expr:
    given = [node.args["substr"], node.this, node.args.get("position")]
    return macro("CHARINDEX", *[one for one in given if one])


def like(node: exp.Expr) -> exp.Expr:
    node.set("this", as_text(node.this))
    return node


AVERAGES: dict[type[exp.Expr], str] = {
    exp.Avg: "AVG",
    exp.Median: "MEDIAN",
    exp.Variance: "VARIANCE",
    exp.VariancePop: "VAR_POP",
}
"""Aggregates of whole numbers that give a NUMBER."""


def of_variants(node: exp.Expr) -> exp.Expr:
    """Return a choice between a VARIANT and texts as one between VARIANTs."""
    keys = ("this", "true", "false", "default") if not isinstance(node, exp.Coalesce) else ("this",)
    values = [one for key in keys if (one := node.args.get(key)) is not None]
    if isinstance(node, exp.Case | exp.If):
        values = [one.args["true"] for one in node.args.get("ifs", [])] + values
    values += node.expressions
    if any(isinstance(one.unnest(), exp.JSONExtract) for one in values):
        for one in values:
            if isinstance(one, exp.Literal) and one.is_string:
                one.replace(call("TO_JSON", one.copy()))
    return node


def unnested(node: exp.Expr) -> exp.Expr:
    return node.this if isinstance(node, exp.Paren) else node


def moved(node: exp.Expr) -> exp.Expr:
    """Return a time moved by an interval, if that is what an operator does."""
    by = node.expression
    if not isinstance(by, exp.Interval):
        return node
    if not isinstance(by.this, exp.Literal) or by.unit is None or not by.name.lstrip("-").isdigit():
        raise not_understood(f"{by.sql('snowflake')[:100]} is not known.")
    count = int(by.name) * (-1 if isinstance(node, exp.Sub) else 1)
    number: exp.Expr = exp.Literal.number(abs(count))
    return added([exp.var(by.unit.name), exp.Neg(this=number) if count < 0 else number, node.this])


CASTS = {
    **dict.fromkeys(["TIMESTAMP", "TIMESTAMPNTZ", "DATETIME"], "TO_TIMESTAMP_NTZ"),
    **dict.fromkeys(["TIMESTAMPTZ", "TIMESTAMPLTZ"], "TO_TIMESTAMP_LTZ"),
    "DATE": "TO_DATE",
    "TIME": "TO_TIME",
    "BOOLEAN": "TO_BOOLEAN",
    **dict.fromkeys(["DOUBLE", "FLOAT"], "TO_DOUBLE"),
    **dict.fromkeys(["BINARY", "VARBINARY"], "TO_BINARY"),
}
"""Functions that casts to types are."""

CUT_TO = {"0": "second", "3": "millisecond"}
"""What a moment is cut to by a type of so many digits; further digits are dropped."""

WHOLE = ("INT", "BIGINT", "SMALLINT", "TINYINT", "DECIMAL")


def cast(node: exp.Expr) -> exp.Expr:
    """Return a cast as the function that does the same."""
    assert isinstance(node, exp.Cast)
    kind, sizes = node.to.this.name, [one.name for one in node.to.expressions]
    tried = isinstance(node, exp.TryCast)
    if kind in CASTS:
        value = macro(f"TRY_{CASTS[kind]}" if tried else CASTS[kind], node.this)
        if not kind.startswith("TIME") or sizes in ([], ["9"], ["6"]):
            return value
        if kind == "TIME" or sizes[0] not in CUT_TO:
            raise not_understood(f"a cast to {node.to.sql('snowflake')} is not known.")
        return macro("truncated_to_hours", exp.Literal.string(CUT_TO[sizes[0]]), value)
    if kind in TEXTS:
        text = as_text(node.this)
        return macro("LEFT", text, exp.Literal.number(sizes[0])) if sizes else text
    if kind in WHOLE and sizes in ([], ["38"], ["38", "0"]) and not tried:
        return macro("whole", node.this)
    return node


def named(node: exp.Expr) -> exp.Expr:
    """Return a function that sqlglot knows by its name alone as one of DuckDB's."""
    if str(node.this).upper() == "HASH":
        # DuckDB's has no sign, and one bit more than NUMBER would get here
        half = exp.BitwiseRightShift(this=node.copy(), expression=exp.Literal.number(1))
        return exp.cast(half, "BIGINT")
    return built(node) if isinstance(node, exp.Anonymous) else node


def number(node: exp.Expr) -> exp.Expr:
    """Return TO_NUMBER as a cast, which fails where a text is no number."""
    if node.args.get("safe"):
        return node
    if node.args.get("format"):
        raise not_understood("TO_NUMBER with a format is not known.")
    sizes = [one.name if (one := node.args.get(key)) else None for key in ("precision", "scale")]
    precision, scale = sizes[0] or "38", sizes[1] or "0"
    return exp.cast(node.this, exp.DataType.build(f"DECIMAL({precision}, {scale})"))


WRITERS: dict[tuple[type[exp.Expr], ...], Callable[[exp.Expr], exp.Expr]] = {
    (exp.CountIf,): count_if,
    (exp.ToNumber,): number,
    (exp.Mod,): lambda node: macro("MOD", unnested(node.this), unnested(node.expression)),
    (exp.Div,): lambda node: macro("quotient", unnested(node.this), unnested(node.expression)),
    tuple(AVERAGES): lambda node: macro(AVERAGES[type(node)], node.this),
    (exp.Coalesce, exp.If, exp.Case): of_variants,
    (exp.DPipe,): chain,
    (exp.Extract,): lambda node: date_field(node.name.upper(), node.expression),
    (exp.StrPosition,): position,
    (exp.Add, exp.Sub): moved,
    (exp.Cast,): cast,
    (exp.Like, exp.ILike): like,
    (exp.Anonymous,): named,
}
"""By kind of expression: what DuckDB is given in its place."""


def with_texts(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have a VARIANT that is cast to a text, or compared with one, give the text within."""
    return rewriting.everywhere(tree, text_within)


def text_within(node: exp.Expr) -> exp.Expr:
    if isinstance(node, COMPARED):
        assigns = isinstance(node.parent, exp.Update) and node.arg_key == "expressions"
        return node if assigns else compared(node)
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
    """Return a comparison in which a VARIANT that meets a text gives the text within."""
    for key, other in (("this", "expression"), ("expression", "this")):
        side = node.args.get(key)
        inner = side.unnest() if side else None
        against = node.args.get(other)
        if is_text(against or node.expressions):
            if isinstance(inner, exp.JSONExtract):
                node.set(key, scalar(inner))
            elif isinstance(inner, exp.Column | exp.Anonymous) and not is_written(inner):
                return of_any_type(node, key, inner)
        elif isinstance(inner, exp.JSONExtract) and isinstance(against, exp.Column):
            return with_column(node, key, inner, against)
    return node


def of_any_type(node: exp.Expr, key: str, inner: exp.Expr) -> exp.Expr:
    """Return a comparison with a text of what may be a VARIANT."""
    unpacked = node.copy()
    within = exp.JSONExtractScalar(
        this=call("TO_JSON", inner.copy()), expression=exp.Literal.string("$")
    )
    unpacked.set(key, exp.Paren(this=within))
    return exp.Paren(this=if_type(inner, "JSON", unpacked, node.copy()))


def with_column(node: exp.Expr, key: str, path: exp.JSONExtract, column: exp.Column) -> exp.Expr:
    """Return a comparison of a path with a column, of texts where the column is one."""
    texts = node.copy()
    texts.set(key, scalar(path))
    return exp.Paren(this=if_type(column, "VARCHAR", texts, node.copy()))


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
