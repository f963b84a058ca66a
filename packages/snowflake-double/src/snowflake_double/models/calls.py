"""``MODEL(name, version)!METHOD(…)`` and ``service!METHOD(…)``: run by the model's own handler."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType
from sqlglot import exp

from snowflake_double.models.catalogue import Version, models_of
from snowflake_double.models.services import ModelService
from snowflake_double.models.warehouse import Warehouse
from snowflake_double.services.catalogue import services_of
from snowflake_double.sessions import Session
from snowflake_double.sql import rewriting
from snowflake_double.statements import missing, not_understood

TYPES = {
    "ARRAY": "JSON",
    "BIGINT": "BIGINT",
    "BOOLEAN": "BOOLEAN",
    "DOUBLE": "DOUBLE",
    "FLOAT": "DOUBLE",
    "INT": "INTEGER",
    "OBJECT": "JSON",
    "SMALLINT": "SMALLINT",
    "STRING": "VARCHAR",
    "TIMESTAMP": "TIMESTAMP",
    "TIMESTAMP_NTZ": "TIMESTAMP",
    "VARCHAR": "VARCHAR",
}
"""DuckDB's types of arguments."""

DEFAULT = "DEFAULT"


def run_methods(tree: exp.Expr, session: Session) -> exp.Expr:
    """Replace calls of methods by calls of functions that DuckDB has."""
    return tree.transform(lambda node: _replaced(node, session))


rewriting.BEFORE.append(run_methods)


def _replaced(node: exp.Expr, session: Session) -> exp.Expr:
    if not isinstance(node, exp.ModelAttribute):
        return node
    version = _meant(node.this, session)
    method = _name(node.expression.this)
    called = version.methods.get(method)
    if called is None:
        raise not_understood(f"{method} is no method of version {version.name}")
    if called["type"] != "FUNCTION":
        raise not_understood(f"{method} is a table function")
    function = _function(session, version, called)
    return exp.ParseJSON(this=exp.Anonymous(this=function, expressions=node.expression.expressions))


def _meant(named: exp.Expr, session: Session) -> Version:
    if not isinstance(named, exp.Anonymous):
        return _served(named, session)
    name, *version = named.expressions
    model = models_of(session).find(session, name.sql("snowflake"))
    return model.version(_name(version[0]) if version else DEFAULT)


def _served(named: exp.Expr, session: Session) -> Version:
    name = named.sql("snowflake")
    found = services_of(session).find(session, name)
    if not isinstance(found, ModelService):
        raise missing("Service function", name)
    return found.version


def _name(identifier: Any) -> str:
    if isinstance(identifier, exp.Column):
        identifier = identifier.this
    if isinstance(identifier, exp.Identifier):
        return identifier.name if identifier.quoted else identifier.name.upper()
    return str(identifier).upper()


def _function(session: Session, version: Version, method: dict[str, Any]) -> str:
    key = f"{version.folder}:{method['name']}"
    name = f"_model_{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    if not session.query("SELECT 1 FROM duckdb_functions() WHERE function_name = ?", [name]):
        types: list[Any] = [
            TYPES[taken["type"].upper().partition("(")[0]] for taken in method["inputs"]
        ]
        run = _runner(models_of(session).warehouse, version, method)
        session.duck.create_function(
            name,
            _taking(len(types), run),
            types,
            "VARCHAR",
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )
    return name


def _runner(
    warehouse: Warehouse, version: Version, method: dict[str, Any]
) -> Callable[..., pa.Array]:
    texts = [taken["type"] in ("ARRAY", "OBJECT") for taken in method["inputs"]]

    def run(*columns: Any) -> pa.Array:
        arguments = [_parsed(c) if text else c for c, text in zip(columns, texts, strict=True)]
        rows = pa.table(arguments, [str(place) for place in range(len(arguments))])
        records = warehouse.run(version.folder, method, rows)
        return pa.array([json.dumps(record) for record in records], pa.string())

    return run


def _parsed(column: Any) -> pa.Array:
    return pa.array([None if t is None else json.loads(t) for t in column.to_pylist()])


def _taking(count: int, run: Callable[..., pa.Array]) -> Callable[..., pa.Array]:
    """Return a function of as many arguments as DuckDB will count."""
    kind = inspect.Parameter.POSITIONAL_ONLY
    taken = [inspect.Parameter(f"a{place}", kind) for place in range(count)]

    def function(*columns: Any) -> pa.Array:
        return run(*columns)

    function.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]
    return function
