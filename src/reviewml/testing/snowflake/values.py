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


def positional(tree: exp.Expression, session: Session) -> exp.Expression:
    """Have ``$n`` mean the column of that name."""
    for node in list(tree.find_all(exp.Parameter)):
        if number := position(node):
            node.replace(exp.column(exp.to_identifier(f"${number}", quoted=True)))
    for values in tree.find_all(exp.Values):
        if isinstance(values.parent, exp.From | exp.Join) and not values.alias:
            width = len(values.expressions[0].expressions)
            columns = [exp.to_identifier(f"${n + 1}", quoted=True) for n in range(width)]
            alias = exp.TableAlias(this=exp.to_identifier("_values"), columns=columns)
            values.set("alias", alias)
    return tree


rewriting.BEFORE.append(positional)
