"""Writing: what is read back is what was written."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from reviewml.data.frames import as_dataset
from reviewml.errors import SourceError
from reviewml.sources.files import Files


def test_a_null_alone_in_a_csv_file_is_refused(tmp_path: Path) -> None:
    column = pa.chunked_array([pa.array(["a"]), pa.array(["", None])])
    rows = as_dataset(pa.table({"text": column}))
    with pytest.raises(SourceError, match=r"'text' is null in row 3: .* \.parquet or \.jsonl"):
        rows.write(tmp_path / "rows.csv")
    assert list(tmp_path.iterdir()) == []
    for kept in (rows.limit(2), as_dataset(pa.table({"text": column, "n": [1, 2, 3]}))):
        path = kept.write(tmp_path / "rows.csv")
        assert as_dataset(Files(path)).to_arrow().to_pylist() == kept.to_arrow().to_pylist()


@pytest.mark.parametrize(
    ("column", "written"),
    [
        (pa.array([1.5, float("nan"), float("inf"), -float("inf")]), [1.5, None, None, None]),
        (pa.array([[1.0, float("nan")], None]), [[1.0, None], None]),
        (pa.array([{"a": float("inf"), "b": [b"\xff"]}]), [{"a": None, "b": ["/w=="]}]),
        (pa.array([b"\xff\x00", b"", None]), ["/wA=", "", None]),
        (pa.array([uuid.UUID(int=1).bytes], pa.uuid()), [str(uuid.UUID(int=1))]),
    ],
    ids=["floats", "lists", "structs", "bytes", "uuids"],
)
def test_json_lines_are_json(tmp_path: Path, column: pa.Array, written: list[Any]) -> None:
    def refused(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    path = as_dataset(pa.table({"x": column, "n": range(len(column))})).write(tmp_path / "r.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [json.loads(line, parse_constant=refused) for line in lines]
    assert [row["x"] for row in found] == written
