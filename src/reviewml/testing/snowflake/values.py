"""``SELECT $1 FROM VALUES (…)``: columns by their position."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from reviewml.testing.snowflake import rewriting

if TYPE_CHECKING:
    from reviewml.testing.snowflake.sessions import Session


def position(node: exp.Expression) -> int | None:
    """Return n of ``$n``."""
    if isinstance(node, exp.Parameter) and isinstance(node.this, exp.Literal):
        return int(node.name)
    return None


def parquet_column(path: exp.JSONExtract) -> str | None:
    """Return the name in ``$1:name``."""
    start = path.this.this if isinstance(path.this, exp.Column) else path.this
    keys = path.expression.expressions if isinstance(path.expression, exp.JSONPath) else []
    if position(start) != 1 or len(keys) != 2 or not isinstance(keys[1], exp.JSONPathKey):
        return None
    return str(keys[1].this)


def positional(tree: exp.Expression, session: Session) -> exp.Expression:
    """Have ``$n`` mean the column of that name, and ``$1:name`` that of a Parquet file."""
    if len(session.columns) == 1:
        (known,) = session.columns.values()
        for path in list(tree.find_all(exp.JSONExtract)):
            if (name := parquet_column(path)) in known:
                path.replace(exp.column(exp.to_identifier(f"$1:{name}", quoted=True)))
    for node in list(tree.find_all(exp.Parameter)):
        if number := position(node):
            own = exp.to_identifier(f"${number}", quoted=True)
            inside = isinstance(node.parent, exp.Column)  # as in t.$1
            node.replace(own if inside else exp.column(own))
    for values in tree.find_all(exp.Values):
        if isinstance(values.parent, exp.From | exp.Join) and not values.alias:
            width = len(values.expressions[0].expressions)
            columns = [exp.to_identifier(f"${n + 1}", quoted=True) for n in range(width)]
            alias = exp.TableAlias(this=exp.to_identifier("_values"), columns=columns)
            values.set("alias", alias)
    return tree


rewriting.BEFORE.append(positional)
