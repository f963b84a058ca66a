"""What runs in containers: services that stay, and jobs that end."""

from __future__ import annotations

import abc
import dataclasses
import datetime
import weakref
from typing import Any, ClassVar

import yaml
from fakesnow.instance import FakeSnow

from snowflake_double.sessions import Full, Session
from snowflake_double.statements import missing


@dataclasses.dataclass(kw_only=True)
class Service:
    """A service.

    Parameters
    ----------
    name
        Database, schema and name.
    pool
        Compute pool it runs on.
    instances
        Least and most.
    comment
        What was said about it.
    public
        Whether it can be asked from outside.
    """

    name: Full
    pool: str
    instances: tuple[int, int] = (1, 1)
    comment: str | None = None
    public: bool = False
    created: str = dataclasses.field(
        default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(sep=" ")
    )

    container: ClassVar[str] = "main"
    endpoints: ClassVar[dict[str, int]] = {}
    """Ports by name."""

    @property
    def status(self) -> str:
        """As Snowflake says it."""
        return "RUNNING"

    @property
    def log(self) -> str:
        """What it printed."""
        return ""

    @property
    def specification(self) -> dict[str, Any]:
        """What its containers were started with."""
        return {"containers": [{"name": self.container, "image": "double"}], "volumes": []}

    @property
    def specification_text(self) -> str:
        """The same as Snowflake shows it."""
        return str(yaml.safe_dump({"spec": self.specification}))

    def end(self) -> None:
        """End it."""


@dataclasses.dataclass(kw_only=True)
class JobService(Service, abc.ABC):
    """A service that ends when its work is done."""

    cancelled: bool = False

    @abc.abstractmethod
    def wait(self, seconds: int) -> bool:
        """Return whether it ended, at the latest after so long."""

    @abc.abstractmethod
    def failure(self) -> bool | None:
        """Return whether it failed; None while it runs."""

    @property
    def status(self) -> str:
        """As Snowflake says it."""
        if self.cancelled:
            return "CANCELLED"
        return {None: "RUNNING", False: "DONE", True: "FAILED"}[self.failure()]


class Services(dict[Full, Service]):
    """All services of a double."""

    def find(self, session: Session, name: str) -> Service:
        """Return a service by its name as it stands in a statement."""
        found = self.get(session.full(name))
        if found is None:
            raise missing("Service", name)
        return found

    def find_job(self, session: Session, name: str) -> JobService:
        """Return a job by its name as it stands in a statement."""
        found = self.find(session, name)
        if not isinstance(found, JobService):
            raise missing("Job", name)
        return found

    def within(self, database: str, schema: str) -> list[Service]:
        """Return the services of a schema."""
        return [one for full, one in self.items() if full[:2] == (database, schema)]


_services: weakref.WeakKeyDictionary[FakeSnow, Services] = weakref.WeakKeyDictionary()


def services_of(session: Session) -> Services:
    """Return the services of the double that a session is of."""
    return _services.setdefault(session.instance, Services())
