"""What is answered about services: shown, described, their logs read, dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snowflake_double.services.catalogue import JobService, Service, services_of
from snowflake_double.statements import Answer, Call, on, rows, status
from snowflake_double.texts import NAME, TEXT, identifier, read_text

if TYPE_CHECKING:
    from snowflake_double.double import Double

SERVICE = rf"(?P<name>IDENTIFIER\(\?\)|{NAME})"

COLUMNS: list[str | tuple[str, str]] = [
    *("name", "status", "database_name", "schema_name", "owner", "compute_pool", "dns_name"),
    *(("min_instances", "fixed"), ("max_instances", "fixed"), ("target_instances", "fixed")),
    *("comment", "created_on", ("is_job", "boolean")),
]


def named(call: Call) -> Service:
    """Return the service that a statement names, or whose name is bound to it."""
    return services_of(call.session).find(call.session, identifier(call))


@on(rf"^DESC(?:RIBE)? SERVICE {SERVICE}$")
def describe(double: Double, call: Call) -> Answer:
    found = named(call)
    return rows([*COLUMNS, "spec"], [(*about(found), found.specification_text)])


@on(
    rf"^SHOW (?P<jobs>JOB )?SERVICES IN SCHEMA (?P<schema>{NAME})"
    rf"(?: STARTS WITH (?P<start>{TEXT}))?$"
)
def show(double: Double, call: Call) -> Answer:
    database, schema, _ = call.session.full(f"{call.match['schema']}.X")
    start = read_text(call.match["start"] or "''")
    wanted = JobService if call.match["jobs"] else Service
    found = services_of(call.session).within(database, schema)
    shown = [s for s in found if isinstance(s, wanted) and s.name[2].startswith(start)]
    return rows(COLUMNS, map(about, shown))


def about(service: Service) -> tuple[Any, ...]:
    database, schema, name = service.name
    where = f"{name}.{schema}.{database}.double.internal".lower().replace("_", "-")
    least, most = service.instances
    return (
        *(name, service.status, database, schema, "DOUBLE_ROLE", service.pool, where),
        *(least, most, most, service.comment, service.created, isinstance(service, JobService)),
    )


INSTANCES = ["database_name", "schema_name", "service_name", "instance_id", "status", "start_time"]


@on(rf"^SHOW SERVICE INSTANCES IN SERVICE {SERVICE}$")
def instances(double: Double, call: Call) -> Answer:
    found = named(call)
    return rows(INSTANCES, [(*found.name, "0", found.status, found.created)])


CONTAINERS = [
    *("database_name", "schema_name", "service_name", "service_status", "instance_id"),
    *("instance_status", "container_name", "status", "message", "start_time"),
]


@on(rf"^SHOW SERVICE CONTAINERS IN SERVICE {SERVICE}$")
def containers(double: Double, call: Call) -> Answer:
    found = named(call)
    state = (found.status, "0", found.status, found.container, found.status, "", found.created)
    return rows(CONTAINERS, [(*found.name, *state)])


ENDPOINTS: list[str | tuple[str, str]] = [
    *("name", ("port", "fixed"), "protocol", ("is_public", "boolean")),
    *("ingress_url", "privatelink_ingress_url"),
]


@on(rf"^SHOW ENDPOINTS IN SERVICE {SERVICE}$")
def endpoints(double: Double, call: Call) -> Answer:
    found = named(call)
    # A name alone: nothing listens there.
    url = "double.snowflakecomputing.app" if found.public else None
    return rows(
        ENDPOINTS,
        [(name, port, "HTTP", found.public, url, None) for name, port in found.endpoints.items()],
    )


@on(rf"SYSTEM\$GET_SERVICE_LOGS\((?P<service>\?|{TEXT})")
def logs(double: Double, call: Call) -> Answer:
    text = call.match["service"]
    name = str(call.binds[0]) if text == "?" else read_text(text)
    found = services_of(call.session).find(call.session, name)
    return rows(["SYSTEM$GET_SERVICE_LOGS"], [[found.log]])


@on(rf"^DROP SERVICE {SERVICE}$")
def drop(double: Double, call: Call) -> Answer:
    found = named(call)
    found.end()
    del services_of(call.session)[found.name]
    return status(f"{found.name[2]} successfully dropped.")
