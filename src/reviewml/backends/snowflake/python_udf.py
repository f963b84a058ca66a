"""Functions of batches that run in the warehouse, as Python."""

from __future__ import annotations

import pyarrow as pa

from reviewml.backends.snowflake.rows import Step
from reviewml.interfaces.dataset import BatchFunction
from reviewml.interfaces.resources import Resources


def step(
    function: BatchFunction, before: pa.Schema, after: pa.Schema, resources: Resources
) -> Step | None:
    """Return what runs a function in the warehouse; None when it cannot run there."""
    return None
