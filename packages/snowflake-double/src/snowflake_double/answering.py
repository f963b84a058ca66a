"""From a request to an answer: handlers first, DuckDB for the rest, all of it logged."""

from __future__ import annotations

import contextlib
import re
import traceback
import uuid
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from snowflake_double import binds
from snowflake_double.log import Statement
from snowflake_double.sql.running import run
from snowflake_double.statements import (
    HANDLERS,
    Answer,
    Call,
    Refused,
    normalised,
    not_understood,
)

if TYPE_CHECKING:
    from snowflake_double.double import Double
    from snowflake_double.sessions import Session

KINDS = {"fixed": "BIGINT", "real": "DOUBLE", "boolean": "BOOLEAN"}
ANYTHING = re.compile("")
CHANGES = re.compile(r"(MERGE|UPDATE|DELETE|ALTER|CREATE)\b", re.IGNORECASE)
"""Statements that wait for one another, as for the lock on a table; none for the end of another's
transaction."""


def answer(double: Double, session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """Return the ``data`` of the reply to a request.

    Raises
    ------
    Refused
        With what Snowflake would say, or that the double does not understand the statement.
    """
    sql = normalised(request["sqlText"])
    tag = (request.get("parameters") or {}).get("QUERY_TAG") or session.tag
    rows = 0
    try:
        with session.lock, double.writing if CHANGES.match(sql) else contextlib.nullcontext():
            answered = dispatch(double, session, sql, request)
        if request.get("asyncExec"):
            answered = Answer({"queryId": answered.data["queryId"]})
        rows = answered.rows
        session.queries.append(answered.data["queryId"])
        return finished(double, answered, session)
    except Refused:
        raise
    except Exception as error:
        told = "".join(traceback.format_exception_only(error)).strip()
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise not_understood(
            f"{sql[:200]}\n{told} (in {where.name}, line {where.lineno})"
        ) from error
    finally:
        double.statements.append(Statement(sql, tag, rows, session.identity.user))


def dispatch(double: Double, session: Session, sql: str, request: dict[str, Any]) -> Answer:
    """Return what the first handler that matches answers, or DuckDB."""
    bound, batch = binds.values(request.get("bindings"))
    for pattern, handler in HANDLERS:
        if match := pattern.search(sql):
            answered = handler(double, Call(sql, bound, session, match, batch))
            keep(answered, session)
            return answered
    match = ANYTHING.match(sql)
    assert match
    return run(double, Call(sql, bound, session, match, batch))


def keep(answered: Answer, session: Session) -> None:
    """Keep the rows of an answer for RESULT_SCAN."""
    query = answered.data.setdefault("queryId", str(uuid.uuid4()))
    described = answered.data.get("rowtype")
    if described is None or "rowset" not in answered.data:
        return
    kinds = [KINDS.get(one["type"], "VARCHAR") for one in described]
    columns = zip(*answered.data["rowset"], strict=True) if answered.rows else [[]] * len(kinds)
    arrays = [pa.array(list(column), pa.string()) for column in columns]
    names = [one["name"] for one in described]
    types = list(zip(names, kinds, strict=True))
    session.results_cache[query] = (pa.table(arrays, names=names), types)


def finished(double: Double, answered: Answer, session: Session) -> dict[str, Any]:
    """Return an answer's data with what each reply tells of the session."""
    query = answered.data.setdefault("queryId", str(uuid.uuid4()))
    if answered.chunks:
        double.chunks[query] = tuple(chunk for _, chunk in answered.chunks)
        answered.data["chunks"] = [
            {
                "url": f"{double.server.address}/chunks/{query}/{n}",
                "rowCount": count,
                "uncompressedSize": len(chunk),
                "compressedSize": len(chunk),
            }
            for n, (count, chunk) in enumerate(answered.chunks)
        ]
    return {
        "finalDatabaseName": session.database,
        "finalSchemaName": session.schema,
        "finalWarehouseName": session.identity.warehouse,
        "finalRoleName": session.identity.role,
        **answered.data,
    }
