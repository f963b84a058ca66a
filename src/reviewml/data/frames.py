"""From data frames to datasets and back, as the kind of frame that was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import narwhals as nw
import pyarrow as pa

from reviewml import plugins
from reviewml.rows import row_errors
from reviewml.rows.columns import convert_column_to_pandas
from reviewml.rows.roles import Roles

if TYPE_CHECKING:
    from reviewml.data.dataset import Dataset


def as_dataset(data: Any, roles: Roles = Roles()) -> Dataset:
    """Return a `Dataset` as it is, and anything else read by the local backend.

    Parameters
    ----------
    data
        A `Dataset`, a `Source`, a path, or a pandas, polars or Arrow frame.
    roles
        Those to use where the data has none of its own.
    """
    # By name through the catalogue: what rows are must not depend on where they are read.
    backend = plugins.load("backends", "local")()
    dataset: Dataset = backend.read(data, roles)
    return dataset


def is_frame(data: Any) -> bool:
    """Check whether `data` is a pandas, polars or Arrow table."""
    return isinstance(data, pa.RecordBatch) or nw.dependencies.is_into_dataframe(data)


def append_to_frame(frame_given: Any, dataset: Dataset, added: Sequence[str]) -> Any:
    """Append the added columns to a frame; other data gives the dataset itself."""
    if not is_frame(frame_given):
        return dataset
    selected = dataset.select(list(added))
    values = selected.to_arrow()
    row_errors.warn(selected.errors, len(values))
    if isinstance(frame_given, pa.RecordBatch):
        columns = [*frame_given.columns, *(c.combine_chunks() for c in values.columns)]
        return pa.RecordBatch.from_arrays(columns, [*frame_given.schema.names, *added])
    frame = nw.from_native(frame_given, eager_only=True)
    new = nw.from_native(values, eager_only=True)
    series = [_make_series(new[name], frame) for name in added]
    return frame.with_columns(*series).to_native()


def convert_frame(frame: Any, kind: str) -> Any:
    """Convert a pandas, polars or Arrow table to pandas, keeping its index, or to polars.

    Parameters
    ----------
    frame
        The table.
    kind
        ``"pandas"`` or ``"polars"``.
    """
    if isinstance(frame, pa.RecordBatch):
        frame = pa.Table.from_batches([frame])
    native = nw.from_native(frame, eager_only=True)
    return native.to_pandas() if kind == "pandas" else native.to_polars()


def _make_series(values: Any, frame: Any) -> Any:
    if frame.implementation.is_pyarrow():
        return values
    native = values.to_arrow()
    if frame.implementation.is_pandas():
        converted = convert_column_to_pandas(native)
        converted.index = frame.to_native().index
        converted.name = values.name
        return nw.from_native(converted, series_only=True)
    return nw.from_native(
        frame.to_native().__class__({values.name: native})[values.name], series_only=True
    )
