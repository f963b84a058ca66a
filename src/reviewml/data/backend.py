"""Backend: where a pipeline runs."""

from __future__ import annotations

import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reviewml import plugins
from reviewml.data.dataset import Dataset, EnrichmentStep
from reviewml.data.frames import is_frame
from reviewml.data.source import Source
from reviewml.data.training_executor import InProcess, TrainingExecutor
from reviewml.errors import CapabilityError, SourceError
from reviewml.rows.roles import Roles, keep_existing_roles

Setting = Mapping[str, Any]
"""Values of parameters, by name."""

Outcome = Mapping[str, Any]
"""What came of a trial: plain data, or ``{"error": why}`` where there is nothing else to say."""


@dataclasses.dataclass(frozen=True)
class Capabilities:
    """What a backend promises, as data, so that a pipeline can be refused before it runs.

    Parameters
    ----------
    ordered
        Rows come back in the order of the source.
    python
        Enrichers written in Python run there.
    sql
        The rows are in a database that computes what a `SqlEnricher` asks.
    """

    ordered: bool = False
    python: bool = True
    sql: bool = False


class Backend(ABC):
    """Reads sources into datasets of its own; datasets do the rest."""

    name: str
    capabilities: Capabilities = Capabilities()

    def check(self, steps: Mapping[str, EnrichmentStep]) -> None:
        """Raise, before anything runs, when a step cannot run here.

        Parameters
        ----------
        steps
            The enrichers of a pipeline, by name.

        Raises
        ------
        CapabilityError
            Naming the step.
        """
        for name, step in steps.items():
            if step.asks_a_database:
                if not self.capabilities.sql:
                    raise CapabilityError(
                        f"step {name!r} ({type(step).__name__}) is computed by Snowflake, which "
                        f"the backend {self.name!r} does not ask: run the pipeline with "
                        ".on('snowflake'), or use an enricher that is written in Python."
                    )
            elif not self.capabilities.python:
                raise CapabilityError(
                    f"step {name!r} is written in Python, which the backend {self.name!r} does "
                    "not run."
                )

    @abstractmethod
    def scan(self, source: Source) -> Dataset:
        """Return the rows of a source's partitions, its operations not yet done."""

    def read(self, data: Any, roles: Roles = Roles()) -> Dataset:
        """Return a dataset of anything that holds rows.

        Parameters
        ----------
        data
            A `Dataset`, a `Source`, a path or URL, or a pandas, polars or Arrow frame.
        roles
            Those to use where the data has none of its own; one whose column is absent is
            left out, since new rows lack a target, say.
        """
        dataset = data if isinstance(data, Dataset) else self._scan_and_apply(as_source(data))
        filled = dataset.roles.filled_from(keep_existing_roles(dataset.full_schema, roles))
        return dataset if filled == dataset.roles else dataset.with_roles(filled)

    def training_executor(self) -> TrainingExecutor:
        """Get what trains models: this process, unless a backend has another executor."""
        return InProcess()

    def try_each(
        self, trial: Callable[[Backend, Setting], Outcome], settings: Sequence[Setting]
    ) -> list[Outcome]:
        """Try settings, one after the other here; a cluster tries several at once.

        Parameters
        ----------
        trial
            Tries one, on the backend it is given; picklable. It says what went wrong and raises
            nothing.
        settings
            Those to try.

        Returns
        -------
        list of mapping
            What came of each, in order. A trial that was lost costs only itself.
        """
        return [trial(self, setting) for setting in settings]

    def _scan_and_apply(self, source: Source) -> Dataset:
        dataset = self.scan(source)
        for operation in source.operations:
            dataset = dataset.apply(operation)
        return dataset


def as_source(data: Any) -> Source:
    """Return the source that describes `data`: a path, a URL or a frame."""
    if isinstance(data, Source):
        return data
    if isinstance(data, str | os.PathLike):
        files: Source = plugins.load("sources", "files")(data)
        return files
    if is_frame(data):
        frame: Source = plugins.load("sources", "frame")(data)
        return frame
    raise SourceError(
        f"cannot read rows from a {type(data).__name__}: give a path, a Source, a Dataset, or a "
        "pandas, polars or Arrow frame; of a Snowpark frame, SnowflakeQuery(frame)."
    )
