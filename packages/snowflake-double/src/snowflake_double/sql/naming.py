"""Columns without a name of their own: called by their expression, in upper case."""

from __future__ import annotations

import re

from sqlglot import exp

QUOTED = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")""")
NAMED = (exp.Alias, exp.Aliases, exp.Column, exp.Star, exp.Parameter, exp.Dot)


def upper(text: str) -> str:
    """Return SQL in upper case, but for what stands in quotes."""
    parts = QUOTED.split(text)
    return "".join(part if n % 2 else part.upper() for n, part in enumerate(parts))


def with_columns_named(tree: exp.Expr) -> exp.Expr:
    """Give each column of each query a name."""
    for select in tree.find_all(exp.Select):
        for one in list(select.expressions):
            named = isinstance(one, NAMED) and not call_of_schema(one)
            if not named and not isinstance(one.parent, exp.Tuple):
                name = upper(one.sql("snowflake"))
                one.replace(exp.alias_(one.copy(), exp.to_identifier(name, quoted=True)))
    return tree


def call_of_schema(node: exp.Expr) -> bool:
    """Tell whether an expression is a call of a function that is named in full."""
    return isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func)
