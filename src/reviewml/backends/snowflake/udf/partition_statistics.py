"""Statistics that our own Python computes in the warehouse, of one partition after another.

SQL has none of our hashes, and does not tell words apart as we do. A part comes back for each
partition and they are merged here, so what leaves are as many rows as there are partitions,
however many rows there are.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator, Mapping

import pyarrow as pa

from reviewml.backends.snowflake.identifiers import quote_identifier
from reviewml.backends.snowflake.tables.fetch import fetch_batches
from reviewml.backends.snowflake.tables.query import Query
from reviewml.backends.snowflake.udf import statistics_codec, value_codec
from reviewml.backends.snowflake.udf.registration import MOST_ARGUMENTS, PARTS, register_function
from reviewml.operations.sample import SmallestHashes
from reviewml.rows.bookkeeping import make_empty_batch
from reviewml.rows.roles import PLACE
from reviewml.rows.statistics import Parts, Statistic, ValueCounts, compute_parts, merge_parts

MOST = 256
"""Partitions; where that takes more rows in each, they have more."""

ROWS = 65_536
"""Rows in a partition, where there are not too many for that."""

ANSWERS = pa.schema([("BUCKET", pa.int64()), ("PIECE", pa.int64()), ("PART", pa.string())])


def is_supported(statistic: Statistic, schema: pa.Schema) -> bool:
    """Check whether a statistic can be computed there.

    Parameters
    ----------
    statistic
        Of reviewml's own it is known that their parts are plain data.
    schema
        Of the rows.
    """
    if type(statistic).__module__.partition(".")[0] != "reviewml":
        return False
    return not _measures_moments(statistic, schema) and _list_arguments(schema) is not None


def _measures_moments(statistic: Statistic, schema: pa.Schema) -> bool:
    # Plain data has neither their zones nor nanoseconds.
    if not isinstance(statistic, SmallestHashes | ValueCounts) or not statistic.column:
        return False
    kind = schema.field(statistic.column).type
    return bool(pa.types.is_timestamp(kind.value_type if pa.types.is_dictionary(kind) else kind))


def compute_in_partitions(rows: Query, statistics: Mapping[str, Statistic]) -> Parts:
    """Compute the parts of statistics in partitions of the rows.

    Parameters
    ----------
    rows
        Settled, of the columns that the statistics look at and what identifies a row.
    statistics
        Each of which `is_supported`.
    """
    # It says first what it has against the columns.
    nothing = compute_parts(statistics, make_empty_batch(rows.schema))
    count = rows.count()
    if not count:
        return nothing
    return merge_parts(
        statistics, _compute_partition_parts(rows, statistics, min(MOST, -(-count // ROWS)))
    )


def _compute_partition_parts(
    rows: Query, statistics: Mapping[str, Statistic], partitions: int
) -> Iterator[Parts]:
    answers = rows.of(_build_query(rows, statistics, partitions), ANSWERS)
    # Two partitions are never in memory together, however many pieces they are in.
    pieces = _collect_pieces(fetch_batches(answers, order=["BUCKET", "PIECE"]))
    for _, group in itertools.groupby(pieces, key=lambda piece: piece[0]):
        yield statistics_codec.read("".join(text for _, text in group))


def _build_query(rows: Query, statistics: Mapping[str, Statistic], partitions: int) -> str:
    arguments = _list_arguments(rows.schema)
    assert arguments is not None
    function = register_function(
        rows.database,
        "parts",
        pickle.dumps(dict(statistics)),
        [kind for _, kind in arguments],
        [[rows.schema.serialize().to_pybytes().hex()]],
        what="statistics",
        form=PARTS,
    )
    cells = [f"{cell} AS A{place}" for place, (cell, _) in enumerate(arguments)]
    bucket = f"MOD(ABS(HASH({quote_identifier(PLACE)})), {partitions}) AS BUCKET"
    called = f"{function}({', '.join(f'r.A{place}' for place in range(len(cells)))})"
    return (
        "SELECT r.BUCKET AS BUCKET, p.PIECE AS PIECE, p.PART AS PART "
        f"FROM (SELECT {', '.join(cells)}, {bucket} FROM ({rows.query})) AS r, "
        f"TABLE({called} OVER (PARTITION BY r.BUCKET)) AS p"
    )


def _collect_pieces(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, str]]:
    for batch in batches:
        buckets, _, texts = (column.to_pylist() for column in batch.columns)
        yield from zip(buckets, texts, strict=True)


def _list_arguments(schema: pa.Schema) -> list[tuple[str, str]] | None:
    """List the arguments of the function; None when they are too many."""
    arguments = [
        argument
        for f in schema
        for argument in value_codec.write_arguments(f, quote_identifier(f.name))
    ]
    return arguments if len(arguments) <= MOST_ARGUMENTS else None
