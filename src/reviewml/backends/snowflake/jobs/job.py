"""Jobs that were submitted: what they say, and what they leave."""

from __future__ import annotations

import builtins
import contextlib
import dataclasses
import itertools
from pathlib import Path
from typing import Any

from reviewml.backends.snowflake.connection.errors import translate_errors
from reviewml.backends.snowflake.connection.session import Connection, ConnectionConfig
from reviewml.backends.snowflake.identifiers import Name
from reviewml.errors import BackendError
from reviewml.pipeline import Pipeline, load
from reviewml.privacy.redaction import redact
from reviewml.saving.manifest import is_outside
from reviewml.storage.temporary import create_temporary_folder

PREFIX = "REVIEWML_"
"""Names of our jobs begin so."""

FAILED = ("FAILED", "INTERNAL_ERROR")

STARTED = "ML job started"
"""What the log says before it runs what was submitted."""

LAST_LINES = 10


@dataclasses.dataclass(frozen=True, repr=False)
class Job:
    """A job that was submitted.

    Parameters
    ----------
    id
        Database, schema and name.
    connection
        As of `ConnectionConfig`.
    """

    id: str
    connection: Connection = None

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    @property
    def status(self) -> str:
        """As Snowflake says it: ``RUNNING``, ``DONE``, ``FAILED``, ``CANCELLED`` and others."""
        return str(translate_errors(lambda: self._get_job().status))

    def logs(self, *, whole: bool = False) -> str:
        """Read what the first machine printed.

        Parameters
        ----------
        whole
            Also what was printed before it started and after it ended.
        """
        return str(translate_errors(lambda: self._get_job().get_logs(verbose=whole)))

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
        return str(
            translate_errors(lambda: self._get_job().wait(-1 if timeout is None else timeout))
        )

    def wait_for_status(self) -> str:
        """Return its status once it has ended; what nobody waits for any more is deleted."""
        try:
            return self.wait()
        except BaseException:
            # Nobody would see what it makes, and the rows that it was given would stay there.
            with contextlib.suppress(BackendError):
                self.cancel()
                self.delete()
            raise

    def result(self, timeout: float | None = None) -> Any:
        """Read the result of the function, or for a pipeline its report and its place.

        Raises
        ------
        BackendError
            When the job has failed, or left nothing.
        """
        status = self.wait(timeout)
        if status != "DONE":
            why = f" {self._read_log()}" if status in FAILED else ""
            raise BackendError(
                f"job {self.id} ended as {status}.{why} See what jobs.Job(id).logs() says; "
                "jobs.delete_failed() removes those that failed."
            )
        try:
            return translate_errors(lambda: self._get_job().result())
        except BackendError:
            raise
        except RuntimeError:
            # What the client says of it may quote what was left.
            failure = "left no result that can be read, as when its process was ended"
        raise BackendError(f"job {self.id} {failure}: see what logs(whole=True) says of it.")

    def _read_log(self) -> str:
        """Return the lines of its log that cannot quote a text.

        Those are ours, which begin with its name, and those from before our code ran.
        """
        try:
            lines = self.logs(whole=True).splitlines()
        except (BackendError, RuntimeError):
            return "Its log cannot be had."
        own = Name.parse(self.id).parts[-1]
        # Snowflake's client lengthens the name that we gave.
        ours = [line.split(None, 1) for line in lines if line.startswith(PREFIX)]
        if told := [rest for name, *rest in ours if own.startswith(name)]:
            return " ".join(itertools.chain(*told))
        if any(line.strip() == STARTED for line in lines):
            return "A function of yours raised, or it died without a word, as when memory runs out."
        return "It did not get to our code. " + redact("\n".join(lines[-LAST_LINES:]))

    def pipeline(self, timeout: float | None = None) -> Pipeline:
        """Return the pipeline that it fitted."""
        with create_temporary_folder() as folder:
            return load(self.fetch(folder / "pipeline", timeout))

    def fetch(self, folder: Path, timeout: float | None = None) -> Path:
        """Copy the files that it left into a folder, once it has ended."""
        left = self.result(timeout)
        if not isinstance(left, dict) or not {"folder", "files"} <= left.keys():
            raise BackendError(
                f"job {self.id} left no files: it ran a function, of which result() has the answer."
            )
        # Others may write to the stage too.
        for name in filter(is_outside, left["files"]):
            raise BackendError(f"job {self.id} left a file of the odd name {name!r}.")
        database = ConnectionConfig(self.connection).database()
        for name in left["files"]:
            database.get(f"{left['folder']}/{name}", (folder / name).parent)
        return folder

    def cancel(self) -> None:
        """End it."""
        translate_errors(lambda: self._get_job().cancel())

    def delete(self) -> None:
        """Remove it with its logs, and what it brought and left on the stage."""
        from snowflake.ml import jobs

        session = ConnectionConfig(self.connection).database().session
        translate_errors(lambda: jobs.delete_job(self.id, session=session))

    def _get_job(self) -> Any:
        from snowflake.ml import jobs

        return jobs.get_job(self.id, session=ConnectionConfig(self.connection).database().session)


def list(  # noqa: A001  read as jobs.list
    connection: Connection = None, *, database: str | None = None, schema: str | None = None
) -> builtins.list[tuple[Job, str]]:
    """Return the jobs of ours in a schema that were not deleted, each with its status."""
    at = ConnectionConfig(connection).database()
    within = at.qualify_schema(database, schema)
    services = at.select_records(f"SHOW JOB SERVICES IN SCHEMA {within}")
    return [
        (Job(Name((*within.parts, row["name"])).sql, connection), row["status"])
        for row in services
        if row["name"].startswith(PREFIX)
    ]


def delete_failed(
    connection: Connection = None, *, database: str | None = None, schema: str | None = None
) -> builtins.list[Job]:
    """Remove the jobs of ours that failed, and return them."""
    jobs = list(connection, database=database, schema=schema)
    failed = [job for job, status in jobs if status in FAILED]
    for job in failed:
        try:
            job.delete()
        except BackendError:
            # Somebody else may have removed it meanwhile.
            remaining = list(connection, database=database, schema=schema)
            if job.id in {other.id for other, _ in remaining}:
                raise
    return failed
