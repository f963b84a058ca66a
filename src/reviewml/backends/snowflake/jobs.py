"""ML Jobs: work on a compute pool of Snowflake's, with reviewml brought along."""

from __future__ import annotations

import builtins
import dataclasses
import importlib.resources
import json
import re
import sys
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reviewml.backends.snowflake import own_code
from reviewml.backends.snowflake.by_value import taken_along
from reviewml.backends.snowflake.job_tasks import TASK, fit_task
from reviewml.backends.snowflake.session import Access, Connection, Database, tried
from reviewml.errors import BackendError, ParameterError
from reviewml.pipeline import Pipeline, load
from reviewml.sql import Name, literal

PREFIX = "REVIEWML_"
"""Names of our jobs begin so."""

ENDED = ("DONE", "FAILED", "CANCELLED", "INTERNAL_ERROR", "DELETED")
FAILED = ("FAILED", "INTERNAL_ERROR")

REPOSITORY = "snowflake.snowpark.pypi_shared_repository"


@dataclasses.dataclass(frozen=True)
class Pool:
    """Where jobs run, and what they bring along.

    Parameters
    ----------
    compute_pool
        Name of the compute pool.
    stage
        Stage for what they bring and leave, made when it is new: ``"shop.models.jobs"``.
    connection
        As of `Access`.
    target_instances
        Machines for one job.
    pip_requirements
        Packages to install there, besides those that reviewml needs.
    artifact_repositories
        Where they are installed from.
    options
        Further options of ``snowflake.ml.jobs``, such as ``external_access_integrations``.
    """

    compute_pool: str
    stage: str
    connection: Connection = None
    target_instances: int = 1
    pip_requirements: Sequence[str] = ()
    artifact_repositories: Sequence[str] = (REPOSITORY,)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        return self.compute_pool

    def database(self) -> Database:
        """Return where statements run."""
        return Access(self.connection).database()

    @property
    def packages(self) -> tuple[str, ...]:
        """What code of a user's may import there."""
        named = [re.match(r"[\w.-]+", one.strip()) for one in self.pip_requirements]
        return (*own_code.PACKAGES, *(found[0] for found in named if found))

    def name(self, what: str) -> str:
        """Return a new name for a job."""
        return f"{PREFIX}{what.upper()}_{uuid.uuid4().hex[:12].upper()}"

    def results(self, name: str) -> str:
        """Return the place on the stage where a job leaves what came of it."""
        return f"@{Name.parse(self.stage)}/results/{name}"

    def submit_folder(self, folder: Path, name: str) -> Job:
        """Run the task that is described in a folder, which `payload` prepared."""
        from snowflake.ml import jobs

        submitted = tried(
            lambda: jobs.submit_directory(
                str(folder), entrypoint="job_entry.py", **self._settings(name)
            )
        )
        return Job(submitted.id, self.connection, self.results(name))

    def submit_function(self, function: Callable[..., Any], args: Sequence[Any]) -> Job:
        """Run a function there, with arguments that can be pickled."""
        from snowflake.ml import jobs

        name = self.name("call")
        with tempfile.TemporaryDirectory() as folder:
            brought = [str(own_code.archive(Path(folder)))]
            settings = self._settings(name)
            settings["imports"] = [*settings.get("imports", ()), *brought]
            with taken_along(_own_modules(function)):
                submitted = tried(lambda: jobs.remote(**settings)(function)(*args))
        return Job(submitted.id, self.connection, self.results(name))

    def _settings(self, name: str) -> dict[str, Any]:
        return {
            **self.options,
            "compute_pool": Name.parse(self.compute_pool).sql,
            "stage_name": Name.parse(self.stage).sql,
            "session": self.database().session,
            "target_instances": self.target_instances,
            "pip_requirements": [*own_code.pinned(), *self.pip_requirements],
            "artifact_repositories": [*self.artifact_repositories],
            "name": name,
        }


def _own_modules(function: Callable[..., Any]) -> builtins.list[str]:
    """Return the module of a function where the job has it not: there is only reviewml's."""
    name = function.__module__
    lacking = name in sys.modules and name.partition(".")[0] not in ("__main__", "reviewml")
    return [name] if lacking else []


def payload(folder: Path) -> None:
    """Put into a folder what each job needs besides its task."""
    own_code.archive(folder)
    entry = importlib.resources.files(__package__) / "job_entry.py"
    (folder / "job_entry.py").write_bytes(entry.read_bytes())


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
        As of `Pool`.
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

    Raises
    ------
    ParameterError
        When something that is needed is missing.
    RegistryError
        When a parameter of a step cannot be written as JSON.
    """
    pool = Pool(
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
    name = pool.name("fit")
    given = {
        "target": target,
        "group": group,
        "reviews": {"name": reviews} if isinstance(reviews, str) else reviews,
        "registry": _registry(registry),
        "results": pool.results(name),
    }
    task = fit_task(work, Name.parse(rows).sql, given)
    with tempfile.TemporaryDirectory() as folder:
        payload(Path(folder))
        (Path(folder) / TASK).write_text(json.dumps(task), encoding="utf-8")
        return pool.submit_folder(Path(folder), name)


def _registry(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if given is None:
        return None
    if "name" not in given:
        raise ParameterError("submit(registry={...}): give the name of the model.")
    at = {key: given[key] for key in ("database", "schema") if key in given}
    return {"at": at, "log": {key: value for key, value in given.items() if key not in at}}


@dataclasses.dataclass(frozen=True, repr=False)
class Job:
    """A job that was submitted.

    Parameters
    ----------
    id
        Database, schema and name.
    connection
        As of `Access`.
    folder
        Place on a stage where it leaves what came of it; None when not known.
    """

    id: str
    connection: Connection = None
    folder: str | None = None

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    @property
    def status(self) -> str:
        """As Snowflake says it: ``RUNNING``, ``DONE``, ``FAILED``, ``CANCELLED`` and others."""
        return str(tried(lambda: self._job().status))

    def logs(self, *, whole: bool = False) -> str:
        """Return what it printed, on its first machine.

        Parameters
        ----------
        whole
            Also what was printed before it started and after it ended.
        """
        return str(tried(lambda: self._job().get_logs(verbose=whole)))

    def wait(self, timeout: float | None = None) -> str:
        """Return its status once it has ended.

        Parameters
        ----------
        timeout
            Seconds; None waits as long as it takes.

        Raises
        ------
        TimeoutError
            When it takes longer.
        """
        return str(tried(lambda: self._job().wait(-1 if timeout is None else timeout)))

    def result(self, timeout: float | None = None) -> Any:
        """Return what the function returned, or for a pipeline its report and where it is.

        Raises
        ------
        BackendError
            When the job has failed.
        """
        status = self.wait(timeout)
        if status != "DONE":
            raise BackendError(f"job {self.id} ended as {status}: see what logs() says of it.")
        return tried(lambda: self._job().result())

    def pipeline(self, timeout: float | None = None) -> Pipeline:
        """Return the pipeline that it fitted."""
        with tempfile.TemporaryDirectory() as folder:
            return load(self.fetch(Path(folder) / "pipeline", timeout))

    def fetch(self, folder: Path, timeout: float | None = None) -> Path:
        """Copy the files that it left into a folder, once it has ended."""
        left = self.result(timeout)
        database = Access(self.connection).database()
        for name in left["files"]:
            database.get(f"{left['folder']}/{name}", (folder / name).parent)
        return folder

    def cancel(self) -> None:
        """End it."""
        tried(lambda: self._job().cancel())

    def delete(self) -> None:
        """Remove it with its logs, and what it brought and left on the stage."""
        from snowflake.ml import jobs

        database = Access(self.connection).database()
        tried(lambda: jobs.delete_job(self.id, session=database.session))
        if self.folder is not None:
            database.run(f"REMOVE {literal(self.folder)}")

    def _job(self) -> Any:
        from snowflake.ml import jobs

        return jobs.get_job(self.id, session=Access(self.connection).database().session)


def list(  # noqa: A001  read as jobs.list
    connection: Connection = None, *, database: str | None = None, schema: str | None = None
) -> builtins.list[tuple[Job, str]]:
    """Return the jobs of ours in a schema that were not deleted, each with its status."""
    at = Access(connection).database()
    within = at.schema(database, schema)
    found = at.records(f"SHOW JOB SERVICES IN SCHEMA {within}")
    return [
        (Job(Name((*within.parts, row["name"])).sql, connection), row["status"])
        for row in found
        if row["name"].startswith(PREFIX)
    ]


def delete_failed(
    connection: Connection = None, *, database: str | None = None, schema: str | None = None
) -> builtins.list[Job]:
    """Remove the jobs of ours that failed, and return them."""
    failed = [
        job
        for job, status in list(connection, database=database, schema=schema)
        if status in FAILED
    ]
    for job in failed:
        job.delete()
    return failed
