"""The layout of a stage: one small text file for each review."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import pyarrow as pa

from reviewml.errors import SourceError
from reviewml.schema import Roles
from reviewml.sources.finding import File
from reviewml.sources.formats import Errors, Format, Rows, read_error
from reviewml.sources.opening import CutOff, utf8_chunks
from reviewml.stage_layout import NO_RECORD, NOT_UTF8, Cells, cells_of

ROLES = Roles(id="id", text=("text",))
"""Those of the two columns, unless others are given."""

WAYS_OUT = {
    NOT_UTF8: ", or not in the encoding given: pass encoding='latin-1', say",
    NO_RECORD: "; pass delimiter= to read .txt files as tables",
}


@dataclasses.dataclass(frozen=True)
class Stage(Format):
    """Files that hold one record ``"<id>","<text>"`` each, quoted as in CSV.

    Parameters
    ----------
    encoding
        Of the bytes.
    """

    encoding: str

    # A hundred thousand partitions of one row would cost more than the rows.
    files_per_partition = 1024

    def head(self, file: File, rows: int) -> pa.Schema:
        return pa.schema([("id", pa.string()), ("text", pa.string())])

    def read(self, files: Sequence[File], columns: Sequence[str]) -> Iterator[Rows]:
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
        yield Rows({"id": ids, "text": texts}, places, errors)

    def _record(self, file: File) -> Cells | str:
        try:
            found = cells_of(b"".join(utf8_chunks(file, self.encoding)))
        except (SourceError, CutOff) as error:
            return str(error)
        return found + WAYS_OUT[found] if isinstance(found, str) else found
