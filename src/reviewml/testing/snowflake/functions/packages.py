"""INFORMATION_SCHEMA.PACKAGES: the packages of this Python stand for those of a warehouse."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
from sqlglot import exp

from reviewml.testing.snowflake.sql import rewriting
from reviewml.testing.snowflake.statements import Answer, Call, on, rows

if TYPE_CHECKING:
    from reviewml.testing.snowflake.double import Double
    from reviewml.testing.snowflake.sessions import Session

TABLE = "_fs_global.main.python_packages"


def install(duck: duckdb.DuckDBPyConnection) -> None:
    """Have DuckDB know the packages."""
    found = {
        one.metadata["Name"].lower(): one.version for one in importlib.metadata.distributions()
    }
    table = pa.table(
        {
            "PACKAGE_NAME": list(found),
            "VERSION": list(found.values()),
            "LANGUAGE": ["python"] * len(found),
            "RUNTIME_VERSION": [f"{sys.version_info[0]}.{sys.version_info[1]}"] * len(found),
        }
    )
    duck.register("found_packages", table)
    duck.execute(f"CREATE TABLE {TABLE} AS SELECT * FROM found_packages")
    duck.unregister("found_packages")


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
