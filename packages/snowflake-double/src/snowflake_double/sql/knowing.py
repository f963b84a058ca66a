"""What is refused before DuckDB sees it: statements and functions that Snowflake lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from snowflake_double.cortex.answers import FUNCTIONS, called
from snowflake_double.functions import scalar
from snowflake_double.sql import calls, macros, variants
from snowflake_double.statements import not_understood

if TYPE_CHECKING:
    from snowflake_double.sessions import Session

STATEMENTS = (
    exp.Query,
    exp.DML,
    exp.Merge,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.TruncateTable,
    exp.Use,
    exp.Set,
    exp.Transaction,
    exp.Commit,
    exp.Rollback,
    exp.Describe,
    exp.Show,
    exp.Comment,
)
PROPERTIES = (
    exp.TemporaryProperty,
    exp.TransientProperty,
    exp.Cluster,
    exp.ClusterProperty,
    exp.SchemaCommentProperty,
    exp.CopyGrantsProperty,
    exp.SequenceProperties,
)
OF_TIME_TRAVEL = ("DATA_RETENTION_TIME_IN_DAYS", "MAX_DATA_EXTENSION_TIME_IN_DAYS")
"""Properties of tables that change no answer, for there is no time travel."""

KINDS = ("TABLE", "VIEW", "SCHEMA", "DATABASE", "SEQUENCE")
AS_THEY_ARE = frozenset(["HASH", "LAST_QUERY_ID"])
"""Functions of Snowflake that sqlglot does not know and fakesnow or DuckDB does."""

KNOWN = (
    FUNCTIONS,
    variants.FUNCTIONS,
    variants.CONSTRUCTORS,
    macros.FUNCTIONS,
    calls.BUILDERS,
    AS_THEY_ARE,
)
"""Tables of the functions that are called by their names."""


SHOWN = ("DATABASES", "SCHEMAS", "COLUMNS")
"""What else than tables and views is shown, by fakesnow."""


def properties(tree: exp.Expr) -> list[exp.Expr]:
    """Return what a statement says of the thing that it creates."""
    found = tree.args.get("properties") if isinstance(tree, exp.Create) else None
    return found.expressions if found else []


def known(tree: exp.Expr, session: Session) -> exp.Expr:
    """Return a statement, if it is one that the double knows.

    Raises
    ------
    Refused
        When it is not, or calls a function that is not.
    """
    if not isinstance(tree, STATEMENTS):
        raise not_understood(f"the statement {tree.sql('snowflake')[:200]!r} is not known.")
    if isinstance(tree, exp.Show) and tree.name.upper() not in SHOWN:
        raise not_understood(f"SHOW {tree.name.upper()} is not known.")
    if isinstance(tree, exp.Create | exp.Drop) and tree.kind not in KINDS:
        raise not_understood(f"{tree.key.upper()} {tree.kind} is not known.")
    for one in properties(tree):
        named = type(one) is exp.Property and one.name.upper() in OF_TIME_TRAVEL
        if not (named or isinstance(one, PROPERTIES)):
            raise not_understood(f"CREATE with {one.sql('snowflake')[:100]} is not known.")
    for table in tree.find_all(exp.Table):
        if isinstance(table.this, exp.Func):
            raise not_understood(f"rows of {table.this.sql('snowflake')[:200]} without TABLE().")
    for node in tree.find_all(exp.Anonymous):
        if isinstance(node.parent, exp.ModelAttribute):
            continue
        whole = node.parent if isinstance(node.parent, exp.Dot) else node
        name, _ = called(whole)
        if scalar.find(session, whole):
            continue
        if not any(name in table for table in KNOWN):
            raise not_understood(f"SQL compilation error:\nUnknown function {name}.")
    return tree
