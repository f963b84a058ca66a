"""Files: rows in files, on this machine or anywhere that has a URL."""

from __future__ import annotations

import copy
import dataclasses
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import pyarrow as pa

from reviewml.data.source import Partition, Source
from reviewml.errors import SchemaError, SourceError, suggest_names
from reviewml.fitting.fitted_columns import choose_fitted_type
from reviewml.parameter_types import check_argument_types
from reviewml.privacy.redaction import redact
from reviewml.rows.bookkeeping import make_empty_batch
from reviewml.rows.roles import Roles, make_plain_schema, parse_arrow_type, visible
from reviewml.rows.row_errors import warn_at_caller
from reviewml.sources import review_files
from reviewml.sources.cell_rules import CellRules
from reviewml.sources.csv import Csv
from reviewml.sources.dialect import CsvOptions
from reviewml.sources.file_schemas import (
    add_folder_types,
    copy_meanings,
    keep_long_numbers,
    merge_types,
    warn_of_texts,
    warn_of_titles,
)
from reviewml.sources.find_files import File, find, find_local_root
from reviewml.sources.formats import Format
from reviewml.sources.hive import cast_with_folders
from reviewml.sources.jsonl import Jsonl
from reviewml.sources.moved_columns import warn_of_moved_columns
from reviewml.sources.parquet import Parquet
from reviewml.sources.review_files import ReviewFiles
from reviewml.sources.type_casting import check_time, make_full_schema
from reviewml.sources.type_inference import merge_samples

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
    quote
        Around cells of a CSV file, ``""`` where nothing is quoted; found out unless given.
    escape
        Before a quote, or another character that stands for itself, such as ``"\\"`` in files
        of Spark and MySQL; ``""`` where there is none, found out unless given.
    skip
        Lines before the header of a CSV file, such as a title.
    comment
        Lines of a CSV file that start with this are left out, such as ``"#"``.
    dtypes
        Types of columns that should not be inferred, as Arrow types or their names, such as
        ``{"zip": "string"}``. Of a type such as ``"timestamp[ms]"``, whole numbers are read as
        milliseconds since 1970.
    decimal, thousands
        Signs within the numbers of CSV files, as in pandas: ``decimal=","`` reads ``9,5``.
    missing
        Words that stand for no value in any column, such as ``["NULL", "-999"]``; the numbers of
        Parquet files are values. Unless given, text columns keep all words but ``\N``, ``<NA>``
        and ``#N/A``.

    Examples
    --------
    >>> from reviewml.data.frames import as_dataset
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "reviews.csv").write_text("stars,body\n5,Good\nfive,Bad\n")
    >>> source = Files(folder / "reviews.csv", text="body", dtypes={"stars": "int64"})
    >>> as_dataset(source).to_arrow().to_pylist()
    [{'stars': 5, 'body': 'Good'}, {'stars': None, 'body': 'Bad'}]
    >>> as_dataset(source).errors["error"].to_pylist()
    ["a text of length 4 is not int64: pass dtypes={'stars': 'string'}"]
    """

    @check_argument_types
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
        quote: str | None = None,
        escape: str | None = None,
        skip: int = 0,
        comment: str | None = None,
        dtypes: Mapping[str, str | pa.DataType] | None = None,
        decimal: str = ".",
        thousands: str | None = None,
        missing: Sequence[str] | None = None,
    ) -> None:
        self.path = path
        self.roles = Roles.of(id=id, text=text, rating=rating, time=time, target=target)
        self.encoding = encoding
        self.delimiter = delimiter
        self.quote = quote
        self.escape = escape
        self.skip = skip
        self.comment = comment
        self.dtypes = dtypes
        self.decimal = decimal
        self.thousands = thousands
        self.missing = missing

    def partitions(self) -> Iterator[Partition]:
        kind, files, _, schema = self._find_files()
        size = kind.files_per_partition
        for first in range(0, len(files), size):
            yield FilesPartition(kind, tuple(files[first : first + size]), schema)

    fitted_types: Mapping[str, pa.DataType] = {}
    required_columns: frozenset[str] = frozenset()

    def with_types(self, types: Mapping[str, pa.DataType], required: Iterable[str] = ()) -> Self:
        other = copy.copy(self)
        other.fitted_types, other.required_columns = types, frozenset(required)
        return other

    def local_paths(self) -> list[str]:
        return find_local_root(os.fspath(self.path))

    @property
    def schema(self) -> pa.Schema:
        _, files, heads, schema = self._find_files()
        warn_of_titles(files, heads)
        texts = {name for name, kind in self.fitted_types.items() if kind == pa.string()}
        stated = {*(self.dtypes or ()), *texts}
        warn_of_texts(schema, merge_samples(heads), stated, self.roles.text or ())
        warn_of_moved_columns(files, heads, schema)
        return schema

    def _find_files(self) -> tuple[Format, list[File], list[pa.Schema], pa.Schema]:
        path = os.fspath(self.path)
        name, files = _require_one_kind(find(path), path, as_csv=self.delimiter is not None)
        kind = self._format(name)
        heads = _read_heads(kind, files[:1] if isinstance(kind, ReviewFiles) else files)
        return kind, files, heads, self._infer_schema(kind, files, heads)

    def _format(self, kind: str) -> Format:
        rules = self._make_rules(kind)
        if kind == "CSV":
            options = CsvOptions(self.delimiter, self.quote, self.escape, self.skip, self.comment)
            return Csv(self.encoding, options, rules)
        if kind == "JSON lines":
            return Jsonl(self.encoding, rules)
        return Parquet(rules) if kind == "Parquet" else ReviewFiles(self.encoding, rules)

    def _make_rules(self, kind: str) -> CellRules:
        is_csv = kind == "CSV"
        if not is_csv and (self.decimal, self.thousands) != (".", None):
            raise SourceError(f"decimal and thousands are for CSV files, and these are {kind}.")
        missing = None if self.missing is None and is_csv else tuple(self.missing or ())
        keys = self.key_columns | {name for name in (self.roles.id,) if name is not None}
        stated = frozenset(self.dtypes or ())
        rules = CellRules(missing, self.decimal, self.thousands, keys, stated)
        rules.check()
        return rules

    def _infer_schema(self, format: Format, files: list[File], heads: list[pa.Schema]) -> pa.Schema:
        given = self._list_given_types()
        kinds = [
            self._apply_fitted_types(format, dict(zip(h.names, h.types, strict=True)), given)
            for h in heads
        ]
        columns = merge_types(files, kinds, given, format.rules.keys)
        columns = self._apply_fitted_types(
            format, add_folder_types(columns, files, heads, given, format.rules), given
        )
        columns = keep_long_numbers(
            columns, merge_samples(heads), {*(self.dtypes or ()), *self.fitted_types}
        )
        if self.roles.time in columns:
            check_time(self.roles.time, columns[self.roles.time])
        unknown = [name for name in self.dtypes or () if name not in columns]
        if format.any_columns:
            columns |= {name: given[name] for name in unknown}
            columns |= self._list_absent(columns)
        elif unknown:
            nearest = suggest_names(unknown[0], columns)
            raise SchemaError(f"dtypes: there is no column {unknown[0]!r}. {nearest}")
        known = {n: pa.string() if pa.types.is_null(k) else k for n, k in columns.items()}
        is_stage = isinstance(format, ReviewFiles)
        roles = self.roles.filled_from(review_files.ROLES) if is_stage else self.roles
        return copy_meanings(make_full_schema(known.items(), roles), heads)

    def _apply_fitted_types(
        self, format: Format, columns: Mapping[str, pa.DataType], given: Mapping[str, pa.DataType]
    ) -> dict[str, pa.DataType]:
        """Replace inferred types with those that a pipeline was fitted on."""
        return {
            name: choose_fitted_type(kind, self.fitted_types[name])
            if name in self.fitted_types
            and name not in given
            and (format.infers_types or pa.types.is_null(kind))
            else kind
            for name, kind in columns.items()
        }

    def _list_absent(self, columns: Iterable[str]) -> dict[str, pa.DataType]:
        """List the columns that a pipeline needs and the heads of the files lack."""
        absent = sorted(self.required_columns & self.fitted_types.keys() - {*columns})
        if absent:
            warn_at_caller(
                f"no row at the head of the files has the keys {', '.join(map(repr, absent))}, "
                "which the pipeline was fitted on: they are null."
            )
        return {name: self.fitted_types[name] for name in absent}

    def _list_given_types(self) -> dict[str, pa.DataType]:
        given = {name: as_type(name, kind) for name, kind in (self.dtypes or {}).items()}
        return {**given, **dict.fromkeys(self.roles.text or (), pa.string())}

    def __repr__(self) -> str:
        roles = {r: c[0] if len(c) == 1 else c for r, c in self.roles.list_named().items()}
        given = "".join(f", {role}={columns!r}" for role, columns in roles.items())
        return f"Files({redact(os.fspath(self.path))!r}{given})"


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
            yield cast_with_folders(rows, self.files, self.schema, self.format.rules)
        if nothing:
            yield make_empty_batch(self.schema)


def _require_one_kind(files: list[File], path: str, *, as_csv: bool) -> tuple[str, list[File]]:
    by_kind: dict[str, list[File]] = {}
    others: list[File] = []
    for file in files:
        kind = _find_kind(file, as_csv=as_csv)
        (by_kind.setdefault(kind, []) if kind else others).append(file)
    if not by_kind:
        raise SourceError(
            f"{others[0].name}: expected a file that ends in {', '.join(KINDS)} (or .gz after "
            "these); pass delimiter= to read any file as CSV."
        )
    if len(by_kind) > 1:
        found = " and ".join(f"{kind} ({found[0].name})" for kind, found in by_kind.items())
        raise SourceError(
            f"{redact(path)!r} holds files of more than one kind: {found}. Choose one with a "
            "pattern such as 'folder/*.csv'."
        )
    if others:
        warnings.warn(
            f"{len(others):,} files that are no rows are left out, such as {others[0].name!r}.",
            stacklevel=2,
        )
    return next(iter(by_kind.items()))


def _find_kind(file: File, *, as_csv: bool) -> str | None:
    kind = KINDS.get(file.suffix)
    if kind == "Parquet" and file.is_gzipped:
        return None
    return "CSV" if as_csv and kind in (None, KINDS[".txt"]) else kind


def _read_heads(format: Format, files: list[File]) -> list[pa.Schema]:
    if len(files) == 1:
        return [format.head(files[0], SAMPLE_ROWS)]
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda file: format.head(file, SAMPLE_ROWS // 10), files))


def as_type(column: str, kind: str | pa.DataType) -> pa.DataType:
    """Resolve the type of a column given in `dtypes`.

    Raises
    ------
    SchemaError
        When there is no such type, or text cannot be.
    """
    try:
        found = parse_arrow_type(kind) if isinstance(kind, str) else kind
        pa.array([], pa.string()).cast(found)
    except (TypeError, ValueError, pa.ArrowNotImplementedError) as error:
        raise SchemaError(
            f"dtypes: {column!r} cannot be {kind!r}; expected an Arrow type such as 'string', "
            "'int64', 'float64', 'bool', 'date32' or 'timestamp[us]'."
        ) from error
    make_plain_schema(pa.schema([(column, found)]))
    return found
