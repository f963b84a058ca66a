"""Files: rows in files, on this machine or anywhere that has a URL."""

from __future__ import annotations

import dataclasses
import itertools
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from reviewml.errors import SchemaError, SourceError, did_you_mean
from reviewml.interfaces.batches import empty_batch
from reviewml.interfaces.labelling import horizon
from reviewml.interfaces.origins import origin_of
from reviewml.interfaces.source import Partition, Source
from reviewml.masking import masked
from reviewml.schema import Roles, visible
from reviewml.sources import stage
from reviewml.sources.casting import full_schema, typed
from reviewml.sources.delimited import Csv
from reviewml.sources.finding import File, find, local_root
from reviewml.sources.formats import Format
from reviewml.sources.jsonl import Jsonl
from reviewml.sources.parquet import Parquet
from reviewml.sources.stage import Stage

KINDS = {
    ".csv": "CSV",
    ".tsv": "CSV",
    ".jsonl": "JSON lines",
    ".ndjson": "JSON lines",
    ".json": "JSON lines",
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".txt": "one review per .txt file",
}
"""How files are read, by the end of their name; all but Parquet may end in ``.gz`` as well."""

SAMPLE_ROWS = 10_000
"""Rows that types are inferred from; a tenth of them in each of several files."""

READERS = 8
"""Files whose heads are looked at together."""


class Files(Source):
    r"""Files of one kind: CSV, TSV, JSON lines, Parquet, or one review per ``.txt`` file.

    Columns and types are inferred from the head of each file: numbers, truth values and ISO
    dates are recognised, codes such as ``00501`` stay text. Text is read as it is; an empty CSV
    cell is null, ``""`` is empty text. In columns that are not text, ``NA`` and its like are
    null too. A row that cannot be read keeps its place as nulls with an error, and so does a
    cell that does not fit its column. In a folder, columns that a file lacks are null.

    Parameters
    ----------
    path
        A file, a folder with its subfolders, a pattern such as ``"2026/*.csv"``, or a URL that
        fsspec understands. Text files may be compressed with gzip.
    id, text, rating, time, target
        The columns with these roles; `text` may be several. Without `id` rows go by
        ``path#record``.
    encoding
        Of text files.
    delimiter
        Between the cells of a CSV file; found out unless given. Files of any name are read as
        CSV when it is given.
    dtypes
        Types of columns that should not be inferred, as Arrow types or their names, such as
        ``{"zip": "string"}``.

    Examples
    --------
    >>> from reviewml.interfaces.frames import as_dataset
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "reviews.csv").write_text("stars,body\n5,Good\nfive,Bad\n")
    >>> source = Files(folder / "reviews.csv", text="body", dtypes={"stars": "int64"})
    >>> as_dataset(source).to_arrow().to_pylist()
    [{'stars': 5, 'body': 'Good'}, {'stars': None, 'body': 'Bad'}]
    >>> as_dataset(source).errors["error"].to_pylist()
    ["a text of length 4 is not int64: pass dtypes={'stars': 'string'}"]
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        id: str | None = None,
        text: str | Sequence[str] | None = None,
        rating: str | None = None,
        time: str | None = None,
        target: str | None = None,
        encoding: str = "utf-8",
        delimiter: str | None = None,
        dtypes: Mapping[str, str | pa.DataType] | None = None,
    ) -> None:
        self.path = path
        self.roles = Roles.of(id=id, text=text, rating=rating, time=time, target=target)
        self.encoding = encoding
        self.delimiter = delimiter
        self.dtypes = dtypes

    def partitions(self) -> Iterator[Partition]:
        kind, files, schema = self._found()
        size = kind.files_per_partition
        for first in range(0, len(files), size):
            yield FilesPartition(kind, tuple(files[first : first + size]), schema)

    def local_paths(self) -> list[str]:
        return local_root(os.fspath(self.path))

    @property
    def schema(self) -> pa.Schema:
        return self._found()[2]

    def _found(self) -> tuple[Format, list[File], pa.Schema]:
        path = os.fspath(self.path)
        name, files = _of_one_kind(find(path), path, as_csv=self.delimiter is not None)
        kind = self._format(name)
        return kind, files, self._schema(kind, files)

    def _format(self, kind: str) -> Format:
        if kind == "CSV":
            return Csv(self.encoding, self.delimiter)
        if kind == "JSON lines":
            return Jsonl(self.encoding)
        return Parquet() if kind == "Parquet" else Stage(self.encoding)

    def _schema(self, format: Format, files: list[File]) -> pa.Schema:
        is_stage = isinstance(format, Stage)
        heads = _heads(format, files[:1] if is_stage else files)
        given = self._given()
        columns = _together(files, heads, given)
        unknown = [name for name in self.dtypes or () if name not in columns]
        if format.any_columns:
            columns.update({name: given[name] for name in unknown})
        elif unknown:
            nearest = did_you_mean(unknown[0], columns)
            raise SchemaError(f"dtypes: there is no column {unknown[0]!r}. {nearest}")
        known = {n: pa.string() if pa.types.is_null(k) else k for n, k in columns.items()}
        roles = self.roles.filled_from(stage.ROLES) if is_stage else self.roles
        return _with_meanings(full_schema(known.items(), roles), heads)

    def _given(self) -> dict[str, pa.DataType]:
        given = {name: as_type(name, kind) for name, kind in (self.dtypes or {}).items()}
        return {**given, **dict.fromkeys(self.roles.text or (), pa.string())}

    def __repr__(self) -> str:
        roles = {r: c[0] if len(c) == 1 else c for r, c in self.roles.named().items()}
        given = "".join(f", {role}={columns!r}" for role, columns in roles.items())
        return f"Files({masked(os.fspath(self.path))!r}{given})"


@dataclasses.dataclass(frozen=True)
class FilesPartition(Partition):
    """One file, or several small ones."""

    format: Format
    files: tuple[File, ...]
    schema: pa.Schema

    def read(self) -> Iterator[pa.RecordBatch]:
        nothing = True
        for rows in self.format.read(self.files, visible(self.schema.names)):
            nothing = False
            yield typed(rows, self.schema)
        if nothing:
            yield empty_batch(self.schema)


def _of_one_kind(files: list[File], path: str, *, as_csv: bool) -> tuple[str, list[File]]:
    by_kind: dict[str, list[File]] = {}
    others: list[File] = []
    for file in files:
        kind = _kind(file, as_csv=as_csv)
        (by_kind.setdefault(kind, []) if kind else others).append(file)
    if not by_kind:
        raise SourceError(
            f"{others[0].name}: expected a file that ends in {', '.join(KINDS)} (or .gz after "
            "these); pass delimiter= to read any file as CSV."
        )
    if len(by_kind) > 1:
        found = " and ".join(f"{kind} ({found[0].name})" for kind, found in by_kind.items())
        raise SourceError(
            f"{masked(path)!r} holds files of more than one kind: {found}. Choose one with a "
            "pattern such as 'folder/*.csv'."
        )
    if others:
        warnings.warn(
            f"{len(others):,} files that are no rows are left out, such as {others[0].name!r}.",
            stacklevel=2,
        )
    return next(iter(by_kind.items()))


def _kind(file: File, *, as_csv: bool) -> str | None:
    kind = KINDS.get(file.suffix)
    if kind == "Parquet" and file.gzipped:
        return None
    return "CSV" if as_csv and kind in (None, KINDS[".txt"]) else kind


def _heads(format: Format, files: list[File]) -> list[pa.Schema]:
    if len(files) == 1:
        return [format.head(files[0], SAMPLE_ROWS)]
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda file: format.head(file, SAMPLE_ROWS // 10), files))


def _with_meanings(schema: pa.Schema, heads: list[pa.Schema]) -> pa.Schema:
    """Keep that columns are labels, or which enricher they came from."""
    for field in itertools.chain.from_iterable(heads):
        place = schema.get_field_index(field.name)
        if place >= 0 and (horizon(field) is not None or origin_of(field) is not None):
            known, found = origin_of(schema.field(place)), origin_of(field)
            if known is not None and found != known:
                raise SourceError(
                    f"column {field.name!r} was added by {known} in some of the files and by "
                    f"{found} in others: read them apart."
                )
            schema = schema.set(place, schema.field(place).with_metadata(field.metadata))
    return schema


def _together(
    files: list[File], heads: list[pa.Schema], given: Mapping[str, pa.DataType]
) -> dict[str, pa.DataType]:
    columns: dict[str, pa.DataType] = {}
    first: dict[str, File] = {}
    for file, head in zip(files, heads, strict=False):
        for name, inferred in zip(head.names, head.types, strict=True):
            kind = given.get(name, inferred)
            known = columns.get(name, kind)
            common = _common(known, kind)
            if common is None:
                raise SourceError(
                    f"column {name!r} is {known} in {first[name].name} and {kind} in "
                    f"{file.name}: pass dtypes={{{name!r}: 'string'}}, or read them apart."
                )
            if not pa.types.is_null(kind):
                first.setdefault(name, file)
            columns[name] = common
    return columns


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if {one, other} == {pa.date32(), pa.timestamp("us")}:
        return pa.timestamp("us")
    schemas = [pa.schema([("it", one)]), pa.schema([("it", other)])]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field("it").type
    except pa.ArrowTypeError:
        return None


def as_type(column: str, kind: str | pa.DataType) -> pa.DataType:
    """Return an Arrow type that text can be read as.

    Raises
    ------
    SchemaError
        When there is no such type, or text cannot be.
    """
    try:
        found = pa.type_for_alias(kind) if isinstance(kind, str) else kind
        pa.array([], pa.string()).cast(found)
        return found
    except (ValueError, pa.ArrowNotImplementedError) as error:
        raise SchemaError(
            f"dtypes: {column!r} cannot be {kind!r}; expected an Arrow type such as 'string', "
            "'int64', 'float64', 'bool', 'date32' or 'timestamp[us]'."
        ) from error
