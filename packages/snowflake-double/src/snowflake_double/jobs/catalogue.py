"""ML Jobs: what was submitted, run by the launcher that the client uploaded."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snowflake_double.services.catalogue import JobService
from snowflake_double.sessions import Full

MOUNT = "/mnt/job_stage"
"""Where the container sees the stage."""

RESULT = "output/mljob_result"

LAUNCH = (
    "import runpy, sys; sys.modules['ray'] = None; sys.argv[:] = sys.argv[1:]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""Runs the launcher without Ray, whose cluster the container would have."""


@dataclasses.dataclass(kw_only=True)
class Job(JobService):
    """An ML Job.

    Parameters
    ----------
    spec
        As submitted.
    folder
        Of its files on the stage.
    process
        What runs it.
    """

    spec: dict[str, Any]
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        """What it printed."""
        return (self.folder / "job.log").read_text("utf-8", "replace")

    @property
    def specification(self) -> dict[str, Any]:
        """What its container was started with."""
        given = {key: str(value) for key, value in self.spec["ENV_VARS"].items()}
        container = {
            "name": self.container,
            "image": "double",
            "command": self.spec["ARGS"],
            "env": {**given, "MLRS_RESULT_PATH": RESULT},
            "volumeMounts": [{"name": "stage-volume", "mountPath": MOUNT}],
        }
        source = f"@{self.spec['STAGE_PATH'].removeprefix('@')}"
        return {
            "containers": [container],
            "volumes": [{"name": "stage-volume", "source": source}],
        }

    def failure(self) -> bool | None:
        """Return whether it failed; None while it runs."""
        ended = self.process.poll()
        return None if ended is None else ended != 0

    def wait(self, seconds: int) -> bool:
        """Return whether it ended, at the latest after so long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.poll() is not None

    def end(self) -> None:
        """End it."""
        self.cancelled = self.cancelled or self.process.poll() is None
        self.process.kill()
        self.process.wait()


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
