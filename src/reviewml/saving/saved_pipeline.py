"""Parts: what there is to save of a fitted pipeline."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from reviewml.rows.provenance import Origin
from reviewml.rows.roles import Roles
from reviewml.steps.component import Component
from reviewml.steps.featurizer import Feature, Featurizer
from reviewml.steps.model import Model


@dataclasses.dataclass(frozen=True)
class Parts:
    """A fitted pipeline, taken apart.

    Parameters
    ----------
    parameters
        Those of the pipeline itself, the steps and the backend left out.
    steps
        The fitted steps by name.
    model
        The trained model; None for a pipeline that only enriches.
    roles, schema
        Of the rows it was fitted on: roles, and each column's type.
    report
        What happened while fitting, as plain data.
    origins
        Enrichers of columns that the rows had already, and features were made of.
    """

    parameters: Mapping[str, Any]
    steps: Sequence[tuple[str, Component]]
    model: Model | None
    roles: Roles
    schema: Mapping[str, str]
    report: Mapping[str, Any]
    origins: Mapping[str, Origin] = dataclasses.field(default_factory=dict)

    @property
    def features(self) -> Sequence[Feature]:
        """Columns of the matrix; none for a pipeline that only enriches."""
        return [
            feature
            for _, step in self.steps
            if isinstance(step, Featurizer)
            for feature in step.features()
        ]
