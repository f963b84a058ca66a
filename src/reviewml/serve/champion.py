"""Champion: the version of a model that a reference stands for, and how it is followed."""

from __future__ import annotations

import contextlib
import datetime
import logging
from typing import Any

from reviewml.errors import CapabilityError, ReviewmlError
from reviewml.privacy.redaction import redact
from reviewml.registries.base import ModelVersion, Registry
from reviewml.saving.verified_copy import copy_verified
from reviewml.serve.loaded_model import LoadedModel
from reviewml.serve.trial import try_model

log = logging.getLogger("reviewml.serve")


class Champion:
    """Follows a reference: where it moves, the version is loaded beside the one that serves.

    Only once it is ready does it take its place; one that cannot be loaded never does. While one
    serves, another is loaded and tried in a process of its own first: one that crashes its process
    never comes here.

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

    served: LoadedModel | None = None
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

    def load(self) -> LoadedModel:
        """Return the version that the reference stands for now, loaded unless it is already.

        Raises
        ------
        ReviewmlError
            When it cannot be found or loaded.
        """
        return self._prepare_version(self.registry.find(self.reference))

    def look(self) -> None:
        """Load what the reference stands for by now; where that fails, keep what there is."""
        what = self.reference
        try:
            version = self.registry.find(self.reference)
            what = f"{version.name}@{version.version}"
            self._prepare_version(version)
            self.problem = None
        except Exception as error:
            self._note_failure(what, error)

    def _prepare_version(self, version: ModelVersion) -> LoadedModel:
        if self.served is None or not self._is_served(self.served, version):
            self.served = self._load_version(version)
            log.info("serving %s", self.served.name)
        return self.served

    def _load_version(self, version: ModelVersion) -> LoadedModel:
        options = {"reviews": self.reviews, "store": self.store}
        # Before the first serves, there is nothing that a crash could cost.
        if self.served is None or self.served.version.version == version.version:
            return LoadedModel.load(self.registry, version, **options)
        with contextlib.ExitStack() as stack:
            try:
                folder = stack.enter_context(
                    self.registry.fetch(f"{version.name}@{version.version}")
                )
            except CapabilityError:
                log.warning("%s keeps no folders: versions are not tried first", self.registry)
                return LoadedModel.load(self.registry, version, **options)
            # Nothing of a model that nobody signed is read, not even where a crash costs nothing.
            if (keys := self.registry.verify) is not None:
                folder, _ = stack.enter_context(copy_verified(folder, keys))
            try_model(folder)
            # The very files that were tried are loaded.
            return LoadedModel.of_folder(folder, version, **options)

    def _is_served(self, served: LoadedModel, version: ModelVersion) -> bool:
        if served.version.version != version.version:
            return False
        age = datetime.datetime.now(datetime.UTC) - served.since
        return self.reread is None or age.total_seconds() < self.reread

    def _note_failure(self, what: str, error: Exception) -> None:
        # Messages of other errors may quote a text.
        ours = isinstance(error, ReviewmlError)
        message = redact(str(error)) if ours else "an error that is not ours"
        problem = f"{what} cannot be loaded ({type(error).__name__})"
        if problem != self.problem:
            log.error("%s: %s", problem, message)
        self.problem = problem

    def health(self) -> dict[str, Any]:
        """Find which version serves, since when, and what is wrong, if anything."""
        status = "ok" if self.served else "failed" if self.problem else "loading"
        return {
            "status": status,
            "model": self.served.name if self.served else None,
            "since": self.served.since.isoformat() if self.served else None,
            "problem": self.problem,
        }
