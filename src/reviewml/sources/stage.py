"""The layout of a stage: one small text file for each review."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence

import pyarrow as pa

from reviewml.errors import SourceError
from reviewml.schema import Roles
from reviewml.sources.finding import File
from reviewml.sources.formats import Errors, Format, Rows, read_error
from reviewml.sources.opening import CutOff, utf8_chunks

ROLES = Roles(id="id", text=("text",))
"""Those of the two columns, unless others are given."""

QUOTED = r'"([^"]*(?:""[^"]*)*)"'
RECORD = re.compile(rf"\s*{QUOTED},{QUOTED}\s*")

Cells = tuple[str | None, str | None]


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
            content = b"".join(utf8_chunks(file, self.encoding)).decode()
        except UnicodeDecodeError:
            return "not valid UTF-8, or not in the encoding given: pass encoding='latin-1', say"
        except (SourceError, CutOff) as error:
            return str(error)
        match = RECORD.fullmatch(content)
        if match is None:
            return (
                'expected one record "<id>","<text>" with quotes inside it doubled; pass '
                "delimiter= to read .txt files as tables"
            )
        key, text = (cell.replace('""', '"') for cell in match.groups())
        return key or None, text
