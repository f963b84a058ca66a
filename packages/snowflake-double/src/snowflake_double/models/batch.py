"""EXECUTE INFERENCE JOB SERVICE: a job that runs a method of a model on files of a stage."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import traceback
import uuid
from typing import TYPE_CHECKING, Any

import yaml

from snowflake_double.models.catalogue import Version, models_of
from snowflake_double.models.files import Batch
from snowflake_double.models.services import new_name, runnable
from snowflake_double.services.catalogue import JobService, services_of
from snowflake_double.stages import folders
from snowflake_double.statements import Answer, Call, Refused, not_understood, on, rows
from snowflake_double.texts import NAME, PART, TEXT, read_text

if TYPE_CHECKING:
    from snowflake_double.double import Double

UNDERSTOOD = frozenset(["input", "output", "resources", "inference", "image_build"])
"""What the specification may say; what it says besides the output makes no difference here."""

THREADS = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="batch")


@dataclasses.dataclass(kw_only=True)
class BatchJob(JobService):
    """A job that runs a method on files.

    Parameters
    ----------
    batch
        What it does.
    work
        That it is done.
    """

    batch: Batch
    work: concurrent.futures.Future[None]

    @property
    def log(self) -> str:
        """What it printed."""
        failed = self.work.exception() if self.work.done() else None
        return "".join(traceback.format_exception_only(failed)) if failed else ""

    def failure(self) -> bool | None:
        """Return whether it failed; None while it runs."""
        return self.work.exception() is not None if self.work.done() else None

    def wait(self, seconds: int) -> bool:
        """Return whether it ended, at the latest after so long."""
        concurrent.futures.wait([self.work], seconds)
        return self.work.done()

    def end(self) -> None:
        """End it: it writes nothing any more."""
        self.cancelled = not self.work.done()
        self.batch.cancelled.set()


@on(
    rf"^EXECUTE INFERENCE JOB SERVICE IN COMPUTE POOL (?P<pool>{PART}) "
    rf"WITH SPECIFICATION (?P<text>{TEXT}) FROM (?P<location>@\S+) MODEL = (?P<model>{NAME}) "
    rf"VERSION = (?P<version>{PART}) FUNCTION = (?P<method>{TEXT})(?: NAME = (?P<name>{NAME}))? "
    r"ASYNC = (?P<async>TRUE|FALSE)(?: REPLICAS = (?P<replicas>\d+))?$"
)
def execute(double: Double, call: Call) -> Answer:
    generated = f"BATCH_INFERENCE_{uuid.uuid4().hex}".upper()
    name = new_name(call.session, call.match["name"] or generated)
    batch = asked(double, call, name[2])
    count = int(call.match["replicas"] or 1)
    work = THREADS.submit(batch.run)
    services_of(call.session)[name] = BatchJob(
        name=name,
        pool=call.match["pool"],
        instances=(count, count),
        batch=batch,
        work=work,
    )
    if call.match["async"].upper() == "FALSE":
        work.result()
    return rows(["status"], [[f"Batch inference job {'.'.join(name)} submitted successfully."]])


@on("^EXECUTE INFERENCE JOB SERVICE ")
def refuse(double: Double, call: Call) -> Answer:
    raise not_understood(
        f"{call.sql[:200]}\nis not understood: it reads a stage, and names version and function."
    )


def asked(double: Double, call: Call, name: str) -> Batch:
    """Return what a statement asks for."""
    output = output_of(read_text(call.match["text"]))
    version = runnable(call.session, call.match["model"], call.match["version"])
    return Batch(
        models_of(call.session).warehouse,
        version,
        method_of(version, read_text(call.match["method"])),
        source=folders.folder_of(double, call.session, call.match["location"]),
        target=folders.folder_of(double, call.session, output["stage_location"]) / name,
        replace=output.get("mode") == "overwrite",
    )


def output_of(text: str) -> dict[str, Any]:
    """Return where results are to be written."""
    spec: dict[str, Any] = yaml.safe_load(text)
    if strange := {*(spec.keys() - UNDERSTOOD), *spec.get("input", {})}:
        raise not_understood(f"a batch with {', '.join(sorted(strange))}.")
    output: dict[str, Any] = spec["output"]
    return output


def method_of(version: Version, name: str) -> dict[str, Any]:
    """Return what the manifest says of a method, named as in Python."""
    for method in version.methods.values():
        if method["handler"].split(".")[1] == name:
            return method
    raise Refused(395008, f"{name} is no function of version {version.name}.")
