"""``SELECT $1 FROM VALUES (…)``: columns by their position."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from snowflake_double.sql import rewriting

if TYPE_CHECKING:
    from snowflake_double.sessions import Session


def position(node: exp.Expr) -> int | None:
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


def positional(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have ``$n`` mean the column of that name, and ``$1:name`` that of a Parquet file."""
    if len(session.columns) == 1:
        (known,) = session.columns.values()
        for path in list(tree.find_all(exp.JSONExtract)):
            if (name := parquet_column(path)) in known:
                path.replace(exp.column(exp.to_identifier(f"$1:{name}", quoted=True)))
    for values in tree.find_all(exp.Values):
        name_columns(values)
    for node in list(tree.find_all(exp.Parameter)):
        if number := position(node):
            replace_position(node, number)
    return tree


def name_columns(values: exp.Values) -> None:
    """Have the columns of VALUES be called COLUMN1 and so on, unless they have names."""
    if not isinstance(values.parent, exp.From | exp.Join):
        return
    alias = values.args.get("alias") or exp.TableAlias(this=exp.to_identifier("_values"))
    if not alias.args.get("columns"):
        width = len(values.expressions[0].expressions)
        names = [exp.to_identifier(f"COLUMN{n + 1}", quoted=True) for n in range(width)]
        alias.set("columns", names)
    values.set("alias", alias)


def replace_position(node: exp.Parameter, number: int) -> None:
    """Have ``$n`` mean the column of VALUES in that place, or that of a file."""
    select = node.find_ancestor(exp.Select)
    source = select.args.get("from_") if select else None
    name = f"${number}"
    if source and isinstance(source.this, exp.Values):
        name = source.this.args["alias"].columns[number - 1].name
    own = exp.to_identifier(name, quoted=True)
    column: exp.Expr = own if isinstance(node.parent, exp.Column) else exp.column(own)  # as in t.$1
    if node.parent is select and name != f"${number}":
        column = exp.alias_(column, exp.to_identifier(f"${number}", quoted=True))
    node.replace(column)


rewriting.BEFORE.append(positional)
