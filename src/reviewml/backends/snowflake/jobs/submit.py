"""Submitting work: a pipeline to fit, or a function to run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reviewml.backends.snowflake.connection.session import Connection
from reviewml.backends.snowflake.identifiers import Name
from reviewml.backends.snowflake.jobs.compute_pool import ComputePool
from reviewml.backends.snowflake.jobs.job import Job
from reviewml.backends.snowflake.jobs.payload import TASK, write_payload
from reviewml.backends.snowflake.jobs.tasks import fit_task
from reviewml.backends.snowflake.runtime_training import RuntimeTraining
from reviewml.backends.snowflake.sources.tables import SnowflakeTable
from reviewml.errors import ParameterError
from reviewml.pipeline import Pipeline
from reviewml.rows.roles import require
from reviewml.storage.temporary import create_temporary_folder


def submit(
    work: Pipeline | Callable[..., Any],
    *,
    compute_pool: str,
    stage: str,
    connection: Connection = None,
    target_instances: int = 1,
    args: Sequence[Any] = (),
    rows: str | None = None,
    target: str | None = None,
    group: str | None = None,
    reviews: str | Mapping[str, Any] | None = None,
    registry: Mapping[str, Any] | None = None,
    training: RuntimeTraining | None = None,
    pip_requirements: Sequence[str] = (),
    **options: Any,
) -> Job:
    """Fit a pipeline, or run a function, on a compute pool.

    A pipeline goes there as JSON, a function and its arguments as a pickle, since nothing else
    carries code. The session of the job reads the rows.

    Parameters
    ----------
    work
        A pipeline to fit, or a function.
    compute_pool, stage, connection, target_instances, pip_requirements, options
        As of `ComputePool`.
    args
        Of the function.
    rows
        Table or view that the pipeline is fitted on.
    target, group
        As of `Pipeline.fit`.
    reviews
        Table or view that steps with a review history look at, or the parameters of a
        `SnowflakeTable` with its roles: ``{"name": "REVIEWS", "text": "BODY", "time": "WRITTEN"}``.
    registry
        Where the pipeline shall be logged: ``name`` and, if wanted, ``alias``, ``reason``,
        ``database`` and ``schema`` of a `SnowflakeRegistry`. Its folder is left on the stage
        anyway.
    training
        `RuntimeTraining` on all machines of the job; None trains on its first.

    Raises
    ------
    ParameterError
        When something that is needed is missing.
    SchemaError
        When there is no column of the target's or the group's name.
    RegistryError
        When a parameter of a step cannot be written as JSON.
    """
    pool = ComputePool(
        compute_pool, stage, connection, target_instances, pip_requirements, options=options
    )
    if not isinstance(work, Pipeline):
        return pool.submit_function(work, args)
    if rows is None:
        raise ParameterError("submit(pipeline): give rows='table' to fit it on.")
    if not isinstance(rows, str):
        raise ParameterError(
            f"submit(pipeline): rows is a {type(rows).__name__}, and a job reads a table or view "
            "by its name: write the rows to one, as with pipeline.enrich(rows).merge('TABLE'), "
            "and give its name."
        )
    described_training = _describe_training(training)
    _require_columns(pool, rows, {"target": target, "group": group})
    name = pool.name("fit")
    given = {
        "target": target,
        "group": group,
        "reviews": {"name": reviews} if isinstance(reviews, str) else reviews,
        "registry": _describe_registry(registry),
        "results": pool.results(name),
        "training": described_training,
    }
    task = fit_task(work, Name.parse(rows).sql, given)
    with create_temporary_folder() as folder:
        write_payload(folder, name)
        (folder / TASK).write_text(json.dumps(task), encoding="utf-8")
        return pool.submit_folder(folder, name)


def _require_columns(pool: ComputePool, rows: str, asked: Mapping[str, str | None]) -> None:
    # Else a job would start for nothing, which takes minutes.
    schema = SnowflakeTable(rows).query_rows(pool.database()).schema
    for what, column in asked.items():
        if column is not None:
            require(schema, column, f"submit({what}=)")


def _describe_training(training: RuntimeTraining | None) -> dict[str, Any] | None:
    if training is None:
        return None
    if not isinstance(training, RuntimeTraining):
        raise ParameterError(
            f"submit(training=) is a {type(training).__name__}: give RuntimeTraining(...), since "
            "the job itself trains, or leave it out."
        )
    # The job has a connection of its own.
    return {"num_workers": training.num_workers, "use_gpu": training.use_gpu}


def _describe_registry(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if given is None:
        return None
    if "name" not in given:
        raise ParameterError("submit(registry={...}): give the name of the model.")
    at = {key: given[key] for key in ("database", "schema") if key in given}
    return {"at": at, "log": {key: value for key, value in given.items() if key not in at}}
