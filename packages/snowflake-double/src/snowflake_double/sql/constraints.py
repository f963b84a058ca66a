"""Keys that Snowflake notes and does not enforce, and columns that count by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from snowflake_double.sql import rewriting
from snowflake_double.statements import not_understood

if TYPE_CHECKING:
    from snowflake_double.sessions import Session

KEYS = (exp.PrimaryKeyColumnConstraint, exp.UniqueColumnConstraint, exp.Reference)
KEYS_OF_TABLES = (exp.PrimaryKey, exp.UniqueColumnConstraint, exp.ForeignKey, exp.Constraint)


def without_keys(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have tables take rows that break a key, as Snowflake's do; primary keys are not NULL."""
    if isinstance(tree, exp.Alter) and tree.find(*KEYS, *KEYS_OF_TABLES, exp.AddConstraint):
        raise not_understood("ALTER TABLE with a constraint is not known.")
    if not isinstance(tree, exp.Create) or not isinstance(tree.this, exp.Schema):
        return tree
    if tree.find(exp.CheckColumnConstraint):
        raise not_understood("CREATE TABLE with CHECK is not known.")
    required = set()
    for one in list(tree.this.expressions):
        if isinstance(one, KEYS_OF_TABLES):
            for key in one.find_all(exp.PrimaryKey):
                required |= {part.name.upper() for part in key.find_all(exp.Identifier)}
            one.pop()
    for column in tree.this.find_all(exp.ColumnDef):
        given = [one for one in column.args.get("constraints") or [] if not is_key(one)]
        primary = column.find(exp.PrimaryKeyColumnConstraint) or column.name.upper() in required
        if primary and not column.find(exp.NotNullColumnConstraint):
            given.append(exp.ColumnConstraint(kind=exp.NotNullColumnConstraint()))
        column.set("constraints", given)
    return tree


def is_key(constraint: exp.Expr) -> bool:
    kind = constraint.args.get("kind") if isinstance(constraint, exp.ColumnConstraint) else None
    return isinstance(kind or constraint, KEYS)


def with_keys_first(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have ``*`` of a join USING columns give those columns first."""
    for select in tree.find_all(exp.Select):
        joins = select.args.get("joins") or []
        stars = [one for one in select.expressions if isinstance(one, exp.Star)]
        if stars and any(str(one.args.get("method")).upper() == "NATURAL" for one in joins):
            raise not_understood("* of a NATURAL JOIN is not known.")
        keys: list[exp.Identifier] = []
        for join in joins:
            using = [exp.to_identifier(k.name, quoted=k.args.get("quoted")) for k in columns(join)]
            keys = [*using, *[key for key in keys if key not in using]]
        if not keys:
            continue
        for star in stars:
            if any(star.args.values()):
                raise not_understood("* of a JOIN USING, with EXCLUDE, RENAME or REPLACE.")
            place = select.expressions.index(star)
            rest = exp.Star(except_=[key.copy() for key in keys])
            own = [exp.column(key.copy()) for key in keys]
            select.set(
                "expressions",
                [*select.expressions[:place], *own, rest, *select.expressions[place + 1 :]],
            )
    return tree


def columns(join: exp.Expr) -> list[exp.Identifier]:
    """Return the columns that a join is USING."""
    return [
        one.this if isinstance(one, exp.Column) else one for one in join.args.get("using") or []
    ]


rewriting.BEFORE += [without_keys, with_keys_first]
