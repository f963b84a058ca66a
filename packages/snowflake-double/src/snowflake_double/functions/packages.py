"""INFORMATION_SCHEMA.PACKAGES: the packages of this Python stand for those of a warehouse."""

from __future__ import annotations

import functools
import importlib.metadata
import sys
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
from sqlglot import exp

from snowflake_double.sql import rewriting
from snowflake_double.statements import Answer, Call, on, rows

if TYPE_CHECKING:
    from snowflake_double.double import Double
    from snowflake_double.sessions import Session

TABLE = "_fs_global.main.python_packages"


def install(duck: duckdb.DuckDBPyConnection) -> None:
    """Have DuckDB know the packages."""
    duck.register("found_packages", _list_packages(tuple(sys.path)))
    duck.execute(f"CREATE TABLE {TABLE} AS SELECT * FROM found_packages")
    duck.unregister("found_packages")


@functools.cache
def _list_packages(path: tuple[str, ...]) -> pa.Table:
    # Reading the metadata of all packages takes longer than all else that a reset does.
    found = {
        one.metadata["Name"].lower(): one.version
        for one in importlib.metadata.distributions(path=list(path))
    }
    return pa.table(
        {
            "PACKAGE_NAME": list(found),
            "VERSION": list(found.values()),
            "LANGUAGE": ["python"] * len(found),
            "RUNTIME_VERSION": [f"{sys.version_info[0]}.{sys.version_info[1]}"] * len(found),
        }
    )


def with_packages(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have INFORMATION_SCHEMA.PACKAGES mean these."""
    for table in tree.find_all(exp.Table):
        if table.name.upper() == "PACKAGES" and table.db.upper() == "INFORMATION_SCHEMA":
            new = exp.to_table(TABLE)
            new.set("alias", table.args.get("alias"))
            table.replace(new)
    return tree


@on(r"^SELECT SYSTEM\$GET_DEFAULT_PYTHON_ARTIFACT_REPOSITORY\(")
def artifact_repository(double: Double, call: Call) -> Answer:
    name = "snowflake.snowpark.anaconda_shared_repository"
    return rows(["SYSTEM$GET_DEFAULT_PYTHON_ARTIFACT_REPOSITORY"], [[name]])


@on(r"^SELECT SYSTEM\$ARE_ANACONDA_TERMS_ACKNOWLEDGED\(\)")
def terms(double: Double, call: Call) -> Answer:
    return rows(["SYSTEM$ARE_ANACONDA_TERMS_ACKNOWLEDGED()"], [["true"]])


rewriting.BEFORE.append(with_packages)
