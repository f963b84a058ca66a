"""Statements that DuckDB runs: parsed, rewritten from Snowflake's SQL, executed."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import snowflake.connector.errors
from fakesnow.cursor import FakeSnowflakeCursor
from fakesnow.statement_type import DML_TYPE_IDS, statement_type_id
from sqlglot import exp

from snowflake_double.functions.table import with_table_functions
from snowflake_double.sessions import Session
from snowflake_double.sql import rewriting
from snowflake_double.sql.dialect import parse
from snowflake_double.sql.joining import counted
from snowflake_double.sql.knowing import known
from snowflake_double.sql.naming import with_columns_named
from snowflake_double.stages.staged import forget, with_staged
from snowflake_double.statements import (
    Answer,
    Call,
    Refused,
    missing,
    not_understood,
    rows,
)
from snowflake_double.texts import tokens
from snowflake_double.wire import arrow_answer

if TYPE_CHECKING:
    from snowflake_double.double import Double

SCOPED = re.compile(r"^(CREATE (?:OR REPLACE )?)SCOPED (TEMP)", re.I)
ABSENT = re.compile(r"(?:Table|View) with name (.*) does not exist")
STATUS = re.compile(r"SELECT '(.*)' as '?status'?", re.DOTALL)
IDENTIFIER = re.compile(r"\bIDENTIFIER ?\( ?\? ?\)", re.I)
UNKNOWN = "391900: "
"""What stands before the message of a macro that does not know what it is asked."""

STRANGE = re.compile(r"Function with name|Macro Function|syntax error|not implemented", re.I)


class Recording:
    """A connection to DuckDB that keeps the types of the columns it last handed over.

    Parameters
    ----------
    duck
        The connection.
    """

    def __init__(self, duck: duckdb.DuckDBPyConnection) -> None:
        self.duck = duck
        self.types: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.duck, name)

    def execute(self, sql: str, *more: Any) -> Any:
        if told := STATUS.fullmatch(sql):  # fakesnow leaves quotes in names as they are
            text = exp.Literal.string(told[1]).sql("duckdb")
            sql = f"SELECT {text} AS status"
        return self.duck.execute(sql, *more)

    def to_arrow_table(self) -> pa.Table:
        self.types = [(name, str(kind)) for name, kind, *_ in self.duck.description or []]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that this is slower than another way
            return self.duck.to_arrow_table()


class Cursor(FakeSnowflakeCursor):
    """A cursor of fakesnow that also rewrites what fakesnow leaves.

    Parameters
    ----------
    session
        Whose.
    """

    def __init__(self, session: Session) -> None:
        self.recording = Recording(session.duck)
        self.session = session
        super().__init__(session, self.recording)  # type: ignore[arg-type]

    def _transform_explode(self, expression: exp.Expr) -> list[exp.Expr]:
        tree = rewriting.before(expression, self.session)
        if isinstance(tree, exp.Merge):  # DuckDB's own is used, not fakesnow's
            return [tree]
        return list(super()._transform_explode(tree))

    def _transform(self, expression: exp.Expr, params: Any) -> exp.Expr:
        tree = rewriting.after(super()._transform(expression, params), self.session)
        tree.args.pop("text_lengths", None)  # noted by fakesnow, whatever is in the names
        return tree

    def run(self, sql: str, binds: list[Any] | None = None) -> None:
        """Run a statement of Snowflake's."""
        self.run_tree(parse(str(self._inline_variables(sql))), binds)

    def run_tree(self, tree: exp.Expr, binds: list[Any] | None = None) -> None:
        """Run a statement of Snowflake's that is parsed."""
        tree = with_table_functions(with_columns_named(known(tree, self.session)), self)
        values = list(binds) if binds else None
        self.check_db_and_schema(tree)
        for statement in self._transform_explode(tree):
            transformed = self._transform(statement, values)
            bound = values if transformed.find(exp.Placeholder) else None
            self._execute(transformed, bound)

    @property
    def types(self) -> list[tuple[str, str]]:
        return self.recording.types

    @property
    def statement(self) -> exp.Expr:
        """What DuckDB ran."""
        assert self._last_transformed is not None
        return self._last_transformed

    @property
    def table(self) -> pa.Table:
        return self._arrow_table


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Say as Snowflake would what went wrong in DuckDB or fakesnow."""
    try:
        yield
    except snowflake.connector.errors.Error as error:
        if gone := ABSENT.search(error.msg or ""):
            raise missing("Object", gone[1]) from error
        if STRANGE.search(error.msg or ""):
            raise not_understood(str(error.msg)) from error
        raise Refused(error.errno, str(error.msg), error.sqlstate or "42000") from error
    except duckdb.Error as error:
        if UNKNOWN in str(error):
            raise not_understood(str(error).partition(UNKNOWN)[2]) from error
        raise of_duckdb(str(error)) from error
    except (NotImplementedError, AssertionError, ValueError, KeyError) as error:
        raise not_understood(f"{type(error).__name__}: {error}") from error


def of_duckdb(message: str) -> Refused:
    """Return the refusal that an error of DuckDB amounts to."""
    _, mark, told = message.partition("Python Interpreter Error:")
    if mark:  # of a function in Python
        return Refused(100357, mark + told, "P0000")
    return Refused(100038, message, "22000")


def run(double: Double, call: Call) -> Answer:
    """Return what DuckDB answers to a statement of Snowflake's."""
    with refusals():
        cursor = Cursor(call.session)
        if call.batch is not None:
            return run_batch(cursor, call.sql, call.batch)
        try:
            execute(double, cursor, call.sql, call.binds)
            return answer(cursor)
        finally:
            forget(call.session)


def execute(double: Double, cursor: Cursor, sql: str, binds: list[Any]) -> None:
    """Run a statement of Snowflake's."""
    sql, binds = with_names(SCOPED.sub(r"\1\2", sql), binds)
    sql, binds = with_staged(double, cursor.session, sql, binds)
    cursor.run(sql, binds)


def with_names(sql: str, binds: list[Any]) -> tuple[str, list[Any]]:
    """Return a statement, and what is bound to it, with ``IDENTIFIER(?)`` as the name itself."""
    parts = IDENTIFIER.split(sql)
    text, rest = parts[0], list(binds)
    for part in parts[1:]:
        place = sum(token.text == "?" for token in tokens(text))
        text += f"{rest.pop(place)}{part}"
    return text, rest


def run_batch(cursor: Cursor, sql: str, batch: list[list[Any]]) -> Answer:
    """Run a statement once for each row of values, and tell how many rows it touched."""
    first, *rest = batch
    cursor.run(sql, first)
    touched = cursor.rowcount or 0
    if rest and isinstance(cursor.statement, exp.Insert):  # parsed once
        with refusals():
            cursor.session.duck.executemany(cursor.statement.sql("duckdb"), rest)
        touched += len(rest)
        rest = []
    for values in rest:
        cursor.run(sql, values)
        touched += cursor.rowcount or 0
    done = rows([("number of rows inserted", "fixed")], [[touched]])
    done.data["statementTypeId"] = statement_type_id(cursor.statement)
    done.rows = 0
    return done


def answer(cursor: Cursor) -> Answer:
    """Return what a cursor holds, as JSON where it counts rows that were changed."""
    kind = statement_type_id(cursor.statement)
    cursor.session.results_cache[cursor.sfqid or ""] = (cursor.table, cursor.types)
    if isinstance(cursor.statement, exp.Merge):
        actions = cursor.table.column(0).to_pylist()
        count = counted(cursor.statement, actions)
        done = rows([(name, "fixed") for name in count], [list(count.values())])
        done.data |= {"statementTypeId": kind, "queryId": cursor.sfqid}
        done.rows = 0
        return done
    if kind in DML_TYPE_IDS:
        names = [(name, "fixed") for name, _ in cursor.types]
        done = rows(names, zip(*(c.to_pylist() for c in cursor.table.columns), strict=True))
        done.data |= {"statementTypeId": kind, "queryId": cursor.sfqid}
        done.rows = 0
        return done
    done = arrow_answer(cursor.table, cursor.types, cursor.sfqid or "")
    done.data["statementTypeId"] = kind
    if not isinstance(cursor.statement, exp.Query):
        done.rows = 0
    return done
