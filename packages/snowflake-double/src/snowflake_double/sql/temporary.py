"""Temporary tables and views: DuckDB's own, seen by their session alone and gone with it.

DuckDB keeps them in one place without schemas, so each is stored under its full name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from snowflake_double.sessions import Full, name_of
from snowflake_double.sql import rewriting

if TYPE_CHECKING:
    from snowflake_double.sessions import Session


def full(table: exp.Table, session: Session) -> Full:
    """Return database, schema and name of a table in a statement."""
    parts = [name_of(part) for part in table.parts]
    here = [session.database or "", session.schema or ""]
    database, schema, name = [*here[: 3 - len(parts)], *parts]
    return database, schema, name


def stored(name: Full) -> str:
    """Return the name that a temporary table has in DuckDB."""
    return ".".join(name)


def created(tree: exp.Expr) -> exp.Table | None:
    """Return the temporary table or view that a statement creates, if it does."""
    if not isinstance(tree, exp.Create) or tree.kind not in ("TABLE", "VIEW"):
        return None
    if not tree.find(exp.TemporaryProperty):
        return None
    found = tree.this.find(exp.Table)
    return found if isinstance(found, exp.Table) else None


def redirect(table: exp.Table, name: Full) -> None:
    """Have a table in a statement mean a temporary one."""
    read = isinstance(table.parent, exp.From | exp.Join)
    if read and not table.alias:
        table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name, quoted=True)))
    table.set("this", exp.to_identifier(stored(name), quoted=True))
    if isinstance(table.parent, exp.Create | exp.Schema):
        table.set("db", None)
        table.set("catalog", None)
        return
    table.set("db", exp.to_identifier("main", quoted=True))
    table.set("catalog", exp.to_identifier("temp", quoted=True))


def named_tables(tree: exp.Expr) -> list[exp.Table]:
    """Return the tables in a statement that are not its own common table expressions."""
    own = {cte.alias.upper() for cte in tree.find_all(exp.CTE)}
    return [
        table
        for table in tree.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier) and (table.db or table.name.upper() not in own)
    ]


def with_temporary(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have the names of temporary tables and views mean those."""
    if new := created(tree):
        session.temporary[full(new, session)] = stored(full(new, session))
    for table in named_tables(tree):
        name = full(table, session)
        if name in session.temporary:
            redirect(table, name)
            if isinstance(tree, exp.Drop):
                del session.temporary[name]
    return tree


def without_properties(tree: exp.Expr, session: Session) -> exp.Expr:
    """Leave out what DuckDB has no word for, and what changes no answer."""
    found = tree.args.get("properties") if isinstance(tree, exp.Create) else None
    for one in list(found.expressions) if found else []:
        if not isinstance(one, exp.TemporaryProperty | exp.SequenceProperties):
            one.pop()
    for one in list(tree.find_all(exp.CommentColumnConstraint)):
        (one.parent if isinstance(one.parent, exp.ColumnConstraint) else one).pop()
    return tree


rewriting.BEFORE.append(with_temporary)
rewriting.AFTER.append(without_properties)
