"""Names in quotes: those that differ by case alone are not the same, though DuckDB says so."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sqlglot import exp

from snowflake_double.sql import rewriting
from snowflake_double.sql.assigning import kinds_of
from snowflake_double.sql.temporary import full, named_tables
from snowflake_double.statements import Refused, missing, not_understood

if TYPE_CHECKING:
    from snowflake_double.sessions import Session


def with_exact_names(tree: exp.Expr, session: Session) -> exp.Expr:
    """Refuse names that only DuckDB would find.

    Raises
    ------
    Refused
        As Snowflake would, where a name is spelled otherwise; or because two names of the same
        rows differ by case alone, which DuckDB cannot hold.
    """
    if isinstance(tree, exp.Command | exp.Show):
        return tree
    known: set[str] = set()
    for table in named_tables(tree):
        check_table(tree, table, session)
        known |= set(kinds_of(table, session))
    for select in tree.find_all(exp.Select, exp.Schema):
        check_distinct([one.alias_or_name for one in select.expressions])
    known |= {one.name for one in tree.find_all(exp.Identifier) if is_definition(one)}
    spelled = {name.upper() for name in known}
    for column in tree.find_all(exp.Column):
        if isinstance(column.this, exp.Identifier):
            name = column.name
            if name not in known and name.upper() in spelled:
                raise invalid(name)
    return tree


def is_definition(name: exp.Identifier) -> bool:
    """Tell whether a name is given where it stands, and not looked up."""
    return not isinstance(name.parent, exp.Column | exp.Table)


def check_distinct(names: list[str]) -> None:
    """Refuse names of columns that differ by case alone."""
    counts = Counter(name.upper() for name in {*names} if name and name != "*")
    for name, count in counts.items():
        if count > 1:
            raise not_understood(f"columns whose names differ from {name!r} by case alone.")


def check_table(tree: exp.Expr, table: exp.Table, session: Session) -> None:
    """Refuse a table that is spelled otherwise than the one that DuckDB would take."""
    database, schema, name = full(table, session)
    if session.temporary and (database, schema, name) in session.temporary:
        return
    found = session.query(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = ? "
        "AND upper(table_name) = upper(?) UNION ALL SELECT view_name FROM duckdb_views() "
        "WHERE database_name = ? AND schema_name = ? AND upper(view_name) = upper(?)",
        [database, schema, name] * 2,
    )
    if not found or (name,) in found:
        return
    if isinstance(tree, exp.Create):
        raise not_understood(f"a table whose name differs from {found[0][0]!r} by case alone.")
    raise missing("Object", name)


def invalid(name: str) -> Refused:
    return Refused(904, f"SQL compilation error: error line 1\ninvalid identifier '{name}'")


rewriting.AFTER.append(with_exact_names)
