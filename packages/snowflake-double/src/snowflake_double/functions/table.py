"""Functions in Python that give rows: run over the rows that a statement joins them to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
from sqlglot import exp

from snowflake_double.functions.loading import in_warehouse
from snowflake_double.functions.scalar import Columns, Function, failed, find, frame_of
from snowflake_double.sql.sqltypes import SqlType
from snowflake_double.stages.staged import register
from snowflake_double.statements import Refused, not_understood

if TYPE_CHECKING:
    from snowflake_double.sql.running import Cursor

Row = tuple[Any, ...]
Made = tuple[int, list[Row], bool]
"""Which row of the input, the rows made for it, and whether they are for its whole partition."""


def with_table_functions(tree: exp.Expr, cursor: Cursor) -> exp.Expr:
    """Have the rows of functions in Python stand where a statement calls them."""
    for node in list(tree.find_all(exp.TableFromRows, exp.Lateral)):
        call = node.this.this if isinstance(node.this, exp.Window) else node.this
        function = find(cursor.session, call) if isinstance(call, exp.Expr) else None
        if function is None or isinstance(function.returns, SqlType):
            continue
        window = node.this if isinstance(node.this, exp.Window) else None
        replace(node, function, call, window, cursor)
    return tree


def replace(
    node: exp.Expr,
    function: Function,
    call: exp.Expr,
    window: exp.Window | None,
    cursor: Cursor,
) -> None:
    """Put rows in the place of a call."""
    given = (call.expression if isinstance(call, exp.Dot) else call).expressions
    join = node.parent
    if not isinstance(join, exp.Join):
        source = input_rows(exp.select(), given, window, cursor)
        made = list(run(function, source))
        node.replace(standing(cursor, outputs(function, made), node))
        return
    select = join.parent
    assert isinstance(select, exp.Select)
    left = select.args["from_"].this
    if len(select.args["joins"]) != 1 or join.args.get("on") or left.find(exp.Placeholder):
        raise not_understood(f"{function.name[-1]} joined to more than one table, or to values.")
    query = exp.select("*").from_(left.copy())
    carry_with(select, query)
    source = input_rows(query, given, window, cursor)
    made = list(run(function, source))
    left.replace(standing(cursor, source.repeated(made), left))
    node.replace(standing(cursor, outputs(function, made), node))
    for part in ("kind", "side"):
        join.set(part, None)
    join.set("method", "POSITIONAL")


def carry_with(select: exp.Expr, query: exp.Select) -> None:
    """Give a query the common table expressions that stand above."""
    above: exp.Expr | None = select
    while above is not None:
        if with_ := above.args.get("with_"):
            for cte in with_.expressions:
                query.with_(cte.alias, cte.this.copy(), copy=False)
        above = above.parent


class Source:
    """The rows that a function is run over.

    Parameters
    ----------
    table
        Columns of the input, then arguments, keys of the partition, and of the order.
    kinds
        Types of the columns in DuckDB.
    own
        How many columns the input has.
    given
        How many arguments there are.
    keys
        How many keys of a partition.
    partitioned
        Whether rows are in partitions at all.
    """

    def __init__(
        self,
        table: pa.Table,
        kinds: dict[str, str],
        own: int,
        given: int,
        keys: list[str],
        partitioned: bool,
    ) -> None:
        self.table = table
        self.kinds = kinds
        self.own = own
        self.given = given
        self.keys = keys
        self.partitioned = partitioned

    def arguments(self) -> list[pa.ChunkedArray]:
        """Return the arguments."""
        return list(self.table.columns[self.own : self.own + self.given])

    def partitions(self) -> list[list[int]]:
        """Return the rows of each partition, in their order."""
        if not self.partitioned or not self.table.num_rows:
            return [list(range(self.table.num_rows))]
        keys = [
            self.table.column(self.own + self.given + n).to_pylist() for n in range(len(self.keys))
        ]
        found: dict[Row, list[int]] = {}
        for index in range(self.table.num_rows):
            found.setdefault(tuple(str(key[index]) for key in keys), []).append(index)
        return list(found.values())

    def repeated(self, made: list[Made]) -> tuple[pa.Table, dict[str, str]]:
        """Return the columns of the input beside each row made: of a partition, its keys alone."""
        index = [at for at, rows, _ in made for _ in rows]
        whole = [whole for _, rows, whole in made for _ in rows]
        table = self.table.select(range(self.own)).take(pa.array(index, pa.int64()))
        columns = [
            column
            if name in self.keys
            else pa.array(
                [None if w else v for v, w in zip(column.to_pylist(), whole, strict=True)],
                column.type,
            )
            for name, column in zip(table.column_names, table.columns, strict=True)
        ]
        return pa.table(columns, names=table.column_names), self.kinds


def input_rows(
    query: exp.Select,
    given: list[exp.Expr],
    window: exp.Window | None,
    cursor: Cursor,
) -> Source:
    """Return the rows of a query with what a function is given."""
    keys = window.args.get("partition_by") or [] if window else []
    order = window.args.get("order") if window else None
    extra = [*given, *keys]
    for n, one in enumerate(extra):
        query.select(exp.alias_(one.copy(), f"_{n}", quoted=True), copy=False)
    if order:
        query.set("order", order.copy())
    inner = type(cursor)(cursor.session)
    inner.run_tree(query)
    own = inner.table.num_columns - len(extra)
    kinds = dict(inner.types[:own])
    names = [one.name if one.quoted else one.name.upper() for one in map(ident, keys) if one]
    return Source(inner.table, kinds, own, len(given), names, window is not None)


def ident(node: exp.Expr) -> exp.Identifier | None:
    return node.this if isinstance(node, exp.Column) else None


def run(function: Function, source: Source) -> Iterator[Made]:
    """Yield what a function makes of each row, and of each partition."""
    try:
        handler = function.loaded
        with in_warehouse(function.imports):
            for rows in source.partitions():
                arguments = [
                    column.take(pa.array(rows, pa.int64())) for column in source.arguments()
                ]
                yield from run_partition(function, handler(), rows, arguments)
    except Refused:
        raise
    except Exception as error:
        raise failed(function.name, error) from error


def run_partition(
    function: Function, instance: Any, rows: list[int], arguments: list[pa.ChunkedArray]
) -> Iterator[Made]:
    """Yield what an instance of a handler makes of a partition."""
    last = rows[-1] if rows else 0
    process = getattr(instance, "process", None)
    end = getattr(instance, "end_partition", None)
    if process is not None and is_vectorised(process):
        frame = frame_of(function.arguments, arguments)
        for index, row in zip(rows, listed(process(frame)), strict=True):
            yield index, [row], False
    elif process is not None:
        columns = [k.values(c) for (_, k), c in zip(function.arguments, arguments, strict=True)]
        for index, row in zip(rows, zip(*columns, strict=True) if columns else [()], strict=False):
            yield index, listed(process(*row)), False
    if end is None:
        return
    if is_vectorised(end):
        yield last, listed(end(frame_of(function.arguments, arguments))), True
    else:
        yield last, listed(end()), True


def is_vectorised(method: Any) -> bool:
    return getattr(method, "_sf_vectorized_input", None) is not None


def listed(made: Iterable[Any] | None) -> list[Row]:
    """Return what a handler gave as rows."""
    if made is None:
        return []
    if isinstance(made, pd.DataFrame):
        return list(made.astype("object").itertuples(index=False, name=None))
    if isinstance(made, tuple) and all(isinstance(one, pd.Series) for one in made):
        return list(zip(*made, strict=True))
    return [tuple(row) for row in made]


def outputs(function: Function, made: list[Made]) -> tuple[pa.Table, dict[str, str]]:
    """Return the rows that a function made."""
    columns: Columns = function.returns  # type: ignore[assignment]
    rows = [row for _, some, _ in made for row in some]
    if any(len(row) != len(columns) for row in rows):
        raise Refused(100357, f"{function.name[-1]} gave rows of another width than it returns.")
    arrays = [kind.array([row[n] for row in rows]) for n, (_, kind) in enumerate(columns)]
    names = [name for name, _ in columns]
    return pa.table(arrays, names=names), {name: kind.duck for name, kind in columns}


def standing(cursor: Cursor, rows: tuple[pa.Table, dict[str, str]], node: exp.Expr) -> exp.Expr:
    """Return rows as a table that stands where an expression stood, under its name."""
    table = exp.to_table(register(cursor.session, *rows))
    name = node.alias or (node.name if isinstance(node, exp.Table) else "")
    alias = node.args.get("alias")
    if name:
        quoted = bool(alias and alias.this.quoted)
        table.set("alias", exp.TableAlias(this=exp.to_identifier(name, quoted=quoted)))
    return table
