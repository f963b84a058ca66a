"""Frame: rows that are already in memory."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.data.frames import is_frame
from reviewml.data.source import Partition, Source
from reviewml.errors import SourceError
from reviewml.rows.bookkeeping import make_empty_batch, make_errors_array, with_bookkeeping
from reviewml.rows.roles import Roles, find_plain_type, make_plain_schema, with_roles
from reviewml.sources.cell_rules import cast_or_null
from reviewml.sources.formats import Errors, read_error
from reviewml.sources.type_casting import check_names

ROWS = 65_536


class Frame(Source):
    """A pandas, polars or Arrow table as a source.

    Parameters
    ----------
    frame
        The table; a pandas index is not a column and is left out.
    id, text, rating, time, target
        The columns with these roles; `text` may be several. Without `id` rows go by their
        position.

    Examples
    --------
    >>> import pyarrow as pa
    >>> Frame(pa.table({"stars": [5, 1]}), rating="stars").schema.names
    ['stars', '__place__', '__errors__']
    """

    def __init__(
        self,
        frame: Any,
        *,
        id: str | None = None,
        text: str | Sequence[str] | None = None,
        rating: str | None = None,
        time: str | None = None,
        target: str | None = None,
    ) -> None:
        self.frame = frame
        self.roles = Roles.of(id=id, text=text, rating=rating, time=time, target=target)

    at_hand = True

    @functools.cached_property
    def _partition(self) -> FramePartition:
        # Text that pandas holds as objects takes long to convert; every pass needs it.
        table, errors = to_arrow(self.frame)
        check_names(table.column_names)
        with_meanings = with_roles(table.schema, self.roles)
        return FramePartition(table.replace_schema_metadata(with_meanings.metadata), errors)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self._partition.table)

    def partitions(self) -> Iterator[Partition]:
        yield self._partition

    @property
    def schema(self) -> pa.Schema:
        partition = next(self.partitions())
        return next(partition.read()).schema

    def __repr__(self) -> str:
        rows = f" of {len(self.frame):,} rows" if hasattr(self.frame, "__len__") else ""
        return f"Frame({type(self.frame).__name__}{rows})"


@dataclasses.dataclass(frozen=True)
class FramePartition(Partition):
    """A table in memory.

    Parameters
    ----------
    table
        The rows.
    errors
        Of cells that could not be converted, which are null, by position.
    """

    table: pa.Table
    errors: Errors

    def read(self) -> Iterator[pa.RecordBatch]:
        first = 0
        for batch in self.table.to_batches(max_chunksize=ROWS) or [
            make_empty_batch(self.table.schema)
        ]:
            places = pa.array(np.arange(first, first + len(batch))).cast(pa.string())
            errors = {
                row - first: entries
                for row, entries in self.errors.items()
                if first <= row < first + len(batch)
            }
            yield with_bookkeeping(batch, places, make_errors_array(errors, len(batch)))
            first += len(batch)


def to_arrow(frame: Any) -> tuple[pa.Table, Errors]:
    """Convert a frame to an Arrow table of plain types, and collect the errors of cells.

    Raises
    ------
    SourceError
        When a column holds what Arrow cannot hold, or two columns have the same name, naming it.
    """
    if isinstance(frame, pa.RecordBatch):
        return _from_arrow(pa.Table.from_batches([frame]))
    if isinstance(frame, pa.Table):
        return _from_arrow(frame)
    if not is_frame(frame):
        raise SourceError(
            f"Frame takes a pandas, polars or Arrow table, not {type(frame).__name__}."
        )
    if nw.dependencies.is_pandas_dataframe(frame):
        return _from_pandas(frame)
    return _to_plain(_from_others(frame)), {}


def _from_arrow(table: pa.Table) -> tuple[pa.Table, Errors]:
    errors: Errors = {}
    table = _to_plain(table)
    for place, field in enumerate(table.schema):
        column = table.column(place)
        if pa.types.is_string(field.type) and not _is_valid(column):
            # Bytes that are not text cost their cell, as in a file.
            cells = column.combine_chunks()
            texts = cast_or_null(cells.cast(pa.binary()), pa.string())
            for row in pc.indices_nonzero(pc.xor(cells.is_null(), texts.is_null())).to_pylist():
                message = "not valid UTF-8: decode the text again"
                errors.setdefault(row, []).append(read_error(message, field.name))
            table = table.set_column(place, field, texts)
    return table, errors


def _is_valid(column: pa.ChunkedArray) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _from_pandas(frame: Any) -> tuple[pa.Table, Errors]:
    if frame.columns.nlevels > 1:
        raise SourceError(
            f"the frame's columns have {frame.columns.nlevels} levels: give each one name, as by "
            "frame.columns = ['_'.join(map(str, names)) for names in frame.columns]."
        )
    named = frame.rename(columns=str)
    names = list(named.columns)
    check_names(names)
    # Of columns that are sparse or hold intervals, Arrow says what it does not hold.
    with contextlib.suppress(pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError):
        table = pa.Table.from_pandas(named, preserve_index=False)
        _check_zones(named, table)
        return _to_plain(table.replace_schema_metadata(None)), {}
    errors: Errors = {}
    columns = [_from_series(named[name], name, errors) for name in names]
    return _to_plain(pa.Table.from_arrays(columns, names)), errors


def _check_zones(frame: Any, table: pa.Table) -> None:
    """Raise if a column mixes times with and without a zone: Arrow would assume UTC."""
    for name, kind in zip(table.column_names, table.schema.types, strict=True):
        if pa.types.is_timestamp(kind) and frame[name].dtype == object:
            zones = {value.tzinfo is None for value in frame[name].dropna()}
            if len(zones) > 1:
                raise SourceError(
                    f"column {name!r} holds times with and without a zone: give all of them one, "
                    "or none."
                )


def _from_series(series: Any, name: str, errors: Errors) -> pa.Array:
    try:
        name.encode()
        cells = pa.Array.from_pandas(series)
        return cells.cast(find_plain_type(cells.type))
    except UnicodeEncodeError:
        return _drop_surrogates(series, name, errors)
    except OverflowError:
        return _convert_exactly(series, name)
    except (pa.ArrowException, TypeError):
        failure = _make_conversion_error(name, series)
    # Not above: Arrow quotes a cell, which would be shown as the cause. Here and below.
    raise failure


def _drop_surrogates(series: Any, name: str, errors: Errors) -> pa.Array:
    # Half a surrogate pair is not text: it costs its cell, as one in a file does.
    cells = series.tolist()
    for row, cell in enumerate(cells):
        if isinstance(cell, str) and _is_half(cell):
            errors.setdefault(row, []).append(read_error(HALF, name))
            cells[row] = None
    try:
        name.encode()
        return pa.array(cells, from_pandas=True)
    except UnicodeEncodeError:
        shown = name.encode(errors="replace").decode()
        failure = SourceError(
            f"column {shown!r} has half of a surrogate pair, which is not text, in its name or in "
            "nested values: decode it again, or leave it out."
        )
    except (pa.ArrowException, OverflowError):
        failure = _make_conversion_error(name, series)
    raise failure


def _convert_exactly(series: Any, name: str) -> pa.Array:
    try:
        return pa.array(series.tolist(), pa.decimal128(38, 0), from_pandas=True)
    except (pa.ArrowException, OverflowError):
        failure = _make_conversion_error(name, series)
    raise failure


HALF = "half of a surrogate pair, which is not text: decode the text again, or leave out the sign"


def _is_half(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _make_conversion_error(name: str, series: Any) -> SourceError:
    kinds = sorted({type(value).__name__ for value in series.tolist() if value is not None})
    return SourceError(
        f"column {name!r} ({series.dtype}) holds values that Arrow cannot hold together, of type "
        f"{', '.join(kinds[:5])}: convert it, such as to text with .astype(str)."
    )


def _from_others(frame: Any) -> pa.Table:
    table = nw.from_native(frame, eager_only=True)
    for name, kind in table.schema.items():
        if kind in (nw.Object(), nw.Int128(), nw.UInt128()):
            raise SourceError(
                f"column {name!r} is {kind}, which Arrow does not hold: cast it, such as to text."
            )
    return table.to_arrow()


def _to_plain(table: pa.Table) -> pa.Table:
    schema = make_plain_schema(table.schema)
    for place, field in enumerate(table.schema):
        if pa.types.is_run_end_encoded(field.type):
            # Arrow does not cast these.
            decoded = pc.run_end_decode(table.column(place))
            table = table.set_column(place, field.with_type(decoded.type), decoded)
    return table.cast(schema)
