"""The layout of a stage: one small text file for each review."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import pyarrow as pa

from reviewml.errors import SourceError
from reviewml.rows.roles import Roles
from reviewml.sources.cell_rules import DEFAULT_RULES, CellRules
from reviewml.sources.decode import CutOff, read_utf8_chunks
from reviewml.sources.encodings import explain_undecodable
from reviewml.sources.find_files import File
from reviewml.sources.formats import Errors, Format, RawRows, read_error
from reviewml.sources.review_file import NOT_UTF8, Cells, parse_cells

ROLES = Roles(id="id", text=("text",))
"""Those of the two columns, unless others are given."""

USE_DELIMITER = "; pass delimiter= to read .txt files as tables"


@dataclasses.dataclass(frozen=True)
class ReviewFiles(Format):
    """Files that hold one record ``"<id>","<text>"`` each, quoted as in CSV.

    Parameters
    ----------
    encoding
        Of the bytes.
    rules
        How texts become values.
    """

    encoding: str
    rules: CellRules = DEFAULT_RULES

    # A hundred thousand partitions of one row would cost more than the rows.
    files_per_partition = 1024

    def head(self, file: File, rows: int) -> pa.Schema:
        return pa.schema([("id", pa.string()), ("text", pa.string())])

    def read(self, files: Sequence[File], columns: Sequence[str]) -> Iterator[RawRows]:
        cells: list[Cells] = []
        errors: Errors = {}
        for row, file in enumerate(files):
            record = self._record(file)
            if isinstance(record, str):
                errors[row] = [read_error(record)]
                record = None, None
            cells.append(record)
        ids, texts = (pa.array(column, pa.string()) for column in zip(*cells, strict=True))
        places = pa.array([f"{file.name}#1" for file in files], pa.string())
        yield RawRows({"id": ids, "text": texts}, places, errors)

    def _record(self, file: File) -> Cells | str:
        try:
            content = b"".join(read_utf8_chunks(file, self.encoding))
        except (SourceError, CutOff) as error:
            return str(error)
        found = parse_cells(content)
        if found == NOT_UTF8:
            return explain_undecodable(content)
        return found + USE_DELIMITER if isinstance(found, str) else found
