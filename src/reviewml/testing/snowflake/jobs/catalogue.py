"""ML Jobs: what was submitted, run by the launcher that the client uploaded."""

from __future__ import annotations

import dataclasses
import datetime
import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fakesnow.instance import FakeSnow

from reviewml.testing.snowflake.sessions import Full, Session
from reviewml.testing.snowflake.statements import missing

MOUNT = "/mnt/job_stage"
"""Where the container sees the stage."""

RESULT = "output/mljob_result"

LAUNCH = (
    "import runpy, sys; sys.modules['ray'] = None; sys.argv[:] = sys.argv[1:]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""Runs the launcher without Ray, whose cluster the container would have."""


@dataclasses.dataclass
class Job:
    """A job.

    Parameters
    ----------
    name
        Database, schema and name.
    pool
        Compute pool it was submitted to.
    spec, options
        As submitted.
    folder
        Of its files on the stage.
    process
        What runs it.
    """

    name: Full
    pool: str
    spec: dict[str, Any]
    options: dict[str, Any]
    folder: Path
    process: subprocess.Popen[bytes]
    cancelled: bool = False
    created: str = dataclasses.field(
        default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(sep=" ")
    )

    @property
    def status(self) -> str:
        """As Snowflake says it."""
        if self.cancelled:
            return "CANCELLED"
        ended = self.process.poll()
        return "RUNNING" if ended is None else "DONE" if ended == 0 else "FAILED"

    @property
    def log(self) -> str:
        """What it printed."""
        return (self.folder / "job.log").read_text("utf-8", "replace")

    def cancel(self) -> None:
        """End it."""
        self.cancelled = self.cancelled or self.process.poll() is None
        self.process.kill()
        self.process.wait()


class Jobs(dict[Full, Job]):
    """All jobs of a double."""

    def find(self, session: Session, name: str) -> Job:
        """Return a job by its name as it stands in a statement."""
        found = self.get(session.full(name))
        if found is None:
            raise missing("Service", name)
        return found


_jobs: weakref.WeakKeyDictionary[FakeSnow, Jobs] = weakref.WeakKeyDictionary()


def jobs_of(session: Session) -> Jobs:
    """Return the jobs of the double that a session is of."""
    return _jobs.setdefault(session.instance, Jobs())


def start(spec: Mapping[str, Any], folder: Path, name: Full, port: int) -> subprocess.Popen[bytes]:
    """Run the launcher as the container does, once it has installed what it needs.

    Parameters
    ----------
    spec
        As submitted.
    folder
        Of the job's files on the stage.
    name
        Of the job.
    port
        Of the double, which the job can connect to.
    """
    (folder / "output").mkdir(exist_ok=True)
    _, _, *arguments = [argument.replace(MOUNT, str(folder)) for argument in spec["ARGS"]]
    # The first two start the container's own services.
    launcher = folder / "system" / "mljob_launcher.py"
    with (folder / "job.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603  what was submitted
            [sys.executable, "-Pu", "-c", LAUNCH, str(launcher), *arguments],
            env=_environment(spec, folder, name, port),
            cwd=folder / "app",
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _environment(spec: Mapping[str, Any], folder: Path, name: Full, port: int) -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    given = {key: str(value) for key, value in (spec["ENV_VARS"] or {}).items()}
    database, schema, own = name
    return {
        **kept,
        **given,
        # No connections of the user's may be found.
        "HOME": tempfile.gettempdir(),
        "MLRS_STAGE_MOUNT_PATH": str(folder),
        "MLRS_RESULT_PATH": RESULT,
        "SNOWFLAKE_SERVICE_NAME": own,
        "SNOWFLAKE_ACCOUNT": "double",
        "SNOWFLAKE_USER": "JOB",
        "SNOWFLAKE_PASSWORD": "double",
        "SNOWFLAKE_HOST": "127.0.0.1",
        "SNOWFLAKE_PORT": str(port),
        "SNOWFLAKE_SSL": "off",
        "SNOWFLAKE_DATABASE": database,
        "SNOWFLAKE_SCHEMA": schema,
        "SNOWFLAKE_WAREHOUSE": "DOUBLE_WH",
    }
