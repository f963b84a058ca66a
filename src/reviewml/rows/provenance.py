"""Origins: which enricher a column came from, kept with the column."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping

import pyarrow as pa

from reviewml.errors import SchemaError

ORIGIN = b"reviewml:origin"
"""Key in the metadata of the field of a column that an enricher added."""

SHOWN = 12
"""Digits of a fingerprint in messages."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """Which enricher added a column.

    Parameters
    ----------
    enricher
        Name of its class.
    fingerprint
        Hash of its class, parameters and fitted state.
    """

    enricher: str
    fingerprint: str

    @classmethod
    def read(cls, text: str | bytes) -> Origin | None:
        """Parse an origin from `text`; None when it is something else, such as a user's comment."""
        try:
            document = json.loads(text)
            return cls(str(document["enricher"]), str(document["fingerprint"]))
        except (ValueError, TypeError, KeyError):
            return None

    @property
    def text(self) -> str:
        """The origin as text, for a field's metadata or a comment on a column."""
        return json.dumps(dataclasses.asdict(self))

    def __str__(self) -> str:
        return f"{self.enricher} (fingerprint {self.fingerprint[:SHOWN]})"


def origin_of(field: pa.Field) -> Origin | None:
    """Get the origin of a column, or None when it is not known."""
    stored = (field.metadata or {}).get(ORIGIN)
    return None if stored is None else Origin.read(stored)


def with_origin(schema: pa.Schema, columns: Iterable[str], origin: Origin | None) -> pa.Schema:
    """Record the origin of columns in the metadata of their fields."""
    if origin is None:
        return schema
    for name in columns:
        place = schema.get_field_index(name)
        field = schema.field(place)
        marked = field.with_metadata({**(field.metadata or {}), ORIGIN: origin.text})
        schema = schema.set(place, marked)
    return schema


def check_origins(learned: Mapping[str, Origin], schema: pa.Schema) -> None:
    """Raise when a column was added by another enricher than during fitting.

    Columns of which no origin is known are taken as they are.

    Raises
    ------
    SchemaError
        Naming the column and both enrichers.
    """
    for name, learned_origin in learned.items():
        origin = origin_of(schema.field(name)) if name in schema.names else None
        if origin is not None and origin != learned_origin:
            raise SchemaError(
                f"column {name!r} was added by {origin}, and this pipeline learned from one that "
                f"{learned_origin} added, whose values mean something else. Refit it on rows "
                "with the new "
                f"column, or enrich these rows with {learned_origin}."
            )
