"""JSON lines: one object on each line."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from reviewml.errors import SourceError
from reviewml.sources.casting import inferred
from reviewml.sources.finding import File
from reviewml.sources.formats import (
    HEAD,
    Errors,
    Format,
    Rows,
    failed_row,
    places,
    read_error,
)
from reviewml.sources.opening import CutOff, utf8_chunks
from reviewml.sources.records import last_line_end, whole_records

Record = Mapping[str, Any] | str
"""An object, or what is wrong with the line that should hold one."""


@dataclasses.dataclass(frozen=True)
class Jsonl(Format):
    """One JSON object on each line; nested values are kept as JSON text.

    Parameters
    ----------
    encoding
        Of the bytes.
    """

    encoding: str
    any_columns = True

    def head(self, file: File, rows: int) -> pa.Schema:
        sample = list(itertools.islice(_sample(self._blocks(file, HEAD)), rows))
        if not sample:
            raise SourceError(f"{file.name} is empty: expected a JSON object on each line.")
        objects = [record for record in sample if not isinstance(record, str)]
        if not objects:
            raise SourceError(
                f"{file.name} has no JSON object on any of its first {len(sample):,} lines; "
                f"the first: {sample[0]}."
            )
        names = dict.fromkeys(name for record in objects for name in record if _writable(name))
        return pa.schema(
            [(name, _kind([record.get(name) for record in objects])) for name in names]
        )

    def read(self, files: Sequence[File], columns: Sequence[str]) -> Iterator[Rows]:
        for file in files:
            yield from self._rows(file, columns)

    def _rows(self, file: File, columns: Sequence[str]) -> Iterator[Rows]:
        done = 0
        try:
            for records in self._blocks(file):
                yield _as_rows(records, columns, places(file, done, len(records)))
                done += len(records)
        except CutOff as error:
            yield failed_row(file, done, str(error))

    def _blocks(self, file: File, block_size: int | None = None) -> Iterator[list[Record]]:
        chunks = utf8_chunks(file, self.encoding)
        for block in whole_records(chunks, last_line_end, block_size):
            yield [parsed(line) for line in block.split(b"\n") if line.strip()]


def _sample(blocks: Iterator[list[Record]]) -> Iterator[Record]:
    try:
        yield from itertools.chain.from_iterable(blocks)
    except CutOff as error:
        yield str(error)


def parsed(line: bytes) -> Record:
    """Return the object on a line, or what is wrong with it, without quoting it."""
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError:
        return "not valid UTF-8, or not in the encoding given: pass encoding='latin-1', say"
    except json.JSONDecodeError as error:
        return f"not valid JSON: {error.msg} at character {error.pos + 1}"
    except (ValueError, RecursionError):
        return "not valid JSON: a number is too long, or values are nested too deeply"
    return value if isinstance(value, dict) else f"expected a JSON object, found {_said(value)}"


def _said(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _kind(values: Sequence[Any]) -> pa.DataType:
    return inferred(_as_text(values), numbers=not any(isinstance(v, str) for v in values))


def _as_rows(records: Sequence[Record], columns: Sequence[str], places: pa.Array) -> Rows:
    known, errors = set(columns), Errors()
    objects: list[Mapping[str, Any]] = []
    for row, record in enumerate(records):
        if isinstance(record, str):
            errors[row] = [read_error(record)]
            objects.append({})
            continue
        if not record.keys() <= known:
            errors[row] = [_unexpected(name) for name in record if name not in known]
        objects.append(record)
    texts = {name: _as_text([record.get(name) for record in objects]) for name in columns}
    return Rows(texts, places, errors)


def _unexpected(name: str) -> Mapping[str, Any]:
    name = name.encode(errors="replace").decode()
    return read_error(
        f"the rows at the head of the files have no such key: pass dtypes={{{name!r}: 'string'}} "
        "to read it",
        name,
    )


def _as_text(values: Sequence[Any]) -> pa.Array:
    texts = [value if value is None or isinstance(value, str) else _text(value) for value in values]
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        # Half a surrogate pair is valid JSON and no text: it fails as a cell, later.
        return pa.array([t and t.encode(errors="surrogatepass") for t in texts], pa.binary())


def _text(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)


def _writable(name: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in name)
