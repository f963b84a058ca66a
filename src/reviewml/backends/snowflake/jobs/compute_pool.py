"""Compute pools: where jobs run, and what they bring along."""

from __future__ import annotations

import dataclasses
import re
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reviewml.backends.snowflake.connection.errors import translate_errors
from reviewml.backends.snowflake.connection.session import (
    Connection,
    ConnectionConfig,
    SnowflakeSession,
)
from reviewml.backends.snowflake.identifiers import Name
from reviewml.backends.snowflake.jobs.job import PREFIX, Job
from reviewml.backends.snowflake.jobs.payload import ENTRY
from reviewml.backends.snowflake.udf import package_archive
from reviewml.backends.snowflake.udf.pickling import register_by_value
from reviewml.errors import ParameterError, suggest_names
from reviewml.storage.temporary import create_temporary_folder

REPOSITORY = "snowflake.snowpark.pypi_shared_repository"

OPTIONS = (
    "comment", "database", "enable_metrics", "env_vars", "external_access_integrations",
    "imports", "min_instances", "overwrite", "parallel", "preflight", "query_warehouse",
    "runtime_environment", "schema", "spec_overrides",
)  # fmt: skip
"""What the client takes besides; of others it only writes a line into the log."""


@dataclasses.dataclass(frozen=True)
class ComputePool:
    """Where jobs run, and what they bring along.

    Parameters
    ----------
    compute_pool
        Name of the compute pool.
    stage
        Stage for what they bring and leave, made when it is new: ``"shop.models.jobs"``.
    connection
        As of `ConnectionConfig`.
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

    def check(self) -> None:
        """Raise `ParameterError` when a parameter has a value that it cannot have."""
        for name in ("pip_requirements", "artifact_repositories"):
            if isinstance(value := getattr(self, name), str):
                raise ParameterError(f"{name}={value!r} is one text: give a list, [{value!r}].")
        for name in self.options:
            if name not in OPTIONS:
                raise ParameterError(
                    f"snowflake.ml.jobs has no option {name!r}. {suggest_names(name, OPTIONS)}"
                )

    def database(self) -> SnowflakeSession:
        """Open the session in which statements run."""
        return ConnectionConfig(self.connection).database()

    @property
    def packages(self) -> tuple[str, ...]:
        """What code of a user's may import there."""
        matches = [
            re.match(r"[\w.-]+", requirement.strip()) for requirement in self.pip_requirements
        ]
        return (*package_archive.PACKAGES, *(match[0] for match in matches if match))

    def name(self, what: str) -> str:
        """Return a new name for a job."""
        return f"{PREFIX}{what.upper()}_{uuid.uuid4().hex[:12].upper()}"

    def results(self, name: str) -> str:
        """Return the place on the stage where a job leaves what came of it.

        It is in the folder that the job has there, so that it goes when the job is deleted.
        """
        return f"@{Name.parse(self.stage)}/{name}/results"

    def submit_folder(self, folder: Path, name: str) -> Job:
        """Run the task that is described in a folder, which `write_payload` prepared."""
        from snowflake.ml import jobs

        submitted = translate_errors(
            lambda: jobs.submit_directory(
                str(folder), entrypoint=ENTRY, **self._collect_settings(name)
            )
        )
        return Job(submitted.id, self.connection)

    def submit_function(self, function: Callable[..., Any], args: Sequence[Any]) -> Job:
        """Run a function there, with arguments that can be pickled."""
        from snowflake.ml import jobs

        name = self.name("call")
        with create_temporary_folder() as folder:
            brought = [str(package_archive.write_archive(folder))]
            settings = self._collect_settings(name)
            settings["imports"] = [*settings.get("imports", ()), *brought]
            with register_by_value(_find_own_modules(function)):
                submitted = translate_errors(lambda: jobs.remote(**settings)(function)(*args))
        return Job(submitted.id, self.connection)

    def _collect_settings(self, name: str) -> dict[str, Any]:
        self.check()
        return {
            **self.options,
            "compute_pool": Name.parse(self.compute_pool).sql,
            "stage_name": Name.parse(self.stage).sql,
            "session": self.database().session,
            "target_instances": self.target_instances,
            "pip_requirements": [*package_archive.pin_requirements(), *self.pip_requirements],
            "artifact_repositories": [*self.artifact_repositories],
            "name": name,
        }


def _find_own_modules(function: Callable[..., Any]) -> list[str]:
    """Return the module of a function where the job has it not: there is only reviewml's."""
    name = function.__module__
    lacking = name in sys.modules and name.partition(".")[0] not in ("__main__", "reviewml")
    return [name] if lacking else []
