"""CREATE FUNCTION … LANGUAGE PYTHON: functions of values, and statements about all functions."""

from __future__ import annotations

import dataclasses
import functools
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import sqlglot
from sqlglot import exp

from snowflake_double.functions.loading import in_warehouse, load
from snowflake_double.sessions import Full, Session
from snowflake_double.sql import rewriting
from snowflake_double.sql.duck import add_function
from snowflake_double.sql.sqltypes import SqlType
from snowflake_double.stages.folders import located
from snowflake_double.statements import (
    Answer,
    Call,
    Refused,
    exists,
    missing,
    not_understood,
    on,
    rows,
    status,
)
from snowflake_double.texts import NAME, enclosed, options, read_text

if TYPE_CHECKING:
    from snowflake_double.double import Double

KNOWN = frozenset(
    ["RUNTIME_VERSION", "IMPORTS", "PACKAGES", "HANDLER", "ARTIFACT_REPOSITORY", "COMMENT"]
)
MANNERS = re.compile(
    r"\b(?:LANGUAGE PYTHON|VOLATILE|(?P<immutable>IMMUTABLE)|CALLED ON NULL INPUT|COPY GRANTS|"
    r"(?P<strict>STRICT|RETURNS NULL ON NULL INPUT))(?= |$)",
    re.IGNORECASE,
)
BODY = re.compile(r"^(?P<options>.*?) ?\bAS (?P<code>\$\$.*\$\$|'.*')$", re.DOTALL | re.IGNORECASE)
Columns = tuple[tuple[str, SqlType], ...]


@dataclasses.dataclass(frozen=True)
class Function:
    """A function in Python.

    Parameters
    ----------
    name
        Database, schema and name.
    arguments
        Name and type of each.
    returns
        Type of its values; columns of its rows when it gives rows.
    handler, code
        Where it is: in the code, or in a module of the imports.
    imports
        Folder of what it imports.
    strict
        Whether it is not called where an argument is NULL.
    """

    name: Full
    arguments: Columns
    returns: SqlType | Columns
    handler: str
    code: str | None
    imports: Path
    strict: bool = False
    duck_name: str = dataclasses.field(default_factory=lambda: f"python_{uuid.uuid4().hex}")

    @functools.cached_property
    def loaded(self) -> Any:
        """The handler."""
        return load(self.handler, self.code, self.imports)

    def answers(self, columns: list[pa.Array]) -> pa.Array:
        """Return the value for each row of arguments.

        Raises
        ------
        Refused
            With the error of the handler.
        """
        assert isinstance(self.returns, SqlType)
        try:
            handler = self.loaded
            with in_warehouse(self.imports):
                if getattr(handler, "_sf_vectorized_input", None):
                    return self.returns.array(self.vectorised(handler, columns))
                return self.returns.array(self.row_by_row(handler, columns))
        except Exception as error:
            raise failed(self.name, error) from error

    def row_by_row(self, handler: Callable[..., Any], columns: list[pa.Array]) -> list[Any]:
        values = [kind.values(c) for (_, kind), c in zip(self.arguments, columns, strict=True)]
        return [
            None if self.strict and None in row else handler(*row)
            for row in (zip(*values, strict=True) if values else [()])
        ]

    def vectorised(self, handler: Callable[..., Any], columns: list[pa.Array]) -> list[Any]:
        frame = frame_of(self.arguments, columns)
        size = getattr(handler, "_sf_max_batch_size", None) or max(len(frame), 1)
        found: list[Any] = []
        for start in range(0, len(frame), size):
            batch = frame.iloc[start : start + size].reset_index(drop=True)
            answer = list(handler(batch))
            if len(answer) != len(batch):
                raise ValueError(f"{len(answer)} values for a batch of {len(batch)} rows")
            found += answer
        return found


def frame_of(columns: Columns, arrays: list[Any]) -> pd.DataFrame:
    """Return arguments as pandas has them, in columns 0, 1 and so on."""
    series = [kind.series(array) for (_, kind), array in zip(columns, arrays, strict=True)]
    return pd.DataFrame(dict(enumerate(series)))


def failed(name: Full, error: Exception) -> Refused:
    """Return the refusal of a statement whose function failed."""
    told = f"{type(error).__name__}: {error}"
    return Refused(100357, f"Python Interpreter Error:\n{told} in function {name[-1]}", "P0000")


def columns_of(sql: str) -> Columns:
    """Return the names and types in a list of arguments or columns."""
    if not sql.strip():
        return ()
    tree = sqlglot.parse_one(f"CREATE TABLE t ({sql})", read="snowflake")
    found = []
    for one in tree.this.expressions:
        if one.args.get("constraints"):
            raise not_understood(f"argument {one.sql('snowflake')}: defaults are not known.")
        name = one.this
        found.append((name.name if name.quoted else name.name.upper(), SqlType.of(one.kind)))
    return tuple(found)


@on(
    r"^CREATE (?P<replace>OR REPLACE )?(?P<temporary>(?:SCOPED )?TEMP(?:ORARY)? )?"
    rf"(?:SECURE )?FUNCTION (?P<unless>IF NOT EXISTS )?(?P<name>{NAME}) ?(?P<rest>\(.*)$"
)
def create_function(double: Double, call: Call) -> Answer:
    full = call.session.full(call.match["name"])
    held = call.session.functions if call.match["temporary"] else double.functions
    made = definition(double, call.session, full, call.match["rest"])
    key = (full, len(made.arguments))
    if key in held and not call.match["replace"]:
        if call.match["unless"]:
            return status(f"{full[-1]} already exists, statement succeeded.")
        raise exists(".".join(full))
    held[key] = made
    if isinstance(made.returns, SqlType):
        register(call.session, made)
    return status(f"Function {full[-1]} successfully created.")


def definition(double: Double, session: Session, name: Full, sql: str) -> Function:
    """Return the function that a statement describes, from its arguments on."""
    end = enclosed(sql, 0)
    arguments, rest = columns_of(sql[1 : end - 1]), sql[end:].strip()
    returns, rest = returned(rest)
    body = BODY.match(rest)
    manner = body["options"] if body else rest
    if not re.search(r"LANGUAGE PYTHON\b", manner, re.IGNORECASE):
        raise not_understood(f"function {name[-1]}: only LANGUAGE PYTHON is known.")
    given = options(MANNERS.sub("", manner))
    if strange := sorted(given.keys() - KNOWN):
        raise not_understood(f"CREATE FUNCTION with {', '.join(strange)}.")
    strict = any(found["strict"] for found in MANNERS.finditer(manner))
    return Function(
        name,
        arguments,
        returns,
        given["HANDLER"],
        read_text(body["code"]) if body else None,
        imported(double, session, given.get("IMPORTS", [])),
        strict,
    )


def returned(sql: str) -> tuple[SqlType | Columns, str]:
    """Return what follows RETURNS as a type or columns, and the rest of a statement."""
    sql = re.sub(r"^(?:COPY GRANTS )?RETURNS ", "", sql, flags=re.IGNORECASE)
    if table := re.match(r"TABLE ?(?=\()", sql, re.IGNORECASE):
        end = enclosed(sql, table.end())
        return columns_of(sql[table.end() + 1 : end - 1]), sql[end:].strip()
    kind, rest = re.split(r" (?=LANGUAGE\b|NOT NULL\b)", sql, maxsplit=1, flags=re.IGNORECASE)
    return SqlType.of(exp.DataType.build(kind, dialect="snowflake")), re.sub(
        r"^NOT NULL ", "", rest, flags=re.IGNORECASE
    )


def imported(double: Double, session: Session, locations: list[str] | str) -> Path:
    """Return a folder with the files of stages that a function imports."""
    folder = Path(tempfile.mkdtemp(dir=double.files))
    for location in [locations] if isinstance(locations, str) else locations:
        stage, path = located(double, session, location)
        files = stage.files(path)
        if not files:
            raise missing("Import", location)
        for name, file in files:
            shutil.copy(file, folder / Path(name).name)
    return folder


def register(session: Session, function: Function) -> None:
    """Have DuckDB know a function of values."""
    kind = function.returns
    assert isinstance(kind, SqlType)
    add_function(
        session.duck,
        function.duck_name,
        taking(len(function.arguments), function.answers),
        [one.duck for _, one in function.arguments],
        "VARCHAR" if kind.semi_structured else kind.duck,
        arrow=bool(function.arguments),
        volatile=True,
    )


def alone(answers: Callable[[list[Any]], Any]) -> Any:
    """Return the value of a function of no columns."""
    return answers([])[0].as_py()


def taking(count: int, answers: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    """Return a function of so many columns, which DuckDB reads off its signature."""
    if not count:
        return functools.partial(alone, answers)
    names = ", ".join(f"a{n}" for n in range(count))
    made: Callable[..., Any] = eval(  # noqa: S307
        f"lambda {names}: answers([{names}])", {"answers": answers}
    )
    return made


@on(rf"^DROP FUNCTION (?P<unless>IF EXISTS )?(?P<name>{NAME}) ?\((?P<kinds>.*)\)$")
def drop_function(double: Double, call: Call) -> Answer:
    full = call.session.full(call.match["name"])
    kinds = call.match["kinds"].strip()
    count = len(columns_of(", ".join(f"a{n} {k}" for n, k in enumerate(split(kinds)))))
    held = call.session.functions if (full, count) in call.session.functions else double.functions
    if held.pop((full, count), None) is None and not call.match["unless"]:
        raise missing("Function", ".".join(full))
    return status(f"{full[-1]} successfully dropped.")


def split(kinds: str) -> list[str]:
    """Return the types in a list of types."""
    return [one for one in re.split(r",(?![^()]*\))", kinds) if one.strip()]


@on(r"^SHOW USER FUNCTIONS(?: LIKE '(?P<like>[^']*)')?(?P<all> IN ACCOUNT)?$")
def show_functions(double: Double, call: Call) -> Answer:
    held = double.functions | call.session.functions
    wanted = (call.match["like"] or "").upper()
    here = (call.session.database, call.session.schema)
    return rows(
        ["name", "catalog_name", "schema_name", ("min_num_arguments", "fixed"), "language"],
        [
            (name[2], *name[:2], count, "PYTHON")
            for name, count in held
            if wanted in ("", "%", name[2]) and (call.match["all"] or name[:2] == here)
        ],
    )


def find(session: Session, node: exp.Expr) -> Function | None:
    """Return the function that an expression calls, if it calls one."""
    call = node.expression if isinstance(node, exp.Dot) else node
    if not isinstance(call, exp.Anonymous):
        return None
    full = session.full_of(node)
    key = (full, len(call.expressions))
    return session.functions.get(key) or session.double.functions.get(key)


def with_functions(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have calls of functions in Python mean what DuckDB knows them by."""

    def write(node: exp.Expr) -> exp.Expr:
        if isinstance(node.parent, exp.Dot) or not isinstance(node, exp.Dot | exp.Anonymous):
            return node
        found = find(session, node)
        if found is None:
            return node
        call = node.expression if isinstance(node, exp.Dot) else node
        made = exp.Anonymous(this=found.duck_name, expressions=call.expressions)
        kind = found.returns
        semi_structured = isinstance(kind, SqlType) and kind.semi_structured
        return exp.cast(made, "JSON") if semi_structured else made

    return rewriting.everywhere(tree, write)


rewriting.BEFORE.append(with_functions)
