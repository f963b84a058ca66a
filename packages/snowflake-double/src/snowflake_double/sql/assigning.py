"""Values given to columns of tables: as text where the column is one of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from snowflake_double.sql import rewriting
from snowflake_double.sql.calls import macro
from snowflake_double.sql.temporary import full, stored

if TYPE_CHECKING:
    from snowflake_double.sessions import Full, Session

Kinds = dict[str, str]
CASTS = {"VARCHAR": "text", "BIGINT": "whole", "TIMESTAMP": "TO_TIMESTAMP_NTZ", "DATE": "TO_DATE"}
"""Macros that convert to the types of columns, of values whose type is another."""


def kinds_of(table: exp.Table, session: Session) -> Kinds:
    """Return the types of the columns of a table that is there."""
    name: Full = full(table, session)
    where = ("temp", "main", stored(name)) if name in session.temporary else name
    found = session.query(
        "SELECT column_name, data_type FROM duckdb_columns() "
        "WHERE database_name = ? AND schema_name = ? AND table_name = ? ORDER BY column_index",
        list(where),
    )
    return {column: str(kind) for column, kind in found}


def converted(value: exp.Expr, kind: str | None) -> exp.Expr:
    """Return a value as a column of a type takes it."""
    plain = isinstance(value, exp.Null | exp.Placeholder | exp.Boolean) or value.find(exp.Star)
    if kind not in CASTS or plain or isinstance(value, exp.Var | exp.Literal):
        return value
    return macro(CASTS[kind], value.copy())


def with_conversions(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have INSERT, UPDATE and MERGE convert as Snowflake does, above all VARIANT to text."""
    if isinstance(tree, exp.Insert):
        insert(tree, session)
    elif isinstance(tree, exp.Update) and isinstance(tree.this, exp.Table):
        update(tree.expressions, kinds_of(tree.this, session))
    elif isinstance(tree, exp.Merge):
        kinds = kinds_of(tree.this, session)
        for when in tree.args["whens"].expressions:
            then = when.args["then"]
            if isinstance(then, exp.Update):
                update(then.expressions, kinds)
            elif isinstance(then, exp.Insert) and isinstance(then.expression, exp.Tuple):
                named = then.this.expressions if then.this else []
                row(then.expression, [kinds.get(one.name) for one in named] or list(kinds.values()))
    return tree


def update(settings: list[exp.Expr], kinds: Kinds) -> None:
    for one in settings:
        if isinstance(one, exp.EQ) and isinstance(one.this, exp.Column):
            one.set("expression", converted(one.expression, kinds.get(one.this.name)))


def row(values: exp.Expr, kinds: list[str | None] | list[str]) -> None:
    if len(values.expressions) == len(kinds):
        changed = [converted(v, k) for v, k in zip(values.expressions, kinds, strict=True)]
        values.set("expressions", changed)


def insert(tree: exp.Insert, session: Session) -> None:
    """Convert the rows of an INSERT."""
    table = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    if not isinstance(table, exp.Table):
        return
    kinds = kinds_of(table, session)
    named = [one.name for one in tree.this.expressions] if isinstance(tree.this, exp.Schema) else []
    wanted: list[str | None] = [kinds.get(one) for one in named or kinds]
    source = tree.expression
    if isinstance(source, exp.Values):
        for values in source.expressions:
            row(values, wanted)
    elif isinstance(source, exp.Query) and any(kind in CASTS for kind in wanted):
        source.replace(selected(source, wanted))


def selected(query: exp.Query, kinds: list[str | None]) -> exp.Expr:
    """Return the rows of a query with each column converted."""
    names = [exp.to_identifier(f"_{n}", quoted=True) for n in range(len(kinds))]
    alias = exp.TableAlias(this=exp.to_identifier("_given"), columns=[n.copy() for n in names])
    columns = [converted(exp.column(n), kind) for n, kind in zip(names, kinds, strict=True)]
    inner = exp.Subquery(this=query.copy(), alias=alias)
    return exp.select(*columns).from_(inner)


rewriting.AFTER.append(with_conversions)
