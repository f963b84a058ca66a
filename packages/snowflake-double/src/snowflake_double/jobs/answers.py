"""What is answered about ML Jobs: submitted, waited for, ended."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp

from snowflake_double.jobs.catalogue import Job, start
from snowflake_double.services.catalogue import JobService, services_of
from snowflake_double.stages import folders
from snowflake_double.statements import Answer, Call, Refused, on, rows, status
from snowflake_double.texts import NAME

if TYPE_CHECKING:
    from snowflake_double.double import Double

JOB = f"(?P<job>{NAME})"


MOST_NODES = 8
"""Of each compute pool."""


def named(call: Call) -> JobService:
    """Return the job that a statement names."""
    return services_of(call.session).find_job(call.session, call.match["job"])


def arguments(sql: str) -> list[Any]:
    """Return the constants that a procedure is called with."""
    called = sqlglot.parse_one(f"SELECT {sql.partition(' ')[2]}", read="snowflake")
    function = called.find(exp.Anonymous)
    assert function is not None
    return [argument.to_py() for argument in function.expressions]


@on(r"^CALL SYSTEM\$GET_ML_JOB_RUNTIME\(")
def runtime(double: Double, call: Call) -> Answer:
    return rows(["SYSTEM$GET_ML_JOB_RUNTIME"], [["snowflake/runtime/double:1"]])


@on(r"^SHOW COMPUTE POOLS LIKE \?$")
def compute_pools(double: Double, call: Call) -> Answer:
    # Any name is that of a pool here.
    pool = (str(call.binds[0]), MOST_NODES, 0)
    return rows(["name", ("max_nodes", "fixed"), ("active_nodes", "fixed")], [pool])


@on(r"^CALL SYSTEM\$EXECUTE_ML_JOB\(")
def execute(double: Double, call: Call) -> Answer:
    name, pool, spec, options = arguments(call.sql)
    full = call.session.full(name + uuid.uuid4().hex[:8].upper() if name.endswith("_") else name)
    spec, options = json.loads(spec), json.loads(options)
    location = f"@{spec['STAGE_PATH'].removeprefix('@')}"
    stage, path = folders.located(double, call.session, location)
    folder = stage.folder / path
    process = start(spec, folder, full, double.server.port)
    least, most = (options.get(f"{which}_INSTANCES") or 1 for which in ("MIN", "TARGET"))
    services_of(call.session)[full] = Job(
        name=full,
        pool=pool,
        instances=(least, most),
        comment=options.get("COMMENT"),
        spec=spec,
        folder=folder,
        process=process,
    )
    return rows(["SYSTEM$EXECUTE_ML_JOB"], [[".".join(full)]])


@on(rf"^CALL {JOB}!SPCS_WAIT_FOR\('DONE', ?(?P<seconds>\d+)\)$")
def wait_for(double: Double, call: Call) -> Answer:
    job = named(call)
    if not job.wait(int(call.match["seconds"])):
        raise Refused(395019, f"{job.name[2]} did not end in time.")
    return rows(["SPCS_WAIT_FOR"], [[job.status]])


@on(rf"^CALL {JOB}!SPCS_CANCEL_JOB\(\)$")
def cancel(double: Double, call: Call) -> Answer:
    named(call).end()
    return status()
