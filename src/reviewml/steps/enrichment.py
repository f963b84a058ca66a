"""Enrichment: a step of a pipeline that adds columns to rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.data.frames import append_to_frame, as_dataset
from reviewml.errors import ReviewmlError
from reviewml.operations.resources import Resources
from reviewml.rows.provenance import Origin
from reviewml.rows.roles import ROLE_NAMES, Roles
from reviewml.steps.component import Component
from reviewml.steps.frame_transformer import FrameTransformer

if TYPE_CHECKING:
    from reviewml.data.dataset import Dataset
    from reviewml.operations.ask_database import AskDatabase


class Enrichment(FrameTransformer, Component, ABC):
    """Adds columns to rows, and keeps the rows and their order.

    Most are an `Enricher`, which looks at nothing but the row itself. One that looks at other
    rows, as reviews of the same product, says so with `looks_back`.
    """

    fit_needs: tuple[str, ...] = ()
    """Roles or literal columns that only `fit` is given."""

    resources: Resources = Resources()
    """What one worker needs."""

    atol: float = 0.0
    """How far a value may move when rows are batched differently."""

    looks_back: bool = False
    """Whether it looks at other rows, as they were known at the time of each row."""

    @property
    def asks_a_database(self) -> bool:
        """Whether only a database that holds the rows can compute it, or a part of it."""
        return False

    def questions(self, rows: Dataset, stage: str) -> list[tuple[AskDatabase, Dataset]]:
        """List the database calls that it would make, and for which rows, for cost estimates.

        Parameters
        ----------
        rows
            All rows of the pipeline.
        stage
            Name of the step.
        """
        return []

    @abstractmethod
    def enrich_dataset(self, dataset: Dataset, *, stage: str | None = None) -> Dataset:
        """Return the rows with the columns added.

        Parameters
        ----------
        dataset
            Rows with their roles.
        stage
            Name of the step, for messages.
        """

    @abstractmethod
    def fit_enrich(self, dataset: Dataset, *, stage: str | None = None) -> Dataset:
        """Fit on rows and return them with the columns added."""

    @abstractmethod
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from rows.

        Parameters
        ----------
        X
            A `Dataset`, or a pandas, polars or Arrow frame.
        y
            Ignored; scikit-learn passes it.
        """

    def setup(self) -> None:
        """Load what is too heavy to pickle; called before each pass, so keep what is loaded."""

    def transform(self, X: Any) -> Any:
        """Return `X` with the columns added, as the kind of frame it was.

        `set_output` asks for another kind; a `Dataset` stays one.

        Parameters
        ----------
        X
            A `Dataset`, or a pandas, polars or Arrow frame.
        """
        dataset = self.read_rows(X)
        return self.convert_output(_append_added(X, dataset, dataset.enrich(self)))

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit on rows and return them with the columns added, cross-fitted where that differs."""
        dataset = self.read_rows(X)
        self.remember_columns(dataset.schema.names)
        return self.convert_output(_append_added(X, dataset, self.fit_enrich(dataset)))

    def read_rows(self, X: Any) -> Dataset:
        """Return the rows of a frame or `Dataset`, after checking the parameters."""
        self.check_parameters()
        return as_dataset(X, self.own_roles())

    def own_roles(self) -> Roles:
        """Return the roles given as parameters, for use without a pipeline."""
        params = self.get_params(deep=False)
        return Roles.of(**{role: params[role] for role in ROLE_NAMES if params.get(role)})

    def decisive_params(self) -> dict[str, Any]:
        """Return the parameters that values depend on: not what the user calls the columns."""
        params = super().decisive_params()
        return {name: value for name, value in params.items() if name not in ROLE_NAMES}

    def origin(self) -> Origin | None:
        """Make the provenance of its columns; None when there is none."""
        attributes = {
            name: id(value) for name, value in vars(self).items() if not name.startswith("_")
        }
        # Hashing fitted state again for each batch that is served would take longer than the rest.
        if getattr(self, "_origin_of", None) != attributes:
            self._origin, self._origin_of = self._make_origin(), attributes
        return self._origin

    def _make_origin(self) -> Origin | None:
        try:
            return Origin(type(self).__name__, self._fingerprint_of_columns())
        except (TypeError, ImportError, ReviewmlError):
            # What is no plain data, or not on this machine, cannot be told from others.
            return None

    def _fingerprint_of_columns(self) -> str:
        return self.fingerprint()

    def before(self, moment: int) -> Self:
        """Return one that learns only from what was known before a moment.

        Parameters
        ----------
        moment
            Microseconds since 1970, UTC. It matters to those that look at other rows.
        """
        return self

    def looking_at(self, reviews: Any) -> Self:
        """Return one that looks at these other rows, when it looks at any."""
        return self

    def segments(self, batch: pa.RecordBatch) -> Mapping[str, pa.Array]:
        """Return groups of rows that are always judged apart: a title, and each row's group."""
        return {}

    def clusters(self, batch: pa.RecordBatch) -> npt.NDArray[np.uint64] | None:
        """Return a number for each row, equal for rows that share what was looked at."""
        return None

    def summary(self) -> str:
        """Summarize the fitted state in one line, for reports."""
        return ""


def _append_added(given: Any, before: Dataset, after: Dataset) -> Any:
    new_names = [name for name in after.schema.names if name not in before.schema.names]
    return append_to_frame(given, after, new_names)
