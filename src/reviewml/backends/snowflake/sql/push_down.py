"""Which functions of batches Snowflake does itself, and how."""

from __future__ import annotations

import dataclasses
import functools

import pyarrow as pa

from reviewml.backends.snowflake.fetching import fetched
from reviewml.backends.snowflake.rows import Rows, Step
from reviewml.interfaces.batches import Selected, Strict
from reviewml.interfaces.dataset import BatchFunction
from reviewml.interfaces.sql_enricher import AskDatabase
from reviewml.schema import BOOKKEEPING, ERRORS, PLACE
from reviewml.sql import quoted


@dataclasses.dataclass(frozen=True)
class Parted:
    """What Snowflake does of a function, and what is left to the process that fetches the rows.

    Parameters
    ----------
    step
        What is done there.
    schema
        Of the rows that are fetched.
    rest
        What is done to their batches here.
    why
        Why that is not done there.
    """

    step: Step
    schema: pa.Schema
    rest: BatchFunction
    why: str


@functools.singledispatch
def push_down(function: BatchFunction, before: pa.Schema, after: pa.Schema) -> Step | Parted | None:
    """Return what does to rows in the database what a function does to batches.

    A module that knows how registers it for the class of the function, and is imported by
    `reviewml.backends.snowflake.dataset`.

    Parameters
    ----------
    function
        What `Dataset.map` is given.
    before, after
        Schemas of the rows it takes and of those it returns.

    Returns
    -------
    callable, Parted or None
        Takes `Rows` and returns others, once work starts; None when it has to be done in Python.
    """
    return None


@push_down.register
def _(function: Selected, before: pa.Schema, after: pa.Schema) -> Step:
    def select(rows: Rows) -> Rows:
        return rows.select(after)

    return select


@push_down.register
def _(function: Strict, before: pa.Schema, after: pa.Schema) -> Step:
    return _checked


def _checked(rows: Rows) -> Rows:
    bookkeeping = pa.schema([rows.schema.field(name) for name in BOOKKEEPING])
    failed = rows.select(bookkeeping, where=f"{quoted(ERRORS)} IS NOT NULL")
    query = f"{failed.query} ORDER BY {quoted(PLACE)} LIMIT 1"
    for first in fetched(rows.of(query, bookkeeping)):
        Strict()(first)
    return rows


def needs_database(function: BatchFunction) -> bool:
    """Tell whether nothing but the database can do it."""
    return isinstance(function, AskDatabase)
