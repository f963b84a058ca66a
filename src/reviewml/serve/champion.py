"""Champion: the version of a model that a reference stands for, and how it is followed."""

from __future__ import annotations

import datetime
import logging
from typing import Any

from reviewml.errors import ReviewmlError
from reviewml.interfaces.registry import ModelVersion, Registry
from reviewml.serve.served import Served

log = logging.getLogger("reviewml.serve")


class Champion:
    """Follows a reference: where it moves, the version is loaded beside the one that serves.

    Only once it is ready does it take its place; one that cannot be loaded never does.

    Parameters
    ----------
    registry
        Where the model is.
    reference
        Such as ``"purchase@champion"``.
    reviews, store
        As in `create_app`.
    reread
        Seconds after which reviews are read anew; None for never.
    """

    served: Served | None = None
    problem: str | None = None

    def __init__(
        self,
        registry: Registry,
        reference: str,
        *,
        reviews: Any = None,
        store: Any = "auto",
        reread: float | None = None,
    ) -> None:
        self.registry = registry
        self.reference = reference
        self.reviews = reviews
        self.store = store
        self.reread = reread

    def load(self) -> Served:
        """Return the version that the reference stands for now, loaded unless it is already.

        Raises
        ------
        ReviewmlError
            When it cannot be found or loaded.
        """
        return self._ready(self.registry.find(self.reference))

    def look(self) -> None:
        """Load what the reference stands for by now; where that fails, keep what there is."""
        what = self.reference
        try:
            version = self.registry.find(self.reference)
            what = f"{version.name}@{version.version}"
            self._ready(version)
            self.problem = None
        except Exception as error:
            self._failed(what, error)

    def _ready(self, version: ModelVersion) -> Served:
        if self.served is None or not self._is_served(self.served, version):
            self.served = Served.load(
                self.registry, version, reviews=self.reviews, store=self.store
            )
            log.info("serving %s", self.served.name)
        return self.served

    def _is_served(self, served: Served, version: ModelVersion) -> bool:
        if served.version.version != version.version:
            return False
        age = datetime.datetime.now(datetime.UTC) - served.since
        return self.reread is None or age.total_seconds() < self.reread

    def _failed(self, what: str, error: Exception) -> None:
        # Messages of other errors may quote a text.
        said = str(error) if isinstance(error, ReviewmlError) else "an error that is not ours"
        problem = f"{what} cannot be loaded ({type(error).__name__})"
        if problem != self.problem:
            log.error("%s: %s", problem, said)
        self.problem = problem

    def health(self) -> dict[str, Any]:
        """Return which version serves, since when, and what is wrong, if anything."""
        status = "ok" if self.served else "failed" if self.problem else "loading"
        return {
            "status": status,
            "model": self.served.name if self.served else None,
            "since": self.served.since.isoformat() if self.served else None,
            "problem": self.problem,
        }
