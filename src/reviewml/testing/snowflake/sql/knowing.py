"""What is refused before DuckDB sees it: statements and functions that Snowflake lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from reviewml.testing.snowflake.cortex.answers import FUNCTIONS, called
from reviewml.testing.snowflake.functions import scalar
from reviewml.testing.snowflake.sql import variants
from reviewml.testing.snowflake.sql.dialect import OWN
from reviewml.testing.snowflake.statements import not_understood

if TYPE_CHECKING:
    from reviewml.testing.snowflake.sessions import Session

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
)
OF_TIME_TRAVEL = ("DATA_RETENTION_TIME_IN_DAYS", "MAX_DATA_EXTENSION_TIME_IN_DAYS")
"""Properties of tables that change no answer, for there is no time travel."""

KINDS = ("TABLE", "VIEW", "SCHEMA", "DATABASE", "SEQUENCE")
AS_THEY_ARE = frozenset(
    [
        "HASH",
        "SHA2_BINARY",
        "SHA2_HEX",
        "SYSDATE",
        "SYSTIMESTAMP",
        "TO_DATE",
        "TO_DECIMAL",
        "TO_NUMBER",
        "TO_NUMERIC",
        "TO_TIMESTAMP",
        "TO_TIME",
        "TO_TIMESTAMP_NTZ",
        "TO_VARIANT",
        "TRY_PARSE_JSON",
        "TRY_TO_DATE",
        "TRY_TO_TIME",
    ]
)
"""Functions of Snowflake that sqlglot does not know and fakesnow or DuckDB does."""


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
        if not any(name in one for one in (FUNCTIONS, variants.FUNCTIONS, OWN, AS_THEY_ARE)):
            raise not_understood(f"SQL compilation error:\nUnknown function {name}.")
    return tree
