"""Parquet: what is read equals what was written, or an error says what is not."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import math
import os
import random
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewml.data.frames import as_dataset
from reviewml.errors import SourceError
from reviewml.rows.roles import PLACE, name_columns
from reviewml.sources.files import Files
from reviewml.sources.find_files import File
from reviewml.sources.parquet import Parquet

EXAMPLES = int(os.environ.get("REVIEWML_EXAMPLES", "200"))
"""Random tables that are written and read; set it for a longer run by hand."""

MOMENT = dt.datetime(2026, 1, 31, 23, 59, 59, 123456)
TEXTS = ["", "a", "très bien", "とても 👍", "NA", "00501", "\x00", "a\nb", "x" * 300, '"']
WHOLE = [0, 1, -1, 127, -128]
STRUCT = pa.struct([("x", pa.int64()), ("y", pa.string())])

VALUES: dict[pa.DataType, list[Any]] = {
    pa.int8(): WHOLE,
    pa.int16(): [*WHOLE, 2**15 - 1],
    pa.int32(): [*WHOLE, -(2**31)],
    pa.int64(): [*WHOLE, 2**63 - 1, -(2**63), 2**53 + 1],
    pa.uint8(): [0, 255],
    pa.uint32(): [0, 2**32 - 1],
    pa.uint64(): [0, 2**64 - 1],
    pa.float32(): [0.0, 1.5, math.nan, math.inf],
    pa.float64(): [0.0, -0.0, 0.1, 5e-324, math.nan, -math.inf],
    pa.bool_(): [True, False],
    pa.string(): TEXTS,
    pa.large_string(): TEXTS,
    pa.binary(): [b"", b"\xff\x00"],
    pa.date32(): [dt.date(1, 1, 1), dt.date(1969, 12, 31), dt.date(9999, 12, 31)],
    pa.time64("us"): [dt.time(0), dt.time(23, 59, 59, 999999)],
    pa.timestamp("ms"): [MOMENT.replace(microsecond=123000)],
    pa.timestamp("us"): [MOMENT, dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)],
    pa.timestamp("us", "UTC"): [MOMENT.replace(tzinfo=dt.UTC)],
    pa.timestamp("us", "Asia/Tokyo"): [MOMENT.replace(tzinfo=dt.UTC)],
    pa.timestamp("ns"): [1_700_000_000_123_456_789, 0, -1],
    pa.duration("us"): [dt.timedelta(0), dt.timedelta(days=-1, microseconds=1)],
    pa.decimal128(10, 2): [decimal.Decimal("1.10"), decimal.Decimal("-99999999.99")],
    pa.decimal128(38, 0): [decimal.Decimal("9" * 38)],
    pa.list_(pa.int64()): [[], [1, None], [2**53 + 1]],
    pa.list_(pa.string()): [[], ["a", ""], [None]],
    STRUCT: [{"x": 1, "y": None}, {"x": None, "y": "é"}],
    pa.dictionary(pa.int32(), pa.string()): TEXTS,
    pa.null(): [None],
}

ARROW_ONLY = {pa.dictionary(pa.int32(), pa.string()), pa.null(), pa.timestamp("us", "Asia/Tokyo")}
# DuckDB writes durations as intervals, which Arrow reads as bytes.
NOT_DUCKDB = {*ARROW_ONLY, pa.duration("us")}


def write_with_arrow(table: pa.Table, path: Path, random: random.Random) -> None:
    pq.write_table(
        table,
        path,
        row_group_size=random.choice([1, 3, 1000]),
        compression=random.choice(["none", "snappy", "zstd", "gzip"]),
        use_dictionary=random.random() < 0.5,
        data_page_version=random.choice(["1.0", "2.0"]),
        # Without it durations are integers.
        store_schema=pa.duration("us") in table.schema.types or random.random() < 0.7,
        write_statistics=random.random() < 0.5,
        use_byte_stream_split=False,
        write_page_checksum=random.random() < 0.3,
    )


def write_with_pandas(table: pa.Table, path: Path, random: random.Random) -> None:
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    frame.to_parquet(path, index=False, compression=random.choice([None, "snappy", "gzip"]))


def write_with_polars(table: pa.Table, path: Path, random: random.Random) -> None:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    compression = random.choice(["uncompressed", "snappy", "zstd", "lz4"])
    frame.write_parquet(
        path,
        compression=compression,
        row_group_size=random.choice([1, 3, 1000]),
        statistics=random.random() < 0.5,
    )


CONNECTION = duckdb.connect()


def write_with_duckdb(table: pa.Table, path: Path, random: random.Random) -> None:
    codec = random.choice(["uncompressed", "snappy", "zstd", "gzip"])
    # Arrow cannot read the widest integers of PARQUET_VERSION V2, which is an error.
    options = f"FORMAT parquet, COMPRESSION {codec}"
    CONNECTION.register("rows_", table)
    CONNECTION.execute(f"COPY (FROM rows_) TO '{path}' ({options})")


WRITERS: dict[Callable[[pa.Table, Path, random.Random], None], list[pa.DataType]] = {
    write_with_arrow: [*VALUES],
    write_with_pandas: [kind for kind in VALUES if kind not in ARROW_ONLY],
    write_with_polars: [kind for kind in VALUES if kind not in ARROW_ONLY],
    write_with_duckdb: [kind for kind in VALUES if kind not in NOT_DUCKDB],
}


def random_table(kinds: list[pa.DataType], rows: int, random: random.Random) -> pa.Table:
    columns = [
        pa.array(
            [None if random.random() < 0.2 else random.choice(VALUES[k]) for _ in range(rows)], k
        )
        for k in kinds
    ]
    return pa.table(columns, names=[f"c{number}" for number in range(len(kinds))])


def plain(column: pa.ChunkedArray) -> list[Any]:
    """Return values such that NaN equals itself and moments equal in every unit and zone."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        factor = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[kind.unit]
        return [v and v * factor for v in column.cast(pa.int64()).to_pylist()]
    if pa.types.is_floating(kind):
        return [value if value is None else repr(value) for value in column.to_pylist()]
    return column.to_pylist()


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_what_is_written_is_read(data: st.DataObject) -> None:
    writer = data.draw(st.sampled_from([*WRITERS]))
    kinds = data.draw(st.lists(st.sampled_from(WRITERS[writer]), min_size=1, max_size=6))
    seed = random.Random(data.draw(st.integers(0, 2**32)))
    table = random_table(kinds, data.draw(st.integers(0, 12)), seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        writer(table, path, seed)
        dataset = as_dataset(Files(path))
        read = pa.Table.from_batches(dataset.full_batches(), schema=dataset.full_schema)
    read.validate(full=True)
    assert read[PLACE].to_pylist() == [f"rows.parquet#{n + 1}" for n in range(len(table))]
    assert read["__errors__"].null_count == len(table)
    for name in table.column_names:
        assert plain(read[name]) == plain(table[name]), table.schema.field(name)


# -- what is damaged --------------------------------------------------------------------------


def written(table: pa.Table, path: Path, **options: Any) -> File:
    pq.write_table(table, path, **options)
    return File(str(path), path.name)


def read(file: File) -> int:
    return sum(len(rows.places) for rows in Parquet().read([file], []))


def test_a_footer_that_counts_other_rows_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    file = written(pa.table({"id": range(50)}), path, row_group_size=20)
    content = bytearray(path.read_bytes())
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    refused = 0
    # Somewhere in the footer stand 50 and the rows of each row group.
    for place in range(start, len(content) - 8):
        content[place] ^= 2
        path.write_bytes(content)
        content[place] ^= 2
        try:
            assert read(file) == 50
        except SourceError as error:
            refused += "its footer promises" in str(error)
    assert refused >= 4


def test_a_footer_that_promises_rows_without_row_groups_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.ParquetWriter(path, pa.schema([("id", pa.int64())])).close()
    file = File(str(path), path.name)
    assert read(file) == 0
    content = path.read_bytes()
    # In Thrift's compact protocol: field 3, an i64, of 0 rows; then field 4, a list of nothing.
    assert content.count(b"\x16\x00\x19\x0c") == 1
    path.write_bytes(content.replace(b"\x16\x00\x19\x0c", b"\x16\x10\x19\x0c"))
    with pytest.raises(SourceError, match=r"promises 8 rows, 0 in its row groups, and 0 could"):
        read(file)


@pytest.mark.parametrize("end", ["first", "last"])
def test_truncated_files_are_errors(tmp_path: Path, end: str) -> None:
    path = tmp_path / "rows.parquet"
    file = written(pa.table({"id": range(50), "t": ["a"] * 50}), path)
    content = path.read_bytes()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size] if end == "last" else content[-size - 1 : -1])
        with pytest.raises(SourceError, match=r"rows\.parquet is damaged"):
            read(file)


# -- columns ----------------------------------------------------------------------------------


def rows(path: Path, **options: Any) -> list[dict[str, Any]]:
    return as_dataset(Files(path, **options)).to_arrow().to_pylist()


def test_columns_of_one_name_are_named_as_in_other_files(tmp_path: Path) -> None:
    names = ["a", "a", "", "a"]
    table = pa.table([pa.array([n]) for n in range(4)], names=names)
    written(table, tmp_path / "x.parquet")
    (tmp_path / "x.csv").write_text("a,a,,a\n0,1,2,3\n")
    expected = dict(zip(name_columns(names), range(4), strict=True))
    assert rows(tmp_path / "x.parquet") == rows(tmp_path / "x.csv") == [expected]


def test_files_without_row_groups_have_their_columns(tmp_path: Path) -> None:
    pq.ParquetWriter(tmp_path / "a.parquet", pa.schema([("id", pa.int64())])).close()
    assert as_dataset(Files(tmp_path / "a.parquet")).schema.field("id").type == pa.int64()
    written(pa.table({"id": [1]}), tmp_path / "b.parquet")
    assert rows(tmp_path) == [{"id": 1}]


def test_types_that_components_do_not_know_are_plain(tmp_path: Path) -> None:
    key = uuid.uuid4()
    table = pa.table(
        {
            "key": pa.array([key.bytes, None], pa.uuid()),
            "flag": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, None], pa.int8())),
        }
    )
    written(table, tmp_path / "x.parquet")
    found = as_dataset(Files(tmp_path / "x.parquet", id="key"))
    assert found.to_arrow().to_pylist() == [
        {"key": str(key), "flag": True},
        {"key": None, "flag": None},
    ]


def test_texts_that_are_no_utf8_are_errors(tmp_path: Path) -> None:
    bad = pa.array([b"fine", b"\xff"]).view(pa.string())
    written(pa.table({"t": bad}), tmp_path / "x.parquet")
    found = as_dataset(Files(tmp_path / "x.parquet"))
    assert found.to_arrow().to_pylist() == [{"t": "fine"}, {"t": None}]
    assert found.errors["place"].to_pylist() == ["x.parquet#2"]
    lists = pa.ListArray.from_arrays([0, 1, 2], bad)
    file = written(pa.table({"t": lists}), tmp_path / "y.parquet")
    with pytest.raises(SourceError, match=r"y\.parquet is damaged"):
        read(file)


def test_integers_beyond_64_bits_are_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pl.DataFrame({"a": pl.Series([2**100], dtype=pl.Int128)}).write_parquet(buffer)
    (tmp_path / "x.parquet").write_bytes(buffer.getvalue())
    with pytest.raises(SourceError, match=r"x\.parquet .* 64 bits"):
        rows(tmp_path / "x.parquet")
