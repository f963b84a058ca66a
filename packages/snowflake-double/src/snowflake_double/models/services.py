"""Services that a model was deployed to, and the jobs that built their images."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import uuid
from typing import TYPE_CHECKING, Any, ClassVar

import yaml

from snowflake_double.models.catalogue import Version, models_of
from snowflake_double.services.catalogue import JobService, Service, services_of
from snowflake_double.sessions import Full, Session
from snowflake_double.stages import folders
from snowflake_double.statements import (
    Answer,
    Call,
    Refused,
    exists,
    not_understood,
    on,
    rows,
)
from snowflake_double.texts import TEXT, read_text

if TYPE_CHECKING:
    from snowflake_double.double import Double

CONTAINERS = "SNOWPARK_CONTAINER_SERVICES"
PLAIN = re.compile("[A-Z_][A-Z0-9_$]*")

UNDERSTOOD = frozenset(["models", "image_build", "service"])
SERVICE = frozenset(
    [
        *("name", "compute_pool", "ingress_enabled", "min_instances", "max_instances"),
        *("cpu", "memory", "gpu", "num_workers", "max_batch_rows", "autocapture"),
    ]
)
"""What the specification of a deployment may say, and what it may say of the service."""


@dataclasses.dataclass(kw_only=True)
class ModelService(Service):
    """A service that answers for a version of a model.

    Parameters
    ----------
    version
        Which.
    """

    version: Version

    container: ClassVar[str] = "model-inference"
    endpoints: ClassVar[dict[str, int]] = {"inference": 5000}


@dataclasses.dataclass(kw_only=True)
class ImageBuild(JobService):
    """The job that built the image of a service.

    Parameters
    ----------
    version
        Of the model that is in the image.
    """

    version: Version

    container: ClassVar[str] = "model-build"

    @property
    def log(self) -> str:
        """What it printed."""
        return "nothing is built: the model runs as a process of this machine\n"

    def failure(self) -> bool | None:
        """Return that it did not fail."""
        return False

    def wait(self, seconds: int) -> bool:
        """Return that it ended."""
        return True


@on(rf"^CALL SYSTEM\$DEPLOY_MODEL\((?P<text>{TEXT})\)$")
def deploy(double: Double, call: Call) -> Answer:
    spec = specification(double, call)
    service, [model] = spec["service"], spec["models"]
    name = new_name(call.session, service["name"])
    version = runnable(call.session, model["name"], model["version"])
    pool, known = service["compute_pool"], services_of(call.session)
    known[name] = ModelService(
        name=name,
        pool=pool,
        instances=(service["min_instances"], service["max_instances"]),
        public=service["ingress_enabled"],
        version=version,
    )
    done = rows(["SYSTEM$DEPLOY_MODEL"], [[f"{'.'.join(name)} created successfully."]])
    build = (*name[:2], build_name(done.data["queryId"]))
    known[build] = ImageBuild(name=build, pool=pool, version=version)
    return done


def specification(double: Double, call: Call) -> dict[str, Any]:
    """Return what is to be deployed, which stands in the statement or in a file of a stage."""
    text = read_text(call.match["text"])
    if text.startswith("@"):
        text = folders.folder_of(double, call.session, text).read_text("utf-8")
    spec: dict[str, Any] = yaml.safe_load(text)
    strange = {*(spec.keys() - UNDERSTOOD), *(spec["service"].keys() - SERVICE)}
    if strange or len(spec["models"]) != 1:
        raise not_understood(f"a deployment with {sorted(strange) or 'several models'}.")
    return spec


def new_name(session: Session, text: str) -> Full:
    """Return the name of a service to make.

    Raises
    ------
    Refused
        When there is one, or Snowflake does not take the name: services have none in quotes.
    """
    name = session.full(text)
    if not all(map(PLAIN.fullmatch, name)):
        raise Refused(395006, f"Names of services cannot be quoted: {text}.")
    if name in services_of(session):
        raise exists(".".join(name))
    return name


def runnable(session: Session, model: str, version: str) -> Version:
    """Return a version of a model, to be run in a container."""
    found = models_of(session).find(session, model).version(session.full(version)[2])
    if CONTAINERS not in found.platforms:
        raise Refused(395007, f"{model}, version {version}, runs in {found.platforms} alone.")
    return found


def build_name(query: str) -> str:
    """Return what the job that builds an image is called, given the statement's id."""
    number = str(uuid.UUID(query).int).encode()
    return f"MODEL_BUILD_{hashlib.md5(number, usedforsecurity=False).hexdigest()[:8]}".upper()


def serving(session: Session, version: Version) -> list[str]:
    """Return the names of the services and image builds of a version."""
    kinds = (ModelService, ImageBuild)
    found = [one for one in services_of(session).values() if isinstance(one, kinds)]
    return [".".join(one.name) for one in found if one.version is version]
