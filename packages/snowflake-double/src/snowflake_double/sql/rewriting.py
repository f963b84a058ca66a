"""Snowflake's SQL as DuckDB's, where fakesnow leaves it: trees are changed, never text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import exp

if TYPE_CHECKING:
    from snowflake_double.sessions import Session

Rewrite = Callable[[exp.Expr, "Session"], exp.Expr]

BEFORE: list[Rewrite] = []
"""Applied to the tree of Snowflake's SQL, before fakesnow's own."""

AFTER: list[Rewrite] = []
"""Applied to what fakesnow made of it."""


def before(tree: exp.Expr, session: Session) -> exp.Expr:
    """Return a statement of Snowflake's as fakesnow takes it."""
    for rewrite in BEFORE:
        tree = rewrite(tree, session)
    return tree


def after(tree: exp.Expr, session: Session) -> exp.Expr:
    """Return a statement of fakesnow's as DuckDB takes it."""
    for rewrite in AFTER:
        tree = rewrite(tree, session)
    return tree


def everywhere(tree: exp.Expr, write: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """Return a tree in which each expression is rewritten, the inner ones first."""
    for node in reversed(list(tree.walk())):
        new = write(node)
        if new is node:
            continue
        if node is tree:
            tree = new
        else:
            node.replace(new)
    return tree
