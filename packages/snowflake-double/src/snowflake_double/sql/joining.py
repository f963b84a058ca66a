"""ASOF JOIN, MERGE and sums as DuckDB has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from snowflake_double.sql import rewriting

if TYPE_CHECKING:
    from snowflake_double.sessions import Session

AGGREGATES = (exp.Sum, exp.Avg, exp.Median, exp.Stddev, exp.StddevPop, exp.Variance)


def with_asof(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have the condition of an ASOF JOIN stand last in ON, and keep rows that match nothing."""
    for join in tree.find_all(exp.Join):
        condition = join.args.get("match_condition")
        if condition is None:
            continue
        join.set("match_condition", None)
        join.set("side", "LEFT")
        on = join.args.get("on")
        join.set("on", exp.and_(on, condition) if on else condition)
    return tree


def with_merge(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have MERGE tell what it did with each row, and set columns by their own names."""
    if not isinstance(tree, exp.Merge):
        return tree
    for when in tree.args["whens"].expressions:
        then = when.args["then"]
        if isinstance(then, exp.Update):
            for one in then.expressions:
                if isinstance(one, exp.EQ) and isinstance(one.this, exp.Column):
                    one.set("this", exp.column(one.this.this))
    tree.set("returning", exp.Returning(expressions=[exp.column("merge_action")]))
    return tree


ACTIONS = (("INSERT", "inserted"), ("UPDATE", "updated"), ("DELETE", "deleted"))


def counted(tree: exp.Merge, actions: list[str]) -> dict[str, int]:
    """Return how many rows a MERGE inserted, updated and deleted, of what it could."""
    could = [when.args["then"] for when in tree.args["whens"].expressions]
    kinds = {
        "INSERT": any(isinstance(one, exp.Insert) for one in could),
        "UPDATE": any(isinstance(one, exp.Update) for one in could),
        "DELETE": any(isinstance(one, exp.Var) for one in could),
    }
    return {
        f"number of rows {done}": actions.count(action) for action, done in ACTIONS if kinds[action]
    }


def keep_exact(tree: exp.Expr, session: Session) -> exp.Expr:
    """Mark sums, which fakesnow would have computed in floating point."""
    for node in tree.find_all(*AGGREGATES):
        if not isinstance(node.this, exp.Cast):
            node.meta["exact"] = True
    return tree


def exact(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have what was marked computed as it is."""
    for node in tree.find_all(*AGGREGATES):
        if node.meta.get("exact") and isinstance(node.this, exp.TryCast):
            node.set("this", node.this.this)
    return tree


rewriting.BEFORE += [with_asof, with_merge, keep_exact]
rewriting.AFTER.append(exact)
