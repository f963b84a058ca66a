"""What operations need of the steps that they run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pyarrow as pa

from reviewml.operations.resources import Resources
from reviewml.rows.provenance import Origin
from reviewml.rows.roles import Roles


class RowStep(Protocol):
    """A step that computes columns from columns of the same row; see `Enricher`."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Roles or literal columns that it is given."""

    @property
    def adds(self) -> Mapping[str, pa.DataType]:
        """Columns that it computes."""

    @property
    def resources(self) -> Resources:
        """What one worker needs."""

    def own_roles(self) -> Roles:
        """Return the roles that are its parameters."""

    def origin(self) -> Origin | None:
        """Return the provenance of its columns."""

    def fingerprint(self) -> str:
        """Hash all that values depend on besides the row."""

    def setup(self) -> None:
        """Load what is too heavy to pickle."""


class BatchStep(RowStep, Protocol):
    """A step that computes the columns of a batch in Python."""

    @property
    def optional(self) -> tuple[str, ...]:
        """Further columns, given when the rows have them."""

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Append the columns to a batch."""

    def sql(self, columns: Mapping[str, str]) -> object:
        """Return the `Call` that computes the same values in a database, if any does."""


class SqlStep(RowStep, Protocol):
    """A step that a database computes."""

    def sql(self, columns: Mapping[str, str]) -> object:
        """Return the `Call` of one row."""
