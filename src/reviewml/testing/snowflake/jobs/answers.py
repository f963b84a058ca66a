"""What is answered about ML Jobs: submitted, described, waited for, ended."""

from __future__ import annotations

import json
import subprocess
import uuid
from typing import TYPE_CHECKING, Any

import sqlglot
import yaml
from sqlglot import exp

from reviewml.testing.snowflake.jobs.catalogue import MOUNT, RESULT, Job, jobs_of, start
from reviewml.testing.snowflake.stages import folders as stages
from reviewml.testing.snowflake.statements import Answer, Call, Refused, on, rows, status
from reviewml.testing.snowflake.texts import NAME

if TYPE_CHECKING:
    from reviewml.testing.snowflake.double import Double

JOB = f"(?P<job>{NAME})"


MOST_NODES = 8
"""Of each compute pool."""


def bound(call: Call) -> Job:
    """Return the job whose name is bound to a statement."""
    return jobs_of(call.session).find(call.session, str(call.binds[0]))


def named(call: Call) -> Job:
    """Return the job that a statement names."""
    return jobs_of(call.session).find(call.session, call.match["job"])


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
    known = jobs_of(call.session)
    full = call.session.full(name + uuid.uuid4().hex[:8].upper() if name.endswith("_") else name)
    spec, options = json.loads(spec), json.loads(options)
    location = f"@{spec['STAGE_PATH'].removeprefix('@')}"
    stage, path = stages.located(double, call.session, location)
    folder = stage.folder / path
    process = start(spec, folder, full, double.server.port)
    known[full] = Job(full, pool, spec, options, folder, process)
    return rows(["SYSTEM$EXECUTE_ML_JOB"], [[".".join(full)]])


@on(rf"^CALL {JOB}!SPCS_WAIT_FOR\('DONE', ?(?P<seconds>\d+)\)$")
def wait_for(double: Double, call: Call) -> Answer:
    job = named(call)
    try:
        job.process.wait(int(call.match["seconds"]))
    except subprocess.TimeoutExpired as error:
        raise Refused(395019, f"{job.name[2]} did not end in time.") from error
    return rows(["SPCS_WAIT_FOR"], [[job.status]])


@on(rf"^CALL {JOB}!SPCS_CANCEL_JOB\(\)$")
def cancel(double: Double, call: Call) -> Answer:
    named(call).cancel()
    return status()


SERVICE_COLUMNS: list[str | tuple[str, str]] = [
    *("name", "status", "database_name", "schema_name", "owner", "compute_pool", "spec"),
    *(("min_instances", "fixed"), ("target_instances", "fixed"), "comment", "created_on"),
]


@on(r"^DESC(?:RIBE)? SERVICE IDENTIFIER\(\?\)$")
def describe(double: Double, call: Call) -> Answer:
    return rows(SERVICE_COLUMNS, [service_row(bound(call))])


@on(rf"^SHOW JOB SERVICES IN SCHEMA (?P<schema>{NAME})$")
def show(double: Double, call: Call) -> Answer:
    within = call.session.full(f"{call.match['schema']}.X")[:2]
    found = [job for full, job in jobs_of(call.session).items() if full[:2] == within]
    return rows(SERVICE_COLUMNS, map(service_row, found))


def service_row(job: Job) -> tuple[Any, ...]:
    database, schema, name = job.name
    about = (name, job.status, database, schema, "DOUBLE_ROLE", job.pool, specification(job))
    least, most = (job.options.get(f"{which}_INSTANCES") or 1 for which in ("MIN", "TARGET"))
    return (*about, least, most, job.options.get("COMMENT"), job.created)


def specification(job: Job) -> str:
    """Return what the container was started with."""
    container = {
        "name": "main",
        "image": "double",
        "command": job.spec["ARGS"],
        "env": {**{k: str(v) for k, v in job.spec["ENV_VARS"].items()}, "MLRS_RESULT_PATH": RESULT},
        "volumeMounts": [{"name": "stage-volume", "mountPath": MOUNT}],
    }
    volume = {"name": "stage-volume", "source": f"@{job.spec['STAGE_PATH'].removeprefix('@')}"}
    return str(yaml.safe_dump({"spec": {"containers": [container], "volumes": [volume]}}))


@on(r"^SHOW SERVICE INSTANCES IN SERVICE IDENTIFIER\(\?\)$")
def instances(double: Double, call: Call) -> Answer:
    job = bound(call)
    columns = [
        "database_name",
        "schema_name",
        "service_name",
        "instance_id",
        "status",
        "start_time",
    ]
    return rows(columns, [(*job.name, "0", job.status, job.created)])


@on(r"SYSTEM\$GET_SERVICE_LOGS\(\?")
def logs(double: Double, call: Call) -> Answer:
    return rows(["SYSTEM$GET_SERVICE_LOGS"], [[bound(call).log]])


@on(r"^DROP SERVICE IDENTIFIER\(\?\)$")
def drop(double: Double, call: Call) -> Answer:
    job = bound(call)
    job.cancel()
    del jobs_of(call.session)[job.name]
    return status(f"{job.name[2]} successfully dropped.")
