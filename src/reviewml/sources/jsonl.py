"""JSON lines: one object on each line."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from reviewml.errors import SourceError
from reviewml.sources.cell_rules import DEFAULT_RULES, CellRules, cast_or_null
from reviewml.sources.decode import CutOff, read_utf8_chunks
from reviewml.sources.encodings import explain_undecodable
from reviewml.sources.find_files import File
from reviewml.sources.formats import (
    HEAD,
    Errors,
    Format,
    RawRows,
    make_failed_row,
    make_places,
    read_error,
)
from reviewml.sources.record_splitter import split_lines
from reviewml.sources.type_inference import MOST_MISFITS, infer_field, is_blank

Record = Mapping[str, Any] | str
"""An object, or what is wrong with the line that should hold one."""


def _encode_constant(name: str) -> bytes | None:
    return None if name == "NaN" else name.encode()


# A number with a fraction or an exponent stays as it is written: 1.10 may be a version. As bytes,
# since JSON has none, and the garbage collector tracks no bytes: a class would double the time.
_DECODER = json.JSONDecoder(parse_float=str.encode, parse_constant=_encode_constant)


@dataclasses.dataclass(frozen=True)
class Jsonl(Format):
    """One JSON object on each line; nested values are kept as JSON text.

    Parameters
    ----------
    encoding
        Of the bytes.
    rules
        How texts become values.
    """

    encoding: str
    rules: CellRules = DEFAULT_RULES
    any_columns = True

    def head(self, file: File, rows: int) -> pa.Schema:
        sample = list(itertools.islice(_sample(self._read_blocks(file, HEAD)), rows))
        if not sample:
            raise SourceError(f"{file.name} is empty: expected a JSON object on each line.")
        objects = [record for record in sample if not isinstance(record, str)]
        if not objects:
            raise SourceError(
                f"{file.name} has no JSON object on any of its first {len(sample):,} lines; "
                f"the first: {sample[0]}."
            )
        names = dict.fromkeys(name for record in objects for name in record if _is_writable(name))
        return pa.schema(
            [self._infer_field(name, [record.get(name) for record in objects]) for name in names]
        )

    def _infer_field(self, name: str, values: Sequence[Any]) -> pa.Field:
        texts = cast_or_null(_as_text(values), pa.string())
        strings = [value for value in values if type(value) is str]
        if name not in self.rules.keys:
            # A few strings among numbers are mistakes, or stand for no value.
            strings = [text for text in strings if not is_blank(text)]
            few = len(strings) <= MOST_MISFITS * (len(texts) - texts.null_count)
            return infer_field(name, texts, self.rules, numbers=few)
        return infer_field(name, texts, self.rules, numbers=not strings)

    def read(self, files: Sequence[File], columns: Sequence[str]) -> Iterator[RawRows]:
        for file in files:
            yield from self._read_rows(file, columns)

    def _read_rows(self, file: File, columns: Sequence[str]) -> Iterator[RawRows]:
        done = 0
        try:
            for records in self._read_blocks(file):
                yield _as_rows(records, columns, make_places(file, done, len(records)))
                done += len(records)
        except CutOff as error:
            yield make_failed_row(file, done, str(error))

    def _read_blocks(self, file: File, block_size: int | None = None) -> Iterator[list[Record]]:
        chunks = read_utf8_chunks(file, self.encoding)
        for block in split_lines(chunks, block_size):
            yield [parse_line(line) for line in block.split(b"\n") if line.strip()]


def _sample(blocks: Iterator[list[Record]]) -> Iterator[Record]:
    try:
        yield from itertools.chain.from_iterable(blocks)
    except CutOff as error:
        yield str(error)


def parse_line(line: bytes) -> Record:
    """Parse the object on a line, or describe the error without quoting the line."""
    try:
        value = _DECODER.decode(line.decode())
    except UnicodeDecodeError:
        return explain_undecodable(line)
    except json.JSONDecodeError as error:
        return f"not valid JSON: {error.msg} at character {error.pos + 1}"
    except (ValueError, RecursionError):
        return "not valid JSON: a number is too long, or values are nested too deeply"
    if not isinstance(value, dict):
        return f"expected a JSON object, found {_describe_value(value)}"
    # As many keys as are written: looking for twins makes reading slow.
    if line.count(b'":') == len(value):
        return value
    twin = _find_twin(line)
    return value if twin is None else f"the key {twin!r} stands twice"


def _find_twin(line: bytes) -> str | None:
    """Find a key that occurs twice in an object; all but its last value would be lost."""
    twins: list[str] = []

    def note_twins(pairs: list[tuple[str, Any]]) -> None:
        counts = Counter(key for key, _ in pairs)
        twins.extend(key for key, count in counts.items() if count > 1)

    json.loads(line, object_pairs_hook=note_twins)
    return twins[0] if twins else None


def _describe_value(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _as_rows(records: Sequence[Record], columns: Sequence[str], places: pa.Array) -> RawRows:
    known, errors = set(columns), Errors()
    objects: list[Mapping[str, Any]] = []
    for row, record in enumerate(records):
        if isinstance(record, str):
            errors[row] = [read_error(record)]
            objects.append({})
            continue
        if not record.keys() <= known:
            errors[row] = [_make_unexpected_error(name) for name in record if name not in known]
        objects.append(record)
    texts = {name: _as_text([record.get(name) for record in objects]) for name in columns}
    return RawRows(texts, places, errors)


def _make_unexpected_error(name: str) -> Mapping[str, Any]:
    name = name.encode(errors="replace").decode()
    return read_error(
        f"the rows at the head of the files have no such key: pass dtypes={{{name!r}: 'string'}} "
        "to read it",
        name,
    )


def _as_text(values: Sequence[Any]) -> pa.Array:
    texts = [value if value is None or type(value) is str else _to_text(value) for value in values]
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        # Half a surrogate pair is valid JSON and no text: it fails as a cell, later.
        return pa.array([t and t.encode(errors="surrogatepass") for t in texts], pa.binary())


def _to_text(value: Any) -> str:
    kind = type(value)
    if kind is bytes:
        text: str = value.decode()
        return text
    return repr(value) if kind is int else _as_json(value)


class _Mark(str):
    """Punctuation of JSON between values."""

    __slots__ = ()


def _as_json(value: Any) -> str:
    """Write nested values as JSON."""
    # Without recursion: values are parsed to a depth at which Python functions fail.
    pieces: list[str] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if type(item) is bytes:
            pieces.append(_write_shortest(item.decode()))
        elif type(item) is _Mark:
            pieces.append(item)
        elif type(item) is dict or type(item) is list:
            waiting += reversed([*_write_parts(item)])
        else:
            pieces.append(json.dumps(item, ensure_ascii=False))
    return "".join(pieces)


def _write_shortest(number: str) -> str:
    """Format a number with the fewest digits, unless float64 would change it."""
    shortest = repr(float(number))
    return shortest if number[-1].isdigit() and Decimal(shortest) == Decimal(number) else number


def _write_parts(values: dict[str, Any] | list[Any]) -> Iterator[Any]:
    """Yield the items of an object or an array, and the punctuation around them."""
    begin, end = "{}" if isinstance(values, dict) else "[]"
    yield _Mark(begin)
    for place, item in enumerate(values):
        if place:
            yield _Mark(", ")
        yield item
        if isinstance(values, dict):
            yield _Mark(": ")
            yield values[item]
    yield _Mark(end)


def _is_writable(name: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in name)
