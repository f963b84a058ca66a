"""ARRAY_AGG and LISTAGG: without nulls, and empty, not NULL, where there is no row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from snowflake_double.sql import rewriting
from snowflake_double.sql.calls import as_text
from snowflake_double.statements import not_understood

if TYPE_CHECKING:
    from snowflake_double.sessions import Session


def with_aggregates(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have what gathers values do so as in Snowflake, but for windows."""
    for node in list(tree.find_all(exp.ArrayAgg, exp.GroupConcat)):
        whole = node.parent if isinstance(node.parent, exp.WithinGroup) else node
        if isinstance(node, exp.GroupConcat):
            if isinstance(whole.parent, exp.Window):
                raise not_understood("LISTAGG over a window is not known.")
            write_texts(node)
        if isinstance(whole.parent, exp.Window | exp.Filter):
            continue
        order = whole.expression if whole is not node else None
        if isinstance(node, exp.ArrayAgg):
            whole.replace(gathered(node.this, order))
        else:
            whole.replace(exp.func("COALESCE", whole.copy(), exp.Literal.string("")))
    return tree


def write_texts(node: exp.GroupConcat) -> None:
    """Have LISTAGG write values as texts, with nothing between them if nothing is given."""
    if not node.args.get("separator"):
        node.set("separator", exp.Literal.string(""))
    if isinstance(node.this, exp.Distinct):
        node.this.set("expressions", [as_text(one) for one in node.this.expressions])
    elif not isinstance(node.this, exp.Order):
        node.set("this", as_text(node.this))


def gathered(value: exp.Expr, order: exp.Expr | None) -> exp.Expr:
    """Return an array of values, in an order if there is one."""
    inner = value.expressions[0] if isinstance(value, exp.Distinct) else value
    ordered = exp.Order(this=value, expressions=order.expressions) if order else value
    listed = exp.Filter(
        this=exp.Anonymous(this="LIST", expressions=[ordered]),
        expression=exp.Where(this=exp.Not(this=exp.Is(this=inner.copy(), expression=exp.null()))),
    )
    empty = exp.cast(exp.Literal.string("[]"), "JSON")
    return exp.func("COALESCE", exp.Anonymous(this="TO_JSON", expressions=[listed]), empty)


rewriting.BEFORE.append(with_aggregates)
